"""Surrogates: generative models of a job trace, one a file; packages hold what they share.

``get(name)`` returns the class of that name, ``load(folder)`` a fitted model.
"""

import json
from pathlib import Path
from types import ModuleType

from gridtwin.core.errors import FormatError, MissingExtraError
from gridtwin.core.registry import Registry
from gridtwin.models.base import Surrogate

__all__ = ["Surrogate", "get", "load", "names"]


def _pick(module: ModuleType) -> type[Surrogate]:
    """Return the one public Surrogate that a module defines."""
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Surrogate)
        and value.__module__ == module.__name__
        and not value.__name__.startswith("_")
    ]
    if len(found) != 1:
        raise TypeError(f"{module.__name__} must define one public Surrogate, not {len(found)}")
    return found[0]


_models = Registry("model", __name__, "gridtwin.models", pick=_pick, skip=frozenset({"base"}))


def get(name: str) -> type[Surrogate]:
    """Return the model class of that name.

    Raises `UnknownNameError`, which names the nearest one, and `MissingExtraError` for a net where
    PyTorch is not installed.
    """
    try:
        found: type[Surrogate] = _models.get(name)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "accelerate"):
            raise
        raise MissingExtraError(f"the model {name!r}", "PyTorch and accelerate", "torch") from error
    found.name = name  # what a saved model is loaded by
    return found


def names() -> list[str]:
    """Return the names of all models."""
    return _models.names()


def load(folder: Path | str) -> Surrogate:
    """Load a fitted model from the folder that `Surrogate.save` wrote."""
    folder = Path(folder)
    try:
        document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        cls = get(document["model"])
    except FileNotFoundError as error:
        raise FormatError(
            f"{folder} holds no model.json; expected a folder written by 'gridtwin train'"
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise FormatError(f"{folder}/model.json is not a saved model: {error}") from error
    return cls._load(folder, document)

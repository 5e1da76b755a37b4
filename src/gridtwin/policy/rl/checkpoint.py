"""Keep arrays and a JSON document in one safetensors file, written whole or not at all."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import FormatError, MissingExtraError
from gridtwin.core.files import writing

__all__ = ["keep", "kept"]

Arrays = dict[str, NDArray[Any]]


def keep(path: Path | str, arrays: Arrays, document: dict[str, Any]) -> None:
    """Write arrays and what belongs to them."""
    try:
        from safetensors.numpy import save_file
    except ImportError as error:
        raise MissingExtraError("to save what was learnt", "safetensors", "rl") from error
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with writing(path) as temporary:
        save_file(whole, temporary, {"document": json.dumps(document)})


def kept(path: Path | str) -> tuple[Arrays, dict[str, Any]]:
    """Read what `keep` wrote."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise MissingExtraError("to load what was learnt", "safetensors", "rl") from error
    path = Path(path)
    if not path.is_file():
        raise FormatError(f"{path}: no such file; expected one that a training wrote")
    try:
        with safe_open(path, "numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            told = (file.metadata() or {}).get("document", "")
        return arrays, json.loads(told)
    except (SafetensorError, ValueError) as error:
        raise FormatError(f"{path}: no file of a training ({error}); train again") from error

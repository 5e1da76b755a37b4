"""``gridtwin train``: learn a model from a trace and save it."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from gridtwin.cli.console import Json, Seed, print_json, read


def command(
    model: Annotated[str, typer.Argument(help="Name of the model, such as trace.")],
    source: Annotated[Path, typer.Argument(metavar="JOBS", help="Job records, any format.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", file_okay=False, help="Folder for the fitted model.")
    ],
    seed: Seed = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a parameter; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Learn a model from a trace and save it in a folder."""
    from gridtwin import models

    make: Callable[..., models.Surrogate] = models.get(model)
    known = {
        name: parameter.default
        for name, parameter in inspect.signature(make).parameters.items()
        if name != "seed"
    }
    parameters = parse_settings(settings or (), model, known)
    fitted = make(seed=seed, **parameters).fit(read(source))
    fitted.save(output)
    if as_json:
        print_json({"model": model, "output": str(output), "parameters": fitted.parameters()})
    else:
        typer.echo(f"{fitted!r} fitted on {source}, saved in {output}")


def parse_settings(
    settings: Iterable[str], model: str, known: Mapping[str, object]
) -> dict[str, Any]:
    """Return the values of ``key=value`` texts; a value is read as TOML, else as plain text.

    `known` holds the default of each parameter; a number, a truth value or a text must stay one.
    """
    from gridtwin.core.errors import UnknownNameError

    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip()
        if not equals or not key:
            raise typer.BadParameter(f"expected KEY=VALUE, got {setting!r}", param_hint="--set")
        if key not in known:
            raise UnknownNameError(f"parameter of {model}", key, known)
        values[key] = _value(text.strip())
        if (kind := _kind(known[key])) and not _is_of(values[key], kind):
            raise typer.BadParameter(
                f"{key}: expected {kind}, such as {known[key]}, got {values[key]!r}",
                param_hint="--set",
            )
    return values


def _kind(default: object) -> str:
    """Return what a parameter takes by its default, nothing where that does not say."""
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    return kinds.get(type(default), "")


def _is_of(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "true or false"
    if isinstance(value, int):
        return kind in ("a whole number", "a number")
    if isinstance(value, float):
        return kind == "a number" and math.isfinite(value)
    return kind == "a text" and isinstance(value, str)


def _value(text: str) -> Any:  # noqa: ANN401 - any TOML value
    import tomllib

    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return document["value"] if len(document) == 1 else text

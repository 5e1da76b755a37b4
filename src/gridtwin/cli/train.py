"""``gridtwin train``: learn a model from a trace and save it."""

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from gridtwin.cli.console import Json, Seed, print_json, read


def command(
    model: Annotated[str, typer.Argument(help="Name of the model, such as trace.")],
    source: Annotated[Path, typer.Argument(metavar="JOBS", help="Job records, any format.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the fitted model.")],
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
    known = [name for name in inspect.signature(make).parameters if name != "seed"]
    parameters = parse_settings(settings or (), model, known)
    fitted = make(seed=seed, **parameters).fit(read(source))
    fitted.save(output)
    if as_json:
        print_json({"model": model, "output": str(output), "parameters": fitted.parameters()})
    else:
        typer.echo(f"{fitted!r} fitted on {source}, saved in {output}")


def parse_settings(settings: Iterable[str], model: str, known: Iterable[str]) -> dict[str, Any]:
    """Return the values of ``key=value`` texts; a value is read as TOML, else as plain text."""
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
    return values


def _value(text: str) -> Any:  # noqa: ANN401 - any TOML value
    import tomllib

    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return document["value"] if len(document) == 1 else text

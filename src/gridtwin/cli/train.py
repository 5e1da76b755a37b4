"""``gridtwin train``: learn a model from a trace and save it."""

import inspect
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridtwin.cli.console import Json, Seed, print_json, read

if TYPE_CHECKING:
    from rich.console import Console

Report = Callable[[int, int, Mapping[str, float]], None]
EVERY = 1000
"""Steps between checkpoints, where not said otherwise."""


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
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            metavar="FOLDER",
            help="Write the training of a net there now and then; go on from what is there.",
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="STEPS", help=f"Steps between checkpoints, {EVERY} if not given."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Learn a model from a trace and save it in a folder."""
    from gridtwin import models
    from gridtwin.core.errors import InputError

    make: Callable[..., models.Surrogate] = models.get(model)
    known = {
        name: parameter.default
        for name, parameter in inspect.signature(make).parameters.items()
        if name != "seed"
    }
    parameters = parse_settings(settings or (), model, known)
    if every is not None and checkpoint is None:
        raise typer.BadParameter("expected --checkpoint FOLDER with it", param_hint="--every")
    surrogate = make(seed=seed, **parameters)
    in_steps = "checkpoint" in inspect.signature(surrogate.fit).parameters
    if checkpoint is not None and not in_steps:
        raise InputError(
            f"{model} is trained in one go, there is nothing to go on from; leave out --checkpoint"
        )
    jobs = read(source)
    if in_steps:
        with progress(model) as report:
            options = {"checkpoint": checkpoint, "every": every or EVERY, "report": report}
            fitted = surrogate.fit(jobs, **options)
    else:
        fitted = surrogate.fit(jobs)
    fitted.save(output)
    if as_json:
        print_json({"model": model, "output": str(output), "parameters": fitted.parameters()})
    else:
        typer.echo(f"{fitted!r} fitted on {source}, saved in {output}")


@contextmanager
def progress(what: str, console: "Console | None" = None) -> Iterator[Report | None]:
    """Give what draws the steps, the time left and the losses of a training on a terminal.

    That is stderr, where no `console` is given; None elsewhere.
    """
    if console is None and not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}", markup=False),
    )
    bar = Progress(*columns, console=console or Console(stderr=True), transient=True)
    with bar:
        task = bar.add_task(what, total=None, losses="")

        def report(step: int, steps: int, losses: Mapping[str, float]) -> None:
            said = ", ".join(f"{name} {loss:.3g}" for name, loss in losses.items())
            bar.update(task, completed=step, total=steps, losses=said)

        yield report


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

"""The command ``gridtwin``: one file per command, each parses, calls one function and prints.

Results go to stdout or the named folder, progress and warnings to stderr. Exit codes: 0 fine,
1 the input is bad or a check failed, 2 wrong usage. Nothing heavy is imported before a command
runs, so that ``gridtwin --help`` stays quick.
"""

import sys
import traceback
import warnings
from typing import Annotated, NoReturn

import typer

from gridtwin import __version__
from gridtwin.cli import (
    analyse,
    anomalies,
    benchmark,
    calibrate,
    check,
    compare_policies,
    demo,
    evaluate,
    example,
    export,
    ingest,
    platform,
    policies,
    report,
    sample,
    serve,
    simulate,
    study,
    train,
    train_policy,
    transfer,
)
from gridtwin.core.errors import GridtwinError, UnknownNameError

__all__ = ["app", "main"]

app = typer.Typer(
    name="gridtwin",
    help="A dynamic model of distributed computing, learnt from job records.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    ingest,
    check,
    analyse,
    anomalies,
    calibrate,
    train,
    sample,
    evaluate,
    benchmark,
    simulate,
    policies,
    compare_policies,
    train_policy,
    transfer,
    export,
    report,
    example,
    serve,
    demo,
):
    app.command(module.__name__.rpartition(".")[2].replace("_", "-"))(module.command)
app.add_typer(platform.app, name="platform")
app.add_typer(study.app, name="study")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gridtwin {__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; any place will do.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Parse the options that stand before the command."""


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code; `args` default to those of the process."""
    args = sys.argv[1:] if args is None else args
    debug = "--debug" in args
    warnings.showwarning = _show_warning
    try:
        app(args=[arg for arg in args if arg != "--debug"], prog_name="gridtwin")
    except Exception as error:
        if debug:
            traceback.print_exc()
        else:
            typer.echo(f"gridtwin: {_sentence(error)}", err=True)
        sys.exit(2 if isinstance(error, UnknownNameError) else 1)
    sys.exit(0)


def _sentence(error: Exception) -> str:
    """Say in one line what went wrong and what to do."""
    if isinstance(error, GridtwinError):
        text = str(error)
    elif isinstance(error, OSError) and error.strerror is not None:
        place = "" if error.filename is None else f"{error.filename}: "
        text = f"{place}{error.strerror}; check the path, your permissions and the space left"
    else:
        kind = type(error).__name__
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        text = f"unexpected {kind}: {error}{notes}; "
        text += "run again with --debug to see where it comes from"
    return " ".join(text.split())


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    typer.echo(f"gridtwin: warning: {message}", err=True)

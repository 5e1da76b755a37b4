"""``gridtwin study``: many scenarios, many seeds, one folder of results."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridtwin.cli.console import (
    Json,
    WhereOption,
    Workers,
    executor,
    print_json,
    print_table,
    say,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from gridtwin.study.folder import Folder

app = typer.Typer(no_args_is_help=True, help="Run a study: scenarios x seeds, compared.")

RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", exists=True, file_okay=False, help="A run folder.")
]
Shard = Annotated[
    str, typer.Option(help="i/n: only the i-th of n parts of the runs; 'merge' joins the folders.")
]
Root = Annotated[
    Path | None,
    typer.Option(
        exists=True, file_okay=False, help="Where the study's paths start from, if that has moved."
    ),
]


@app.command()
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The study file to write: .toml.")],
    records: Annotated[
        Path | None, typer.Option(help="Job records to study; by default the built-in example.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file.")] = False,
) -> None:
    """Write a study file with comments that runs as it is."""
    from gridtwin.study.template import write

    write(file, records=records, force=force)
    typer.echo(f"{file} written; run it with: gridtwin study run {file}")


@app.command()
def run(
    study: Annotated[
        Path,
        typer.Argument(metavar="STUDY", exists=True, help="A study file, or a run folder."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", file_okay=False, help="By default runs/<file's name>."),
    ] = None,
    where: WhereOption = None,
    workers: Workers = None,
    shard: Shard = "1/1",
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Run a study file into a folder, or repeat the study of a folder in another one."""
    from gridtwin.study import run as study_run
    from gridtwin.study.spec import load

    spec = load(study, root=root)
    source = study / "study.toml" if study.is_dir() else study
    folder = output or Path("runs") / (f"{study.name}-again" if study.is_dir() else study.stem)
    text = source.read_text(encoding="utf-8") if source.is_file() else None
    with executor(where, workers) as chosen:
        study_run.run(
            spec, folder, executor=chosen, shard=_shard(shard), progress=_progress(), text=text
        )
    _page(folder)
    _summary(folder, as_json)


@app.command()
def resume(
    folder: RunFolder,
    where: WhereOption = None,
    workers: Workers = None,
    shard: Shard = "1/1",
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Go on with a study that was stopped, at whatever moment."""
    from gridtwin.study import run as study_run

    with executor(where, workers) as chosen:
        study_run.resume(
            folder, executor=chosen, shard=_shard(shard), progress=_progress(), root=root
        )
    _page(folder)
    _summary(folder, as_json)


@app.command()
def merge(
    output: Annotated[Path, typer.Argument(metavar="OUT", file_okay=False, help="New folder.")],
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", exists=True, file_okay=False, help="The shards' folders."),
    ],
    as_json: Json = False,
) -> None:
    """Put the folders of a study's shards together."""
    from gridtwin.study import run as study_run

    study_run.merge(folders, output)
    _page(output)
    _summary(output, as_json)


@app.command()
def show(folder: RunFolder, as_json: Json = False) -> None:
    """Tell how far a study is, and what came out."""
    _summary(folder, as_json)


@app.command()
def compare(
    folder: RunFolder,
    base: Annotated[
        str | None, typer.Option(help="Scenario to compare with, by id or label.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="Repeat it; by default all of the study.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare scenarios with one of them, seed by seed."""
    import polars as pl

    from gridtwin.core.errors import UnknownNameError
    from gridtwin.study.compare import comparison
    from gridtwin.study.folder import Folder

    found = Folder.open(folder)
    for name in metric or []:
        if name not in found.spec.metrics:
            raise UnknownNameError("metric of this study", name, found.spec.metrics)
    chosen = found.spec.base if base is None else found.spec.scenario(base).id
    rows = comparison(found.results, found.spec, chosen)
    rows = rows.filter(pl.col("metric").is_in(metric or list(found.spec.metrics)))
    if as_json:
        print_json({"base": chosen, "scenarios": _labels(found), "comparison": rows.to_dicts()})
        return
    for name in rows["metric"].unique(maintain_order=True):
        _comparison(found, rows.filter(pl.col("metric") == name), str(name))


def _shard(text: str) -> tuple[int, int]:
    i, slash, n = text.partition("/")
    if not slash or not i.isdecimal() or not n.isdecimal():
        raise typer.BadParameter(f"expected i/n such as 1/8, got {text!r}", param_hint="--shard")
    return int(i), int(n)


def _progress() -> "Callable[[int, int], None]":
    """Return what tells on stderr how many runs are done, at most a hundred times."""

    def tell(ready: int, total: int) -> None:
        if ready == total or ready % max(1, total // 100) == 0:
            say(f"{ready} of {total} runs")

    return tell


def _labels(found: "Folder") -> dict[str, str]:
    return {scenario.id: scenario.label for scenario in found.scenarios}


def _page(folder: Path) -> None:
    """Write the study's page into its folder."""
    from gridtwin.report import write_study_report
    from gridtwin.study.folder import Folder

    say(f"report: {write_study_report(Folder.open(folder), folder / 'report.html')}")


def _summary(folder: Path, as_json: bool) -> None:
    """Tell how far a study is, the first metrics of each scenario, and what moves them."""
    import polars as pl

    from gridtwin.study.folder import Folder

    found = Folder.open(folder)
    spec, ready = found.spec, set(found.finished)
    done = len(ready)
    if as_json:
        told: dict[str, Any] = {"name": spec.name, "output": str(folder), "done": done}
        told |= {"runs": found.total, "base": spec.base, "scenarios": _labels(found)}
        told |= {"comparison": found.comparison.to_dicts()}
        told |= {"sensitivity": found.sensitivity.to_dicts()}
        print_json(told | {"feedback": found.feedback.to_dicts(), "notes": found.notes.to_dicts()})
        return
    typer.echo(f"{spec.name}: {done} of {found.total} runs done, in {folder}")
    for name in spec.metrics[:1]:
        _comparison(found, found.comparison.filter(pl.col("metric") == name), name)
    _sensitivity(found)
    for scenario, note, runs in found.notes.head(10).iter_rows():
        say(f"note: {spec.by_id[scenario].label}, {runs} runs: {note}")
    if not found.complete:
        missing = [f"{name}-{seed}" for name, seed in spec.runs if (name, seed) not in ready]
        some = ", ".join(missing[:8]) + (", …" if len(missing) > 8 else "")
        say(f"{len(missing)} runs are missing ({some}): gridtwin study resume {folder}")


def _comparison(found: "Folder", rows: "pl.DataFrame", metric: str) -> None:
    from gridtwin.study.kpis import METRICS

    about = METRICS[metric]
    columns = ["scenario", "seeds", "mean", "change", "95 % interval", "ratio", "wins"]
    labels = _labels(found)
    body = [
        (
            labels[row["scenario"]],
            row["n"],
            row["mean"],
            row["change"],
            None if row["low"] is None else [row["low"], row["high"]],
            row["ratio"],
            row["wins"],
        )
        for row in rows.iter_rows(named=True)
    ]
    print_table(f"{metric} ({about.unit}): {about.definition}", columns, body)


def _sensitivity(found: "Folder") -> None:
    """Print each axis' share of the variance, a column for each of the first metrics."""
    import polars as pl

    names = list(found.spec.metrics[:6])
    rows = found.sensitivity.filter(pl.col("metric").is_in(names))
    axes = rows["axis"].unique(maintain_order=True).to_list()
    share = {(a, m): s for a, m, s in rows.select("axis", "metric", "share").iter_rows()}
    body = [(axis, *(share.get((axis, name)) for name in names)) for axis in axes]
    if body:
        print_table("share of the variance that each axis explains", ["axis", *names], body)

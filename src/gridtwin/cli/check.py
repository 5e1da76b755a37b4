"""``gridtwin check``: what is wrong or worth knowing in a file of job records."""

from pathlib import Path
from typing import Annotated

import typer

from gridtwin.cli.console import Cores, Json, print_json, print_table


def command(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="Job records, any format.")],
    cores: Cores = None,
    as_json: Json = False,
) -> None:
    """List what is wrong (exit code 1) or worth knowing in a file of job records."""
    import gridtwin
    from gridtwin.trace.check import check

    jobs = gridtwin.read(source)
    findings = check(jobs, cores=cores)
    good = all(finding.level != "error" for finding in findings)
    if as_json:
        listed = [vars(finding) for finding in findings]
        print_json({**jobs.provenance.to_json(), "good": good, "findings": listed})
    else:
        rows = [(f.level, f.what, f.rows, f.detail) for f in findings]
        print_table(f"{source}: {len(jobs)} jobs", ["level", "what", "rows", "detail"], rows)
    raise typer.Exit(0 if good else 1)

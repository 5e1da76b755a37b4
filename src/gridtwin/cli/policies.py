"""``gridtwin policies``: which queueing policies there are."""

from dataclasses import asdict
from typing import Any

from gridtwin.cli.console import Json, print_json, print_table


def command(as_json: Json = False) -> None:
    """List the queueing policies with formula and source.

    Each goes with backfilling, too: sjf+easy, sjf+conservative.
    """
    from gridtwin import policy
    from gridtwin.policy.queueing import QUEUEING

    simulated = set(policy.names())
    rows: list[dict[str, Any]] = [
        {
            **{key: value for key, value in asdict(one).items() if key in _TOLD},
            "simulate": one.name in simulated,
        }
        for one in QUEUEING.values()
    ]
    if as_json:
        print_json({"policies": rows})
        return
    titles = ["policy", "score, lowest first", "source", "changes while waiting", "in simulate"]
    print_table("queueing policies", titles, [list(row.values()) for row in rows])


_TOLD = ("name", "formula", "source", "moving")

"""What records of a grid need beyond their columns: sites for queues, pseudonyms for users."""

from collections.abc import Mapping

import polars as pl

from gridtwin.trace.pseudonyms import KEPT, Key, replace_names

__all__ = ["located", "queue_sizes", "unnamed", "without_site"]


def located(rows: pl.DataFrame, queues: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Return the rows with the site of each queue, and a note of the queues without one.

    A queue that the map does not name is its own site.
    """
    if "queue" not in rows.columns:
        return rows, []
    site = pl.col("queue").replace_strict(
        queues["queue"], queues["site"], default=None, return_dtype=pl.String
    )
    rows = rows.with_columns(site=site)
    rows = rows.with_columns(pl.coalesce("site", "queue").alias("site"))
    return rows, without_site(queue_sizes(rows), queues)


def queue_sizes(rows: pl.DataFrame) -> dict[str, int]:
    """Return the number of jobs of each queue."""
    counts = rows["queue"].drop_nulls().value_counts()
    return dict(zip(counts["queue"], counts["count"], strict=True))


def without_site(sizes: Mapping[str, int], queues: pl.DataFrame) -> list[str]:
    """Return a note of the queues, with their numbers of jobs, that the map does not name."""
    known = set(queues["queue"])
    lost = {queue: jobs for queue, jobs in sizes.items() if queue not in known}
    if not lost:
        return []
    return [
        f"{len(lost)} of {len(sizes)} queues ({sum(lost.values())} jobs) are not in the map of "
        "queues: each is taken for a site of its own."
    ]


def unnamed(
    rows: pl.DataFrame, columns: tuple[str, ...], *, keep: bool, key: Key | None = None
) -> tuple[pl.DataFrame, list[str]]:
    """Return the rows with pseudonyms for names of persons, and the note of what was done."""
    present = [name for name in columns if name in rows.columns and rows[name].count()]
    if not present:
        return rows, []
    if keep:
        return rows, [KEPT]
    key = key or Key.choose()
    return replace_names(rows, present, key), [key.note]

"""What records of a grid need beyond their columns: sites for queues, pseudonyms for users."""

import polars as pl

from gridtwin.trace.pseudonyms import KEPT, Key, replace_names

__all__ = ["located", "unnamed"]


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
    lost = rows.filter(pl.col("queue").is_not_null() & pl.col("site").is_null())["queue"]
    notes = []
    if len(lost):
        notes.append(
            f"{lost.n_unique()} of {rows['queue'].drop_nulls().n_unique()} queues ({len(lost)} "
            "jobs) are not in the map of queues: each is taken for a site of its own."
        )
    return rows.with_columns(pl.coalesce("site", "queue").alias("site")), notes


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

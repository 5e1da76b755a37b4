"""Replace names of persons by keyed hashes, also where they stand inside other names.

A pseudonym is the first 48 bits of a keyed BLAKE2b digest of the name: the same name and key give
the same pseudonym, and without the key nobody can test a name against it. The key comes from the
environment variable ``GRIDTWIN_KEY``; without it each import draws one that is never kept.
"""

import os
import re
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b

import polars as pl

from gridtwin.trace import datasets

__all__ = ["KEPT", "Key", "replace_names", "replace_users", "replace_words"]

KEPT = "User names are kept as they are in the source (--keep-names)."
"""What the provenance says of a table whose names were not replaced."""

_VARIABLE = "GRIDTWIN_KEY"
_NUMBER = re.compile(r"[0-9]+(?:\.0*)?")
_OWNER = re.compile(r"(?<![A-Za-z0-9_\-])(user\.)([^.:/,\s]+)")
_WORD = re.compile(r"[^\W_]+")
_STRUCTURE = frozenset({"user", "group", "panda", "um"})  # words that names are built with


@dataclass(frozen=True)
class Key:
    """The secret of the pseudonyms of one import; it is not shown when the key is printed."""

    secret: bytes = field(repr=False)
    note: str
    """What the provenance says of the pseudonyms; the secret is not in it."""

    @classmethod
    def choose(cls) -> "Key":
        """Return the key of ``GRIDTWIN_KEY``, or one drawn for this import."""
        if given := os.environ.get(_VARIABLE, ""):
            note = f"User names were replaced by keyed hashes (key from {_VARIABLE})."
            return cls(given.encode("utf-8", "surrogateescape"), note)
        note = (
            "User names were replaced by keyed hashes; the key was drawn for this import and not "
            f"kept, so that another import gives others (set {_VARIABLE} to keep them the same)."
        )
        return cls(secrets.token_bytes(32), note)

    def pseudonym(self, name: str) -> str:
        """Return ``u`` and 12 digits for a name, whatever its case and the blanks around it."""
        secret = blake2b(self.secret).digest()  # a key may be of any length
        text = name.strip().casefold().encode("utf-8", "surrogatepass")
        return "u" + blake2b(text, key=secret, digest_size=6).hexdigest()


def replace_names(frame: pl.DataFrame, columns: Iterable[str], key: Key) -> pl.DataFrame:
    """Return the rows with pseudonyms in place of names of persons in these columns.

    In ``user`` the whole value is a name; a number is an id already and stays. In other columns
    the name after ``user.`` is replaced, and every word of it that is (part of) a name known from
    these rows, whatever its case. Names of official datasets hold no person and stay. Each
    distinct value is worked on once; the memory needed is that of the distinct values.
    """
    columns = list(columns)
    frame, words = replace_users(frame, columns, key)
    return replace_words(frame, columns, words, key)


def replace_users(
    frame: pl.DataFrame, columns: Iterable[str], key: Key
) -> tuple[pl.DataFrame, frozenset[str]]:
    """Return the rows with pseudonyms for users and after ``user.``, and the words of names.

    The first half of `replace_names`, for rows that come in pieces: each piece by itself. The
    words, in lower case, are the names known from these rows and their parts.
    """
    texts = _texts(frame, columns)
    users: list[str] = []
    if "user" in columns and "user" in frame.columns:
        users = list(map(str, frame["user"].drop_nulls().unique().to_list()))
    users = [value for value in users if not _NUMBER.fullmatch(value)]
    hide = cache(key.pseudonym)

    def owner(found: re.Match[str]) -> str:
        name = found[2]
        return found[1] + (name if _NUMBER.fullmatch(name) else hide(name))

    mapped = {
        name: {text: _OWNER.sub(owner, text) for text in found if "user." in text}
        for name, found in texts.items()
    }
    mapped["user"] = {name: hide(name) for name in users}
    return _mapped(frame, mapped), _words(users, texts.values())


def replace_words(
    frame: pl.DataFrame, columns: Iterable[str], words: Collection[str], key: Key
) -> pl.DataFrame:
    """Return the rows with pseudonyms for these words in all these columns but ``user``.

    The second half of `replace_names`, with the words of all pieces.
    """
    hide = cache(key.pseudonym)

    def word(found: re.Match[str]) -> str:
        return hide(found[0]) if found[0].casefold() in words else found[0]

    mapped = {
        name: {text: _WORD.sub(word, text) for text in found}
        for name, found in _texts(frame, columns).items()
    }
    return _mapped(frame, mapped)


def _mapped(frame: pl.DataFrame, tables: dict[str, dict[str, str]]) -> pl.DataFrame:
    """Return the rows with other values in place of those that the tables change."""
    changes = {
        name: {old: new for old, new in table.items() if old != new}
        for name, table in tables.items()
    }
    return frame.with_columns(
        pl.col(name).replace(list(table), list(table.values()))
        for name, table in changes.items()
        if table
    )


def _texts(frame: pl.DataFrame, columns: Iterable[str]) -> dict[str, list[str]]:
    """Return the distinct values of each column but ``user`` that can hold a name of a person."""
    names = [name for name in columns if name in frame.columns and name != "user"]
    return {name: _with_persons(frame[name].drop_nulls().unique()) for name in names}


def _with_persons(values: pl.Series) -> list[str]:
    """Return the values that can hold a name of a person: neither official datasets nor numbers."""
    values = values.filter(~values.str.contains(r"^[0-9]+$"))
    parts = datasets.parse_names(values)
    official = (parts["kind"] == "official") & (parts["scope"] == parts["project"])
    return values.filter(~official).to_list()


def _words(users: Iterable[str], texts: Iterable[list[str]]) -> frozenset[str]:
    """Return the names known from these rows and their parts of three letters or more."""
    names = set(users)
    for values in texts:
        names.update(found[1] for text in values for found in _OWNER.findall(text))
    names = {name for name in names if not _NUMBER.fullmatch(name)}
    parts = {word for name in names for word in _WORD.findall(name)}
    long = {word for word in parts if len(word) > 2 and not word.isdigit()}
    return frozenset(word.casefold() for word in long | names) - _STRUCTURE

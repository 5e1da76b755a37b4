"""Replace names of persons by keyed hashes, also where they stand inside other names.

A pseudonym is the first 48 bits of a keyed BLAKE2b digest of the name: the same name and key give
the same pseudonym, and without the key nobody can test a name against it. The key comes from the
environment variable ``GRIDTWIN_KEY``; without it each import draws one that is never kept.
"""

import os
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b

import polars as pl

from gridtwin.trace import datasets

__all__ = ["KEPT", "Key", "replace_names"]

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
    columns = [name for name in columns if name in frame.columns]
    values = {name: frame[name].drop_nulls().unique() for name in columns}
    own = {name: list(map(str, found)) for name, found in values.items()}
    users = [value for value in own.pop("user", []) if not _NUMBER.fullmatch(value)]
    texts = {name: _with_persons(values[name]) for name in own}
    words = _words(users, texts.values())
    hide = cache(key.pseudonym)
    mapped = {name: {text: _hidden(text, words, hide) for text in texts[name]} for name in texts}
    if users:
        mapped["user"] = {name: hide(name) for name in users}
    return frame.with_columns(
        pl.col(name).replace(list(table), list(table.values()))
        for name, table in mapped.items()
        if table
    )


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


def _hidden(text: str, words: frozenset[str], hide: Callable[[str], str]) -> str:
    """Return the text with pseudonyms in place of the names in it."""

    def owner(found: re.Match[str]) -> str:
        name = found[2]
        return found[1] + (name if _NUMBER.fullmatch(name) else hide(name))

    def word(found: re.Match[str]) -> str:
        return hide(found[0]) if found[0].casefold() in words else found[0]

    return _WORD.sub(word, _OWNER.sub(owner, text))

"""Compile functions with numba, and keep what was compiled where there is a place for it."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from numba import njit

__all__ = ["Compiled", "compiled", "part", "rare", "sources"]

Compiled = Any  # numba is untyped
_njit: Any = njit  # nor are all its options
Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function, **options: object) -> Function:
    """Return the function compiled when it is first called.

    Numba keeps the machine code beside the source, else in the user's cache folder. Where it may
    write neither (an account without a home, a read-only image), each process compiles anew.
    """
    options = {"nogil": True, "error_model": "numpy"} | options
    try:
        return _njit(function, cache=True, **options)
    except RuntimeError:  # "no locator available for file"
        return _njit(function, **options)


def part(function: Compiled) -> Compiled:
    """Compile a function of the grid kernel, without counting references.

    The kernel allocates nothing, and counting the references of the state's arrays at each call
    would cost more than the work.
    """
    return _njit(
        function,
        _nrt=False,
        error_model="numpy",
        no_cpython_wrapper=True,
        forceinline=True,
    )


def rare(function: Compiled) -> Compiled:
    """Compile a function of the grid kernel that is called, not copied into its callers."""
    return _njit(function, _nrt=False, error_model="numpy", no_cpython_wrapper=True)


def sources(folder: Path | None = None) -> str:
    """Return a fingerprint of the sources of the kernels in a folder, by default this one.

    Numba notices changes of the file of a compiled function, not of the files of what it calls. A
    function that refers to this text as a variable of its maker is compiled anew when any changes.
    """
    digest = hashlib.sha256()
    for path in sorted((folder or Path(__file__).parent).glob("[!p]*.py")):  # but plain ones
        digest.update(path.read_bytes())
    return digest.hexdigest()

"""Compile functions with numba, and keep what was compiled where there is a place for it."""

from collections.abc import Callable
from typing import TypeVar

from numba import njit

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Return the function compiled when it is first called.

    Numba keeps the machine code beside the source, else in the user's cache folder. Where it may
    write neither (an account without a home, a read-only image), each process compiles anew.
    """
    try:
        return njit(function, cache=True, nogil=True, error_model="numpy")  # type: ignore[no-any-return]
    except RuntimeError:  # "no locator available for file"
        return njit(function, nogil=True, error_model="numpy")  # type: ignore[no-any-return]

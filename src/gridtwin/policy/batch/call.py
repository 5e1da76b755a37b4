"""Call a score of four numbers through its address, so that one kernel serves every policy."""

from collections.abc import Callable
from functools import cache
from typing import Any

from llvmlite import ir
from numba import cfunc, types
from numba.extending import intrinsic

from gridtwin.sim.kernel.jit import compiled

__all__ = ["Score", "address_of", "call", "score_all"]

Score = Callable[[float, float, float, float], float]
"""``score(request, width, submit, wait)``: s, processors, s, s; lower is first."""

_REAL = types.float64


@cache
def _made(score: Score) -> Any:  # noqa: ANN401 - numba is untyped
    plain = getattr(score, "py_func", score)
    return cfunc(_REAL(_REAL, _REAL, _REAL, _REAL), error_model="numpy")(plain)


def address_of(score: Score) -> int:
    """Compile a score, plain or of numba's, once a process; return where it is."""
    return int(_made(score).address)


def _call(
    typing_context: Any,  # noqa: ANN401 - numba is untyped
    address: Any,  # noqa: ANN401
    request: Any,  # noqa: ANN401
    width: Any,  # noqa: ANN401
    submit: Any,  # noqa: ANN401
    wait: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Return the type and the code of a call through an address."""

    def make(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401
        real = ir.DoubleType()
        pointer = ir.PointerType(ir.FunctionType(real, [real] * 4))
        return builder.call(builder.inttoptr(args[0], pointer), args[1:])

    return _REAL(types.int64, _REAL, _REAL, _REAL, _REAL), make


call: Any = intrinsic(_call)
"""``call(address, request, width, submit, wait)``: the score at an address, in compiled code."""


def _score_all(address, request, width, submit, wait, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for k in range(len(out)):
        out[k] = call(address, request[k], width[k], submit[k], wait[k])


score_all: Any = compiled(_score_all)
"""Fill an array with the scores of many jobs."""

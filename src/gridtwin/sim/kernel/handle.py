"""Hand the state to compiled functions as one pointer.

Numba passes an array as seven words; thirty tables would be two hundred words at every call, which
costs more than the work of most functions, and takes minutes to compile. Here `State` is a list of
addresses, and ``state.jobs`` in compiled code is the array that lies there. Nothing is counted or
freed by compiled code: whoever runs it holds the `State`.
"""

from typing import Any

from llvmlite import ir
from numba import from_dtype, types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.extending import (
    NativeValue,
    infer_getattr,
    lower_getattr_generic,
    register_model,
    typeof_impl,
    unbox,
)
from numba.core.typing.templates import AttributeTemplate
from numba.extending import intrinsic
from numba.np import arrayobj

from gridtwin.sim.kernel.state import FIELDS, State

__all__ = ["StateType", "prefetch", "state_type"]

Numba = Any  # numba and llvmlite have no types
_intrinsic: Numba = intrinsic

_WORDS = 4
"""Words of a field in the list of addresses: the data's place and up to three lengths."""


class StateType(types.Type):
    """The state in compiled code; all states have this one type."""

    def __init__(self) -> None:
        super().__init__(name="gridtwin.State")


state_type = StateType()
_kind: Numba = from_dtype
_ARRAYS = {name: types.Array(_kind(dtype), rank, "C") for name, (dtype, rank) in FIELDS.items()}
_PLACES = {name: k for k, name in enumerate(FIELDS)}


@register_model(StateType)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Numba, kind: Numba) -> None:
        super().__init__(manager, kind, ir.IntType(64).as_pointer())


@typeof_impl.register(State)
def _typeof(state: State, context: object) -> StateType:
    return state_type


@unbox(StateType)
def _unbox(kind: Numba, state: Numba, c: Numba) -> NativeValue:
    """Read the address of the list of addresses."""
    number = c.pyapi.object_getattr_string(state, "address")
    address = c.pyapi.long_as_longlong(number)
    c.pyapi.decref(number)
    pointer = c.builder.inttoptr(address, ir.IntType(64).as_pointer())
    return NativeValue(pointer, is_error=cgutils.is_not_null(c.builder, c.pyapi.err_occurred()))


@infer_getattr
class _Attributes(AttributeTemplate):
    key = StateType

    def generic_resolve(self, kind: Numba, name: str) -> Numba:  # type: ignore[override]
        return _ARRAYS.get(name)


@lower_getattr_generic(StateType)
def _get(context: Numba, builder: Numba, kind: Numba, value: Numba, name: str) -> Numba:
    """Make an array of a field's address and lengths, which never change while code runs."""
    array_type = _ARRAYS[name]
    constant = builder.module.add_metadata([])

    def word(k: int) -> Numba:
        place = ir.Constant(ir.IntType(64), _WORDS * _PLACES[name] + k)
        load = builder.load(builder.gep(value, [place]))
        load.set_metadata("invariant.load", constant)
        return load

    size = context.get_abi_sizeof(context.get_data_type(array_type.dtype))
    if isinstance(array_type.dtype, types.Record):
        size = array_type.dtype.size
    shape = [word(1 + axis) for axis in range(array_type.ndim)]
    strides: list[Numba] = []
    step = ir.Constant(ir.IntType(64), size)
    for length in reversed(shape):
        strides.insert(0, step)
        step = builder.mul(step, length)
    array = context.make_array(array_type)(context, builder)
    data = builder.inttoptr(word(0), array.data.type)
    arrayobj.populate_array(
        array,
        data=data,
        shape=cgutils.pack_array(builder, shape),
        strides=cgutils.pack_array(builder, strides),
        itemsize=ir.Constant(ir.IntType(64), size),
        meminfo=None,
    )
    return array._getvalue()


@_intrinsic
def prefetch(typing_context: Numba, table: Numba, row: Numba) -> Numba:
    """Ask for the cache line in which a row begins, without waiting; any row number is safe."""

    def make(context: Numba, builder: Numba, signature: Numba, arguments: Numba) -> Numba:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        size = ir.Constant(ir.IntType(64), signature.args[0].dtype.size)
        place = builder.gep(builder.bitcast(array.data, byte), [builder.mul(arguments[1], size)])
        kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(call, [place, flag(0), flag(3), flag(1)])  # to read, keep it, data
        return context.get_dummy_value()

    return types.void(table, types.int64), make

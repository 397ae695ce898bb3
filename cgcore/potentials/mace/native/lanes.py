"""A row of channels as one value in functions that Numba compiles: x + y, x * y, 2.0 * x, sums, loads and stores.

Loops over channels written out are at the mercy of a compiler that cannot know which arrays overlap. A value of this type
is a vector for LLVM, which keeps it in registers of whatever width the machine has.
"""

import operator
from collections.abc import Callable
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, overload, register_model

FLAGS = ("contract", "reassoc", "nsz", "arcp")


class LanesType(types.Type):
    """Numba's type of one row of `width` channels."""

    def __init__(self, width: int):
        super().__init__(f"Lanes{width}")
        self.width = width
        self.vector = ir.VectorType(ir.FloatType(), width)


@register_model(LanesType)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, kind.vector)


class Rows(NamedTuple):
    """What can be done with rows of one width.

    load(array, row), store(array, row, value): row number `row` of an array of 32-bit floats whose last axis are the
    channels, other axes counted through; splat(number): a row of one number; total(row): the sum over its channels.
    """

    load: Callable
    store: Callable
    splat: Callable
    total: Callable


def rows_of(width: int) -> Rows:
    """The functions for rows of so many channels."""
    lanes, vector = LanesType(width), ir.VectorType(ir.FloatType(), width)

    def address(context, builder, array_type, array, row):
        data = context.make_array(array_type)(context, builder, array).data
        start = builder.mul(row, ir.Constant(row.type, width))
        return builder.bitcast(builder.gep(data, [start]), vector.as_pointer())

    @intrinsic
    def load(typingctx, array, row):
        def codegen(context, builder, signature, args):
            return builder.load(address(context, builder, signature.args[0], *args), align=4)

        return lanes(array, types.int64), codegen

    @intrinsic
    def store(typingctx, array, row, value):
        def codegen(context, builder, signature, args):
            builder.store(args[2], address(context, builder, signature.args[0], args[0], args[1]), align=4)
            return context.get_dummy_value()

        return types.void(array, types.int64, lanes), codegen

    @intrinsic
    def splat(typingctx, number):
        def codegen(context, builder, signature, args):
            return _repeated(builder, vector, args[0])

        return lanes(types.float32), codegen

    @intrinsic
    def total(typingctx, row):
        def codegen(context, builder, signature, args):
            kind = ir.FunctionType(ir.FloatType(), [ir.FloatType(), vector])
            function = builder.module.declare_intrinsic(f"llvm.vector.reduce.fadd.v{width}f32", (), kind)
            return builder.call(function, [ir.Constant(ir.FloatType(), 0.0), args[0]], fastmath=FLAGS)

        return types.float32(lanes), codegen

    return Rows(load, store, splat, total)


def _repeated(builder, vector, number):
    single = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(single, ir.Constant(vector, ir.Undefined), mask)


def _binary(operation: str):
    @intrinsic
    def of_two(typingctx, x, y):
        def codegen(context, builder, signature, args):
            return getattr(builder, operation)(*args, flags=FLAGS)

        return y(x, y), codegen

    @intrinsic
    def of_number(typingctx, x, y):
        def codegen(context, builder, signature, args):
            row = _repeated(builder, signature.args[1].vector, args[0])
            return getattr(builder, operation)(row, args[1], flags=FLAGS)

        return y(types.float32, y), codegen

    return of_two, of_number


_add, _ = _binary("fadd")
_multiply, _scale = _binary("fmul")


@overload(operator.add)
@overload(operator.iadd)
def _overload_add(x, y):
    if isinstance(x, LanesType) and x == y:
        return lambda x, y: _add(x, y)
    return None


@overload(operator.mul)
def _overload_multiply(x, y):
    if isinstance(x, LanesType) and x == y:
        return lambda x, y: _multiply(x, y)
    if isinstance(x, types.Number) and isinstance(y, LanesType):
        return lambda x, y: _scale(x, y)
    return None


LANES = 32
load, store, splat, total = rows_of(LANES)

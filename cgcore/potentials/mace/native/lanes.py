"""A row of 32 channels as one value in functions that Numba compiles: x + y, x * y, 2.0 * x, sums, loads and stores.

Loops over channels written out are at the mercy of a compiler that cannot know which arrays overlap. A value of this type
is a vector for LLVM, which keeps it in registers of whatever width the machine has.
"""

import operator

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, overload, register_model

LANES = 32
FLAGS = ("contract", "reassoc", "nsz", "arcp")
VECTOR = ir.VectorType(ir.FloatType(), LANES)


class LanesType(types.Type):
    """Numba's type of one row."""

    def __init__(self):
        super().__init__("Lanes")


lanes = LanesType()


@register_model(LanesType)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, VECTOR)


def _address(context, builder, array_type, array, row):
    data = context.make_array(array_type)(context, builder, array).data
    start = builder.mul(row, ir.Constant(row.type, LANES))
    return builder.bitcast(builder.gep(data, [start]), VECTOR.as_pointer())


@intrinsic
def load(typingctx, array, row):
    """Row number `row` of an array of 32-bit floats whose last axis are the channels, other axes counted through."""

    def codegen(context, builder, signature, args):
        return builder.load(_address(context, builder, signature.args[0], *args), align=4)

    return lanes(array, types.int64), codegen


@intrinsic
def store(typingctx, array, row, value):
    """Write a row; see `load`."""

    def codegen(context, builder, signature, args):
        builder.store(args[2], _address(context, builder, signature.args[0], args[0], args[1]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.int64, lanes), codegen


@intrinsic
def splat(typingctx, number):
    """A row of one number."""

    def codegen(context, builder, signature, args):
        single = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), args[0], ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return builder.shuffle_vector(single, ir.Constant(VECTOR, ir.Undefined), mask)

    return lanes(types.float32), codegen


@intrinsic
def total(typingctx, row):
    """Sum over the channels."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(ir.FloatType(), [ir.FloatType(), VECTOR])
        function = builder.module.declare_intrinsic(f"llvm.vector.reduce.fadd.v{LANES}f32", (), kind)
        return builder.call(function, [ir.Constant(ir.FloatType(), 0.0), args[0]], fastmath=FLAGS)

    return types.float32(lanes), codegen


def _binary(operation: str):
    @intrinsic
    def of_two(typingctx, x, y):
        def codegen(context, builder, signature, args):
            return getattr(builder, operation)(*args, flags=FLAGS)

        return lanes(lanes, lanes), codegen

    return of_two


_add, _multiply = _binary("fadd"), _binary("fmul")


@overload(operator.add)
@overload(operator.iadd)
def _overload_add(x, y):
    if x is lanes and y is lanes:
        return lambda x, y: _add(x, y)
    return None


@overload(operator.mul)
def _overload_multiply(x, y):
    if x is lanes and y is lanes:
        return lambda x, y: _multiply(x, y)
    if isinstance(x, types.Number) and y is lanes:
        return lambda x, y: _multiply(splat(x), y)
    return None

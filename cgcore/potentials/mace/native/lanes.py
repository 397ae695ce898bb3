"""A row of 32 numbers as one value in functions that Numba compiles: channels of a bead, or edges side by side.

Loops over channels written out are at the mercy of a compiler that cannot know which arrays overlap. A value of this type
is a vector for LLVM, which keeps it in registers of whatever width the machine has. No operation may be reordered or fused
but where `fma` says so: results do not depend on what the compiler inlines where, nor on the width.
"""

import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

LANES = 32
SUMMED = 16
"""Rows that `totals` sums up at once."""
FLOAT, VECTOR = ir.FloatType(), ir.VectorType(ir.FloatType(), LANES)


class LanesType(types.Type):
    """Numba's type of one row."""

    def __init__(self):
        super().__init__("Lanes")


lanes = LanesType()


@register_model(LanesType)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, VECTOR)


def _number_at(context, builder, array_type, array, place):
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [place])


def _address(context, builder, array_type, array, row):
    start = builder.mul(row, ir.Constant(row.type, LANES))
    return builder.bitcast(_number_at(context, builder, array_type, array, start), VECTOR.as_pointer())


def _splat(builder, number):
    single = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    return _shuffle(builder, single, single, [0] * LANES)


def _shuffle(builder, x, y, chosen):
    return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(ir.IntType(32), len(chosen)), list(chosen)))


def _call(builder, name, *arguments):
    kind = arguments[0].type
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * len(arguments)), f"llvm.{name}.v{kind.count}f32"
    )
    return builder.call(function, arguments)


@intrinsic
def load(typingctx, array, row):
    """Row number `row` of an array of 32-bit floats whose last axis are the lanes, other axes counted through."""

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
    return lanes(types.float32), lambda context, builder, signature, args: _splat(builder, args[0])


@intrinsic
def _fma(typingctx, x, y, z):
    return lanes(lanes, lanes, lanes), lambda context, builder, signature, args: _call(builder, "fma", *args)


@intrinsic
def sqrt(typingctx, x):
    """The square roots of a row."""
    return lanes(lanes), lambda context, builder, signature, args: _call(builder, "sqrt", *args)


def fma(x, y, z):
    """x y + z, rounded once; x may be a number."""
    raise NotImplementedError("for functions that Numba compiles")


@overload(fma)
def _overload_fma(x, y, z):
    if x is lanes:
        return lambda x, y, z: _fma(x, y, z)
    return lambda x, y, z: _fma(splat(np.float32(x)), y, z)


@intrinsic
def total(typingctx, row):
    """Sum over a row, halves added to each other."""

    def codegen(context, builder, signature, args):
        x, n = args[0], LANES
        while n > 1:
            n //= 2
            x = builder.fadd(*(_shuffle(builder, x, x, range(start, start + n)) for start in (0, n)))
        return builder.extract_element(x, ir.Constant(ir.IntType(32), 0))

    return types.float32(lanes), codegen


@intrinsic
def totals(typingctx, rows, row, out, place):
    """Sums over each of the SUMMED rows from `row` on, into as many numbers of `out` from `place` on."""

    def codegen(context, builder, signature, args):
        def half(number):
            address = _address(context, builder, signature.args[0], args[0], builder.add(args[1], number))
            x = builder.load(address, align=4)
            return builder.fadd(*(_shuffle(builder, x, x, range(start, start + 16)) for start in (0, 16)))

        sums = [half(ir.Constant(args[1].type, r)) for r in range(SUMMED)]
        width = 8  # in which the sums of one row lie beside those of another
        while width:
            # Of both rows the upper half of each stretch of 2 x width is added to the lower; x stands before y.
            low = [s + k for s in range(0, 16, 2 * width) for k in range(width)]
            first = [
                k for s in range(0, 8, width) for k in (*low[s : s + width], *(16 + k for k in low[s : s + width]))
            ]
            sums = [
                builder.fadd(_shuffle(builder, x, y, first), _shuffle(builder, x, y, [k + width for k in first]))
                for x, y in zip(sums[: len(sums) // 2], sums[len(sums) // 2 :], strict=True)
            ]
            width //= 2
        target = _number_at(context, builder, signature.args[2], args[2], args[3])
        builder.store(sums[0], builder.bitcast(target, sums[0].type.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(rows, types.int64, out, types.int64), codegen


def _loop(builder, begin, end, width, values, body):
    """values = body(k, values) for k from `begin` to `end` in steps of `width`."""
    before, head, inside, after = (
        builder.block,
        *(builder.append_basic_block(name) for name in ("head", "body", "after")),
    )
    builder.branch(head)
    builder.position_at_end(head)
    k, phis = builder.phi(begin.type), [builder.phi(value.type) for value in values]
    for phi, value in zip([k, *phis], [begin, *values], strict=True):
        phi.add_incoming(value, before)
    builder.cbranch(builder.icmp_signed("<", k, end), inside, after)
    builder.position_at_end(inside)
    changed = [builder.add(k, ir.Constant(k.type, width)), *body(k, phis)]
    for phi, value in zip([k, *phis], changed, strict=True):
        phi.add_incoming(value, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return phis


@intrinsic(prefer_literal=True)
def combine(typingctx, n, out, out_row, numbers, start, step, stride, count, rows, row):
    """n rows of sums over `count` rows, kept in registers: out_r = sum_k x_rk rows_k.

    out_r is row `out_row + r`, rows_k row `row + k`, and x_rk the number `start + r step + k stride` of an array.
    """
    n_rows = n.literal_value
    at_once = max(1, 4 // n_rows)  # several sums of few rows, for each addition waits for the one before

    def codegen(context, builder, signature, args):
        _, out, out_row, numbers, start, step, stride, count, rows, row = args
        whole = count.type

        def constant(value):
            return ir.Constant(whole, value)

        def add(k, sums):
            term = builder.load(_address(context, builder, signature.args[8], rows, builder.add(row, k)), align=4)
            place, added = builder.add(start, builder.mul(k, stride)), []
            for r in range(n_rows):
                at = builder.add(place, builder.mul(step, constant(r)))
                x = builder.load(_number_at(context, builder, signature.args[3], numbers, at), align=4)
                added.append(_call(builder, "fma", _splat(builder, x), term, sums[r]))
            return added

        def several(k, sums):
            return [x for w in range(len(sums) // n_rows) for x in add(builder.add(k, constant(w)), sums[w * n_rows :])]

        sums = [ir.Constant(VECTOR, [0.0] * LANES)] * (n_rows * at_once)
        even = builder.and_(count, constant(-at_once))
        sums = _loop(builder, constant(0), even, at_once, sums, several)
        if at_once > 1:
            sums[:n_rows] = _loop(builder, even, count, 1, sums[:n_rows], several)
        for r in range(n_rows):
            result = sums[r]
            for w in range(1, at_once):
                result = builder.fadd(result, sums[w * n_rows + r])
            address = _address(context, builder, signature.args[1], out, builder.add(out_row, constant(r)))
            builder.store(result, address, align=4)
        return context.get_dummy_value()

    i = types.int64
    return types.void(n, out, i, numbers, i, i, i, i, rows, i), codegen


@intrinsic(prefer_literal=True)
def outer_of_two(typingctx, n, out, out_row, step, left, left_row, stride, right, right_row, count):
    """2 n rows of sums over products of rows, kept in registers: out_er = sum_k left_ke right_kr.

    out_er is row `out_row + e step + r`, left_ke row `left_row + k stride + e`, and right_kr row `right_row + k n + r`.
    """
    n_rows = n.literal_value

    def codegen(context, builder, signature, args):
        _, out, out_row, step, left, left_row, stride, right, right_row, count = args

        def constant(value):
            return ir.Constant(count.type, value)

        def row(number, array, place):
            return builder.load(_address(context, builder, signature.args[number], array, place), align=4)

        def body(k, sums):
            at, place = (
                builder.add(left_row, builder.mul(k, stride)),
                builder.add(right_row, builder.mul(k, constant(n_rows))),
            )
            both = [row(4, left, builder.add(at, constant(e))) for e in (0, 1)]
            others = [row(7, right, builder.add(place, constant(r))) for r in range(n_rows)]
            return [
                _call(builder, "fma", both[e], others[r], sums[e * n_rows + r]) for e in (0, 1) for r in range(n_rows)
            ]

        sums = _loop(builder, constant(0), count, 1, [ir.Constant(VECTOR, [0.0] * LANES)] * (2 * n_rows), body)
        for e in (0, 1):
            for r in range(n_rows):
                place = builder.add(out_row, builder.add(builder.mul(step, constant(e)), constant(r)))
                builder.store(sums[e * n_rows + r], _address(context, builder, signature.args[1], out, place), align=4)
        return context.get_dummy_value()

    i = types.int64
    return types.void(n, out, i, i, left, i, i, right, i, i), codegen


def _binary(operation: str):
    @intrinsic
    def of_two(typingctx, x, y):
        def codegen(context, builder, signature, args):
            return getattr(builder, operation)(*args)

        return lanes(lanes, lanes), codegen

    return of_two


def _overload(symbol, operation: str):
    of_two = _binary(operation)

    @overload(symbol)
    def of_rows_and_numbers(x, y):
        if x is lanes and y is lanes:
            return lambda x, y: of_two(x, y)
        if isinstance(x, types.Number) and y is lanes:
            return lambda x, y: of_two(splat(np.float32(x)), y)
        if x is lanes and isinstance(y, types.Number):
            return lambda x, y: of_two(x, splat(np.float32(y)))
        return None


for _symbol, _operation in (
    (operator.add, "fadd"),
    (operator.iadd, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _overload(_symbol, _operation)

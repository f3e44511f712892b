"""Sixteen float32 lanes as one numba value, lowered by LLVM to whatever the CPU has.

``float32x16`` is an LLVM vector: one AVX-512 register, two AVX2, or four NEON or SSE ones;
nothing here is particular to one CPU. Plain numba does not vectorise the loops of a
rasterizer (they carry masks and early exits), which costs 8 to 16 times.

Operators and ``fma`` to ``like`` work on ``float32x16`` and on float32 scalars alike, so the
projection is written once and serves the vector kernels and the plain fallback.
Functions under ``@overload`` carry no annotations: numba compares them with the lambdas'.
"""

# mypy: disable-error-code="call-arg,var-annotated,assignment,no-untyped-def"
# numba types the kernels: mypy cannot see through its intrinsics.

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from .jit import PLAIN, kernel, warn

LANES = 16

_FLAGS = ("contract", "reassoc", "nsz", "arcp")
_FLOAT = ir.FloatType()
_INT32 = ir.IntType(32)
_INT8 = ir.IntType(8)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_INTEGERS = ir.VectorType(_INT32, LANES)
_UNDEFINED = ir.Constant(_VECTOR, ir.Undefined)


class Float32x16(types.Type):
    """numba type of sixteen float32 lanes."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


float32x16 = Float32x16()


@register_model(Float32x16)
class _Float32x16Model(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _VECTOR)


def _intrinsic_call(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    signature = ir.FunctionType(result, [a.type for a in arguments])
    function = cgutils.get_or_insert_function(builder.module, signature, name)
    return builder.call(function, arguments, fastmath=_FLAGS)


def _mask(lanes: list[int]) -> Any:
    return ir.Constant(ir.VectorType(_INT32, len(lanes)), lanes)


njit_inline: Callable[[Any], Any] = numba.njit(inline="always")


# ---------------------------------------------------------------- making vectors, memory


@intrinsic
def broadcast(typing_context: Any, value: Any) -> Any:
    """The scalar in every lane."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        scalar = context.cast(builder, args[0], signature.args[0], types.float32)
        first = builder.insert_element(_UNDEFINED, scalar, ir.Constant(_INT32, 0))
        return builder.shuffle_vector(first, _UNDEFINED, _mask([0] * LANES))

    if isinstance(value, types.Number):
        return float32x16(value), generate
    return None


@intrinsic
def lane_index(typing_context: Any) -> Any:
    """0, 1, ... 15."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(_VECTOR, [float(i) for i in range(LANES)])

    return float32x16(), generate


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, to: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), to.as_pointer())


def _make_load(alignment: int) -> Any:
    @intrinsic
    def load(typing_context: Any, array: Any, index: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = _pointer(context, builder, signature.args[0], args[0], args[1], _VECTOR)
            value = builder.load(pointer)
            value.align = alignment
            return value

        return float32x16(array, types.intp), generate

    return load


def _make_store(alignment: int) -> Any:
    @intrinsic
    def store(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = _pointer(context, builder, signature.args[0], args[0], args[1], _VECTOR)
            builder.store(args[2], pointer).align = alignment
            return context.get_dummy_value()

        return types.void(array, types.intp, float32x16), generate

    return store


load = _make_load(4)
"""load(flat_array, index): sixteen floats from any address."""
store = _make_store(4)
"""store(flat_array, index, vector)."""
load_aligned = _make_load(4 * LANES)
"""load from a 64-byte boundary."""
store_aligned = _make_store(4 * LANES)
"""store to a 64-byte boundary."""


@intrinsic
def store_streaming(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Store to a 64-byte boundary past the caches: for results larger than those."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1], _VECTOR)
        instruction = builder.store(args[2], pointer)
        instruction.align = 4 * LANES
        hint = builder.module.add_metadata([ir.Constant(_INT32, 1)])
        instruction.set_metadata("nontemporal", hint)
        return context.get_dummy_value()

    return types.void(array, types.intp, float32x16), generate


@intrinsic
def store_integers(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Round towards zero and store sixteen int32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1], _INTEGERS)
        builder.store(builder.fptosi(args[2], _INTEGERS), pointer).align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, float32x16), generate


@intrinsic
def store_bits(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Store the bits of sixteen floats to a uint32 array; positive floats keep their order."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1], _INTEGERS)
        builder.store(builder.bitcast(args[2], _INTEGERS), pointer).align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, float32x16), generate


@intrinsic
def prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of ``array[index]``; harmless out of bounds."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1], _INT8)
        signature_ir = ir.FunctionType(ir.VoidType(), [pointer.type, _INT32, _INT32, _INT32])
        function = cgutils.get_or_insert_function(builder.module, signature_ir, "llvm.prefetch.p0")
        read, keep_close, data = (ir.Constant(_INT32, v) for v in (0, 3, 1))
        builder.call(function, [pointer, read, keep_close, data])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def float_bits(typing_context: Any, value: Any) -> Any:
    """The bits of a float32 as uint32; positive floats keep their order."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], _INT32)

    return types.uint32(types.float32), generate


# ---------------------------------------------------------------- arithmetic


def _make_binary(instruction: str) -> Any:
    @intrinsic
    def binary(typing_context: Any, x: Any, y: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, instruction)(args[0], args[1], flags=_FLAGS)

        return float32x16(float32x16, float32x16), generate

    return binary


def _overload_operator(operation: Any, function: Any) -> None:
    @overload(operation)
    def implementation(x, y):
        x_vector, y_vector = isinstance(x, Float32x16), isinstance(y, Float32x16)
        if x_vector and y_vector:
            return lambda x, y: function(x, y)
        if x_vector and isinstance(y, types.Number):
            return lambda x, y: function(x, broadcast(y))
        if y_vector and isinstance(x, types.Number):
            return lambda x, y: function(broadcast(x), y)
        return None


for _operation, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _overload_operator(_operation, _make_binary(_instruction))


@overload(operator.neg)
def _negate(x):
    if isinstance(x, Float32x16):
        return lambda x: broadcast(np.float32(0.0)) - x
    return None


@intrinsic
def _fma_vector(typing_context: Any, x: Any, y: Any, z: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _intrinsic_call(builder, f"llvm.fmuladd.v{LANES}f32", _VECTOR, list(args))

    return float32x16(float32x16, float32x16, float32x16), generate


@intrinsic
def _sqrt_vector(typing_context: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _intrinsic_call(builder, f"llvm.sqrt.v{LANES}f32", _VECTOR, list(args))

    return float32x16(float32x16), generate


@intrinsic
def _floor_vector(typing_context: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _intrinsic_call(builder, f"llvm.floor.v{LANES}f32", _VECTOR, list(args))

    return float32x16(float32x16), generate


@intrinsic
def _exponent(typing_context: Any, x: Any) -> Any:
    """Binary exponent of positive normal floats."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], _INTEGERS)
        biased = builder.lshr(bits, ir.Constant(_INTEGERS, [23] * LANES))
        exponent = builder.sub(biased, ir.Constant(_INTEGERS, [127] * LANES))
        return builder.sitofp(exponent, _VECTOR)

    return float32x16(float32x16), generate


@intrinsic
def _mantissa(typing_context: Any, x: Any) -> Any:
    """Mantissa in [1, 2)."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], _INTEGERS)
        fraction = builder.and_(bits, ir.Constant(_INTEGERS, [0x7FFFFF] * LANES))
        one = builder.or_(fraction, ir.Constant(_INTEGERS, [0x3F800000] * LANES))
        return builder.bitcast(one, _VECTOR)

    return float32x16(float32x16), generate


def _make_extremum(comparison: str) -> Any:
    """``x < y ? x : y``, the form that CPUs have an instruction for, NaN included."""

    @intrinsic
    def extremum(typing_context: Any, x: Any, y: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            chosen = builder.fcmp_ordered(comparison, args[0], args[1])
            return builder.select(chosen, args[0], args[1])

        return float32x16(float32x16, float32x16), generate

    return extremum


_min_vector = _make_extremum("<")
_max_vector = _make_extremum(">")


@intrinsic
def _select_le_vector(typing_context: Any, x: Any, y: Any, yes: Any, no: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<=", args[0], args[1]), args[2], args[3])

    return float32x16(float32x16, float32x16, float32x16, float32x16), generate


def fma(x: Any, y: Any, z: Any) -> Any:
    """x * y + z, fused where the CPU can; the vector must be ``x``."""
    raise NotImplementedError("called inside numba kernels only")


def sqrt(x: Any) -> Any:
    """Square root per lane; NaN below zero."""
    raise NotImplementedError("called inside numba kernels only")


def select_le(x: Any, y: Any, yes: Any, no: Any) -> Any:
    """``yes`` where x <= y, else ``no`` (also where x or y is NaN)."""
    raise NotImplementedError("called inside numba kernels only")


def minimum(x: Any, y: Any) -> Any:
    """The smaller per lane; ``y`` where either is NaN."""
    raise NotImplementedError("called inside numba kernels only")


def maximum(x: Any, y: Any) -> Any:
    """The larger per lane; ``y`` where either is NaN."""
    raise NotImplementedError("called inside numba kernels only")


def like(x: Any, value: Any) -> Any:
    """The scalar ``value`` in the type of ``x``: sixteen lanes or one float32."""
    raise NotImplementedError("called inside numba kernels only")


@overload(like)
def _like(x, value):
    if isinstance(x, Float32x16):
        return lambda x, value: broadcast(value)
    return lambda x, value: np.float32(value)


def _as_vector(x: Any) -> Any:
    raise NotImplementedError("called inside numba kernels only")


@overload(_as_vector)
def _as_vector_overload(x):
    if isinstance(x, Float32x16):
        return lambda x: x
    return lambda x: broadcast(x)


@overload(fma)
def _fma(x, y, z):
    if any(isinstance(v, Float32x16) for v in (x, y, z)):
        return lambda x, y, z: _fma_vector(_as_vector(x), _as_vector(y), _as_vector(z))
    return lambda x, y, z: x * y + z


@overload(sqrt)
def _sqrt(x):
    if isinstance(x, Float32x16):
        return lambda x: _sqrt_vector(x)
    return lambda x: np.float32(math.sqrt(x)) if x >= 0 else np.float32(math.nan)


@overload(select_le)
def _select_le(x, y, yes, no):
    if any(isinstance(v, Float32x16) for v in (x, y, yes, no)):
        return lambda x, y, yes, no: _select_le_vector(
            _as_vector(x), _as_vector(y), _as_vector(yes), _as_vector(no)
        )
    return lambda x, y, yes, no: yes if x <= y else no


@overload(minimum)
def _minimum(x, y):
    if isinstance(x, Float32x16) or isinstance(y, Float32x16):
        return lambda x, y: _min_vector(_as_vector(x), _as_vector(y))
    return lambda x, y: x if x < y else y


@overload(maximum)
def _maximum(x, y):
    if isinstance(x, Float32x16) or isinstance(y, Float32x16):
        return lambda x, y: _max_vector(_as_vector(x), _as_vector(y))
    return lambda x, y: x if x > y else y


def floor(x: Any) -> Any:
    """Largest whole number not above x, as a float."""
    raise NotImplementedError("called inside numba kernels only")


@overload(floor)
def _floor(x):
    if isinstance(x, Float32x16):
        return lambda x: _floor_vector(x)
    return lambda x: np.floor(x)


def log(x: Any) -> Any:
    """Natural logarithm of positive normal numbers, within 2 units in the last place of 1."""
    raise NotImplementedError("called inside numba kernels only")


@overload(log)
def _log(x):
    if isinstance(x, Float32x16):
        return lambda x: _log_vector(x)
    return lambda x: np.float32(math.log(x)) if x > 0 else np.float32(-math.inf)


@njit_inline
def _log_vector(x):
    mantissa = _mantissa(x)
    high = select_le(mantissa, np.float32(math.sqrt(2.0)), np.float32(0.0), np.float32(1.0))
    mantissa = mantissa - high * mantissa * np.float32(0.5)
    # log(m) = 2 atanh((m - 1) / (m + 1)), |argument| < 0.172.
    t = (mantissa - np.float32(1.0)) / (mantissa + np.float32(1.0))
    tt = t * t
    series = fma(tt, np.float32(2 / 11), np.float32(2 / 9))
    series = fma(series, tt, np.float32(2 / 7))
    series = fma(series, tt, np.float32(2 / 5))
    series = fma(series, tt, np.float32(2 / 3))
    series = fma(series, tt, np.float32(2.0))
    return fma(_exponent(x) + high, np.float32(math.log(2.0)), series * t)


# ---------------------------------------------------------------- across lanes


def _make_reduction(name: str, start: float | None) -> Any:
    @intrinsic
    def reduce(typing_context: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            arguments = [] if start is None else [ir.Constant(_FLOAT, start)]
            return _intrinsic_call(
                builder, f"llvm.vector.reduce.{name}.v{LANES}f32", _FLOAT, [*arguments, args[0]]
            )

        return types.float32(float32x16), generate

    return reduce


sum_lanes = _make_reduction("fadd", -0.0)
"""Sum over the lanes."""
max_lanes = _make_reduction("fmax", None)
"""Largest lane."""


@intrinsic
def any_above(typing_context: Any, x: Any, y: Any) -> Any:
    """Whether any lane of x exceeds that of y."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        above = builder.fcmp_ordered(">", args[0], args[1])
        bits = builder.bitcast(above, ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(LANES), 0))

    return types.boolean(float32x16, float32x16), generate


def _make_shuffle(lanes: list[int]) -> Any:
    @intrinsic
    def shuffle(typing_context: Any, x: Any, y: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.shuffle_vector(args[0], args[1], _mask(lanes))

        return float32x16(float32x16, float32x16), generate

    return shuffle


def _gathering_shuffles(stride: int, component: int) -> list[Any]:
    """Shuffles that collect every ``stride``-th float of ``stride`` loaded vectors."""
    wanted = [lane * stride + component for lane in range(LANES)]
    steps = []
    for part in range(1, stride):
        lanes = []
        for lane, source in enumerate(wanted):
            if source // LANES == part:
                lanes.append(LANES + source % LANES)
            elif part == 1 and source // LANES == 0:
                lanes.append(source)
            else:
                lanes.append(lane)
        steps.append(_make_shuffle(lanes))
    return steps


_x3a, _x3b = _gathering_shuffles(3, 0)
_y3a, _y3b = _gathering_shuffles(3, 1)
_z3a, _z3b = _gathering_shuffles(3, 2)
_x4a, _x4b, _x4c = _gathering_shuffles(4, 0)
_y4a, _y4b, _y4c = _gathering_shuffles(4, 1)
_z4a, _z4b, _z4c = _gathering_shuffles(4, 2)
_w4a, _w4b, _w4c = _gathering_shuffles(4, 3)


@njit_inline
def load_rows3(array: Any, index: int) -> Any:
    """Three vectors: the columns of sixteen rows of a flat (N, 3) array."""
    a = load(array, index)
    b = load(array, index + 16)
    c = load(array, index + 32)
    return _x3b(_x3a(a, b), c), _y3b(_y3a(a, b), c), _z3b(_z3a(a, b), c)


@njit_inline
def load_rows4(array: Any, index: int) -> Any:
    """Four vectors: the columns of sixteen rows of a flat (N, 4) array."""
    a = load(array, index)
    b = load(array, index + 16)
    c = load(array, index + 32)
    d = load(array, index + 48)
    return (
        _x4c(_x4b(_x4a(a, b), c), d),
        _y4c(_y4b(_y4a(a, b), c), d),
        _z4c(_z4b(_z4a(a, b), c), d),
        _w4c(_w4b(_w4a(a, b), c), d),
    )


@intrinsic
def _join_quads(typing_context: Any, array: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Four times four floats, from four places."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        quad = ir.VectorType(_FLOAT, 4)
        parts = []
        for index in args[1:]:
            pointer = _pointer(context, builder, signature.args[0], args[0], index, quad)
            value = builder.load(pointer)
            value.align = 4
            parts.append(value)
        left = builder.shuffle_vector(parts[0], parts[1], _mask(list(range(8))))
        right = builder.shuffle_vector(parts[2], parts[3], _mask(list(range(8))))
        return builder.shuffle_vector(left, right, _mask(list(range(16))))

    index = types.intp
    return float32x16(array, index, index, index, index), generate


@njit_inline
def gather_rows4(array: Any, rows: Any, index: int) -> Any:
    """Four vectors: the columns of rows ``rows[index : index + 16]`` of a flat (N, 4) array."""
    a = _join_quads(
        array, 4 * rows[index], 4 * rows[index + 1], 4 * rows[index + 2], 4 * rows[index + 3]
    )
    b = _join_quads(
        array, 4 * rows[index + 4], 4 * rows[index + 5], 4 * rows[index + 6], 4 * rows[index + 7]
    )
    c = _join_quads(
        array, 4 * rows[index + 8], 4 * rows[index + 9], 4 * rows[index + 10], 4 * rows[index + 11]
    )
    d = _join_quads(
        array,
        4 * rows[index + 12],
        4 * rows[index + 13],
        4 * rows[index + 14],
        4 * rows[index + 15],
    )
    return (
        _x4c(_x4b(_x4a(a, b), c), d),
        _y4c(_y4b(_y4a(a, b), c), d),
        _z4c(_z4b(_z4a(a, b), c), d),
        _w4c(_w4b(_w4a(a, b), c), d),
    )


@intrinsic
def store_rgb8(typing_context: Any, array: Any, index: Any, red: Any, green: Any, blue: Any) -> Any:
    """Store sixteen RGB pixels of values in [0, 255] as 48 bytes, rounded towards zero."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        narrow = ir.VectorType(_INT8, LANES)
        r, g, b = (builder.trunc(builder.fptosi(v, _INTEGERS), narrow) for v in args[2:])
        red_green = builder.shuffle_vector(r, g, _mask(list(range(32))))
        blue_wide = builder.shuffle_vector(b, b, _mask(list(range(32))))
        order = [place for x in range(LANES) for place in (x, LANES + x, 2 * LANES + x)]
        pixels = builder.shuffle_vector(red_green, blue_wide, _mask(order))
        wide = ir.VectorType(_INT8, 3 * LANES)
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1], wide)
        builder.store(pixels, pointer).align = 1
        return context.get_dummy_value()

    return types.void(array, types.intp, float32x16, float32x16, float32x16), generate


def _spreading_shuffles(stride: int, part: int) -> list[Any]:
    """Shuffles that build loaded vector ``part`` of ``stride`` from the columns, in turn."""
    steps = []
    for column in range(1, stride):
        lanes = []
        for lane in range(LANES):
            row, source = divmod(part * LANES + lane, stride)
            if source == column:
                lanes.append(LANES + row)
            elif column == 1 and source == 0:
                lanes.append(row)
            else:
                lanes.append(lane)
        steps.append(_make_shuffle(lanes))
    return steps


_a3y, _a3z = _spreading_shuffles(3, 0)
_b3y, _b3z = _spreading_shuffles(3, 1)
_c3y, _c3z = _spreading_shuffles(3, 2)
_a4x, _a4y, _a4z = _spreading_shuffles(4, 0)
_b4x, _b4y, _b4z = _spreading_shuffles(4, 1)
_c4x, _c4y, _c4z = _spreading_shuffles(4, 2)
_d4x, _d4y, _d4z = _spreading_shuffles(4, 3)


@njit_inline
def store_rows3(array: Any, index: int, x: Any, y: Any, z: Any) -> None:
    """The reverse of ``load_rows3``."""
    store(array, index, _a3z(_a3y(x, y), z))
    store(array, index + 16, _b3z(_b3y(x, y), z))
    store(array, index + 32, _c3z(_c3y(x, y), z))


@njit_inline
def store_rows4(array: Any, index: int, w: Any, x: Any, y: Any, z: Any) -> None:
    """The reverse of ``load_rows4``."""
    store(array, index, _a4z(_a4y(_a4x(w, x), y), z))
    store(array, index + 16, _b4z(_b4y(_b4x(w, x), y), z))
    store(array, index + 32, _c4z(_c4y(_c4x(w, x), y), z))
    store(array, index + 48, _d4z(_d4y(_d4x(w, x), y), z))


def _blocks(*numbers: int) -> list[int]:
    return [4 * n + lane for n in numbers for lane in range(4)]


_low1 = _make_shuffle([q for b in range(0, 16, 4) for q in (b, 16 + b, b + 1, 17 + b)])
_high1 = _make_shuffle([q for b in range(0, 16, 4) for q in (b + 2, 18 + b, b + 3, 19 + b)])
_low2 = _make_shuffle([q for b in range(0, 16, 4) for q in (b, b + 1, 16 + b, 17 + b)])
_high2 = _make_shuffle([q for b in range(0, 16, 4) for q in (b + 2, b + 3, 18 + b, 19 + b)])
_low3 = _make_shuffle(_blocks(0, 1, 4, 5))
_high3 = _make_shuffle(_blocks(2, 3, 6, 7))
_low4 = _make_shuffle(_blocks(0, 2, 4, 6))
_high4 = _make_shuffle(_blocks(1, 3, 5, 7))


@njit_inline
def _transpose4(a: Any, b: Any, c: Any, d: Any) -> Any:
    """Each 4 x 4 block that four vectors form, transposed."""
    ab, cd = _low1(a, b), _low1(c, d)
    ab_high, cd_high = _high1(a, b), _high1(c, d)
    return _low2(ab, cd), _high2(ab, cd), _low2(ab_high, cd_high), _high2(ab_high, cd_high)


@njit_inline
def _gather_blocks(a: Any, b: Any, c: Any, d: Any) -> Any:
    """Vectors of four blocks each, seen as a 4 x 4 matrix of blocks, transposed."""
    ab, cd = _block_low(a, b), _block_low(c, d)
    ab_high, cd_high = _block_high(a, b), _block_high(c, d)
    return (
        _block_even(ab, cd),
        _block_odd(ab, cd),
        _block_even(ab_high, cd_high),
        _block_odd(ab_high, cd_high),
    )


_block_low = _make_shuffle(_blocks(0, 4, 1, 5))
_block_high = _make_shuffle(_blocks(2, 6, 3, 7))
_block_even = _make_shuffle(_blocks(0, 1, 4, 5))
_block_odd = _make_shuffle(_blocks(2, 3, 6, 7))


@njit_inline
def transpose16(
    a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any,
    i: Any, j: Any, k: Any, m: Any, n: Any, o: Any, p: Any, q: Any,
):  # fmt: skip
    """Sixteen vectors as a 16 x 16 matrix, transposed: 64 shuffles, no memory."""
    a, b, c, d = _transpose4(a, b, c, d)
    e, f, g, h = _transpose4(e, f, g, h)
    i, j, k, m = _transpose4(i, j, k, m)
    n, o, p, q = _transpose4(n, o, p, q)
    r0, r4, r8, r12 = _gather_blocks(a, e, i, n)
    r1, r5, r9, r13 = _gather_blocks(b, f, j, o)
    r2, r6, r10, r14 = _gather_blocks(c, g, k, p)
    r3, r7, r11, r15 = _gather_blocks(d, h, m, q)
    return r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12, r13, r14, r15


@njit_inline
def load_transposed(array: Any, index: int):
    """Sixteen aligned records of sixteen floats as sixteen vectors, one per field."""
    return transpose16(
        load_aligned(array, index), load_aligned(array, index + 16),
        load_aligned(array, index + 32), load_aligned(array, index + 48),
        load_aligned(array, index + 64), load_aligned(array, index + 80),
        load_aligned(array, index + 96), load_aligned(array, index + 112),
        load_aligned(array, index + 128), load_aligned(array, index + 144),
        load_aligned(array, index + 160), load_aligned(array, index + 176),
        load_aligned(array, index + 192), load_aligned(array, index + 208),
        load_aligned(array, index + 224), load_aligned(array, index + 240),
    )  # fmt: skip


@njit_inline
def store_transposed(
    array: Any, index: int,
    a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any,
    i: Any, j: Any, k: Any, m: Any, n: Any, o: Any, p: Any, q: Any,
) -> None:  # fmt: skip
    """The reverse of ``load_transposed``."""
    t = transpose16(a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q)
    store_aligned(array, index, t[0])
    store_aligned(array, index + 16, t[1])
    store_aligned(array, index + 32, t[2])
    store_aligned(array, index + 48, t[3])
    store_aligned(array, index + 64, t[4])
    store_aligned(array, index + 80, t[5])
    store_aligned(array, index + 96, t[6])
    store_aligned(array, index + 112, t[7])
    store_aligned(array, index + 128, t[8])
    store_aligned(array, index + 144, t[9])
    store_aligned(array, index + 160, t[10])
    store_aligned(array, index + 176, t[11])
    store_aligned(array, index + 192, t[12])
    store_aligned(array, index + 208, t[13])
    store_aligned(array, index + 224, t[14])
    store_aligned(array, index + 240, t[15])


@njit_inline
def _add_pairs1(a: Any, b: Any) -> Any:
    return _low1(a, b) + _high1(a, b)


@njit_inline
def _add_pairs2(a: Any, b: Any) -> Any:
    return _low2(a, b) + _high2(a, b)


@njit_inline
def sum_lanes10(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any, i: Any, j: Any):
    """The ten vectors' lane sums in lanes 0 to 9: a transposition and an addition in one.

    Ten separate reductions would cost four dependent shuffles each; adding while
    transposing shares them.
    """
    first = _add_pairs2(_add_pairs1(a, b), _add_pairs1(c, d))
    second = _add_pairs2(_add_pairs1(e, f), _add_pairs1(g, h))
    pair = _add_pairs1(i, j)
    third = _add_pairs2(pair, pair)
    left = _low3(first, second) + _high3(first, second)
    right = _low3(third, third) + _high3(third, third)
    return _low4(left, right) + _high4(left, right)


# ---------------------------------------------------------------- does it compile here?


@kernel
def _probe(numbers):
    a, b, c = load_rows3(numbers, 0)
    store(numbers, 0, sqrt(fma(a, b, c)))
    prefetch(numbers, 0)


def _vector_type_works() -> bool:
    if PLAIN:
        return False
    numbers = np.ones(48, np.float32)
    try:
        _probe(numbers)
    except Exception as error:  # whatever this machine's LLVM objects to
        warn(
            "the vector type does not compile on this machine (%s: %s); "
            "rendering with plain numba, about ten times slower",
            type(error).__name__,
            str(error).partition("\n")[0],
        )
        return False
    return bool(abs(numbers[0] - math.sqrt(2.0)) < 1e-6)


VECTOR = _vector_type_works()
"""Whether kernels use sixteen lanes; a constant to numba, which drops the other branch."""

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

LANES = 16

_FLAGS = ("contract", "reassoc", "nsz", "arcp")
FLOAT = ir.FloatType()
_INT32 = ir.IntType(32)
INT8 = ir.IntType(8)
_VECTOR = ir.VectorType(FLOAT, LANES)
INTEGERS = ir.VectorType(_INT32, LANES)
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


def intrinsic_call(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    signature = ir.FunctionType(result, [a.type for a in arguments])
    function = cgutils.get_or_insert_function(builder.module, signature, name)
    return builder.call(function, arguments, fastmath=_FLAGS)


def lane_mask(lanes: list[int]) -> Any:
    return ir.Constant(ir.VectorType(_INT32, len(lanes)), lanes)


njit_inline: Callable[[Any], Any] = numba.njit(inline="always")


# ---------------------------------------------------------------- making vectors, memory


@intrinsic
def broadcast(typing_context: Any, value: Any) -> Any:
    """The scalar in every lane."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        scalar = context.cast(builder, args[0], signature.args[0], types.float32)
        first = builder.insert_element(_UNDEFINED, scalar, ir.Constant(_INT32, 0))
        return builder.shuffle_vector(first, _UNDEFINED, lane_mask([0] * LANES))

    if isinstance(value, types.Number):
        return float32x16(value), generate
    return None


@intrinsic
def lane_index(typing_context: Any) -> Any:
    """0, 1, ... 15."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(_VECTOR, [float(i) for i in range(LANES)])

    return float32x16(), generate


def pointer_to(context: Any, builder: Any, array_type: Any, array: Any, index: Any, to: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), to.as_pointer())


def _make_load(alignment: int) -> Any:
    @intrinsic
    def load(typing_context: Any, array: Any, index: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = pointer_to(context, builder, signature.args[0], args[0], args[1], _VECTOR)
            value = builder.load(pointer)
            value.align = alignment
            return value

        return float32x16(array, types.intp), generate

    return load


def _make_store(alignment: int) -> Any:
    @intrinsic
    def store(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = pointer_to(context, builder, signature.args[0], args[0], args[1], _VECTOR)
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
        pointer = pointer_to(context, builder, signature.args[0], args[0], args[1], _VECTOR)
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
        pointer = pointer_to(context, builder, signature.args[0], args[0], args[1], INTEGERS)
        builder.store(builder.fptosi(args[2], INTEGERS), pointer).align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, float32x16), generate


@intrinsic
def store_bits(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Store the bits of sixteen floats to a uint32 array; positive floats keep their order."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = pointer_to(context, builder, signature.args[0], args[0], args[1], INTEGERS)
        builder.store(builder.bitcast(args[2], INTEGERS), pointer).align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, float32x16), generate


@intrinsic
def prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of ``array[index]``; harmless out of bounds."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = pointer_to(context, builder, signature.args[0], args[0], args[1], INT8)
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
        return intrinsic_call(builder, f"llvm.fmuladd.v{LANES}f32", _VECTOR, list(args))

    return float32x16(float32x16, float32x16, float32x16), generate


@intrinsic
def _sqrt_vector(typing_context: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return intrinsic_call(builder, f"llvm.sqrt.v{LANES}f32", _VECTOR, list(args))

    return float32x16(float32x16), generate


@intrinsic
def _floor_vector(typing_context: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return intrinsic_call(builder, f"llvm.floor.v{LANES}f32", _VECTOR, list(args))

    return float32x16(float32x16), generate


@intrinsic
def _exponent(typing_context: Any, x: Any) -> Any:
    """Binary exponent of positive normal floats."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], INTEGERS)
        biased = builder.lshr(bits, ir.Constant(INTEGERS, [23] * LANES))
        exponent = builder.sub(biased, ir.Constant(INTEGERS, [127] * LANES))
        return builder.sitofp(exponent, _VECTOR)

    return float32x16(float32x16), generate


@intrinsic
def _mantissa(typing_context: Any, x: Any) -> Any:
    """Mantissa in [1, 2)."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], INTEGERS)
        fraction = builder.and_(bits, ir.Constant(INTEGERS, [0x7FFFFF] * LANES))
        one = builder.or_(fraction, ir.Constant(INTEGERS, [0x3F800000] * LANES))
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


def put(array: Any, k: int, value: Any) -> None:
    """``array[k] = value``; sixteen lanes fill the k-th sixteen floats."""
    raise NotImplementedError("called inside numba kernels only")


@overload(put)
def _put(array, k, value):
    if isinstance(value, Float32x16):
        return lambda array, k, value: store(array, 16 * k, value)

    def put_one(array, k, value):
        array[k] = value

    return put_one


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

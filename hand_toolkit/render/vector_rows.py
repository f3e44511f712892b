"""What sixteen-lane vectors do across their lanes: sums, rows of arrays, transpositions."""

# mypy: disable-error-code="call-arg,var-annotated,assignment,no-untyped-def"
# numba types the kernels: mypy cannot see through its intrinsics.

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .vector_type import (
    FLOAT,
    INT8,
    INTEGERS,
    LANES,
    float32x16,
    intrinsic_call,
    lane_mask,
    load,
    load_aligned,
    njit_inline,
    pointer_to,
    store,
    store_aligned,
)


def _make_reduction(name: str, start: float | None) -> Any:
    @intrinsic
    def reduce(typing_context: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            arguments = [] if start is None else [ir.Constant(FLOAT, start)]
            return intrinsic_call(
                builder, f"llvm.vector.reduce.{name}.v{LANES}f32", FLOAT, [*arguments, args[0]]
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
            return builder.shuffle_vector(args[0], args[1], lane_mask(lanes))

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
        quad = ir.VectorType(FLOAT, 4)
        parts = []
        for index in args[1:]:
            pointer = pointer_to(context, builder, signature.args[0], args[0], index, quad)
            value = builder.load(pointer)
            value.align = 4
            parts.append(value)
        left = builder.shuffle_vector(parts[0], parts[1], lane_mask(list(range(8))))
        right = builder.shuffle_vector(parts[2], parts[3], lane_mask(list(range(8))))
        return builder.shuffle_vector(left, right, lane_mask(list(range(16))))

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
        narrow = ir.VectorType(INT8, LANES)
        r, g, b = (builder.trunc(builder.fptosi(v, INTEGERS), narrow) for v in args[2:])
        red_green = builder.shuffle_vector(r, g, lane_mask(list(range(32))))
        blue_wide = builder.shuffle_vector(b, b, lane_mask(list(range(32))))
        order = [place for x in range(LANES) for place in (x, LANES + x, 2 * LANES + x)]
        pixels = builder.shuffle_vector(red_green, blue_wide, lane_mask(order))
        wide = ir.VectorType(INT8, 3 * LANES)
        pointer = pointer_to(context, builder, signature.args[0], args[0], args[1], wide)
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

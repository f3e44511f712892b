"""The vector type and all it can do, under one name, and whether it compiles here."""

# mypy: disable-error-code="call-arg,var-annotated,assignment,no-untyped-def"
# numba types the kernels: mypy cannot see through its intrinsics.

from __future__ import annotations

import math

import numpy as np

from .jit import PLAIN, kernel, warn
from .vector_rows import (
    any_above,
    gather_rows4,
    load_rows3,
    load_rows4,
    load_transposed,
    max_lanes,
    store_rgb8,
    store_rows3,
    store_rows4,
    store_transposed,
    sum_lanes,
    sum_lanes10,
    transpose16,
)
from .vector_type import (
    LANES,
    broadcast,
    float32x16,
    float_bits,
    floor,
    fma,
    lane_index,
    like,
    load,
    load_aligned,
    log,
    maximum,
    minimum,
    prefetch,
    put,
    select_le,
    sqrt,
    store,
    store_aligned,
    store_bits,
    store_integers,
    store_streaming,
)

__all__ = [
    "VECTOR",
    "LANES",
    "any_above",
    "broadcast",
    "float32x16",
    "float_bits",
    "floor",
    "fma",
    "gather_rows4",
    "lane_index",
    "like",
    "load",
    "load_aligned",
    "load_rows3",
    "load_rows4",
    "load_transposed",
    "log",
    "max_lanes",
    "maximum",
    "minimum",
    "prefetch",
    "put",
    "select_le",
    "sqrt",
    "store",
    "store_aligned",
    "store_bits",
    "store_integers",
    "store_rgb8",
    "store_rows3",
    "store_rows4",
    "store_streaming",
    "store_transposed",
    "sum_lanes",
    "sum_lanes10",
    "transpose16",
]


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

"""The CPU renderer's entry points: the stages of a frame, walked through by every thread."""

# mypy: disable-error-code="call-arg,var-annotated,assignment,no-untyped-def"
# numba types the kernels: mypy cannot see through its intrinsics.

from __future__ import annotations

from .binning import expand_chunk, place_lists, scatter_chunk, sort_by_depth, split_tiles
from .jit import kernel
from .parallel import await_stage, claim, enter, finish, leave
from .project import SPLATS_PER_CHUNK, project_chunk_plain, project_chunk_vector
from .project_backward import project_backward_chunk
from .tiles_backward import tile_gradients
from .tiles_forward import blend_tile, trace_tile
from .tiles_plain import blend_tile_plain, tile_gradients_plain, trace_tile_plain
from .vector import VECTOR


@kernel
def prepare_frame(
    control, generation, leader, count, means, quats, scales, opacities, colors, coefficients,
    camera, width, height, records, keys, tiles, order, spare, histogram, slot_start, totals,
):  # fmt: skip
    """Project all splats, then sort and reserve slots; ``totals`` gets visible and slots."""
    if not enter(control, generation):
        return
    chunks = (count + SPLATS_PER_CHUNK - 1) // SPLATS_PER_CHUNK
    c = claim(control, 0)
    while c < chunks:
        start = c * SPLATS_PER_CHUNK
        stop = min(count, start + SPLATS_PER_CHUNK)
        if VECTOR:
            project_chunk_vector(
                start, stop, means, quats, scales, opacities, colors, coefficients,
                camera, width, height, records, keys, tiles,
            )  # fmt: skip
        else:
            project_chunk_plain(
                start, stop, means, quats, scales, opacities, colors, coefficients,
                camera, width, height, records, keys, tiles,
            )  # fmt: skip
        finish(control, 0)
        c = claim(control, 0)
    if leader:
        await_stage(control, 0, chunks)
        totals[0], totals[1] = sort_by_depth(
            count, keys, tiles, order, spare, histogram, slot_start
        )
    leave(control, leader)


@kernel
def blend_frame(
    control, generation, leader, visible, order, tiles, slot_start, records, width, height,
    stride, columns, tile_count, slot_tile, slot_rows, counts, tile_start, entry_splat,
    entry_rows, slot_entry, bounds, tile_needed, scratch, image, background, trace, median, ids,
):  # fmt: skip
    """Make the tiles' lists and blend them; with ``trace`` also median depth and ids."""
    if not enter(control, generation):
        return
    worker = claim(control, 4)
    chunks = counts.shape[0]
    size = (visible + chunks - 1) // chunks
    c = claim(control, 0)
    while c < chunks:
        expand_chunk(
            min(visible, c * size), min(visible, c * size + size), visible, order, slot_start,
            records, width, height, columns, slot_tile, slot_rows, counts[c], tiles,
        )  # fmt: skip
        finish(control, 0)
        c = claim(control, 0)
    await_stage(control, 0, chunks)
    if claim(control, 1) == 0:
        place_lists(tile_count, counts, tile_start)
        split_tiles(tile_count, tile_start, len(bounds) - 1, bounds)
        finish(control, 1)
    await_stage(control, 1, 1)
    c = claim(control, 2)
    while c < chunks:
        scatter_chunk(
            min(visible, c * size), min(visible, c * size + size), order, slot_start, tiles,
            slot_tile, slot_rows, counts[c], entry_splat, entry_rows, slot_entry,
        )  # fmt: skip
        finish(control, 2)
        c = claim(control, 2)
    await_stage(control, 2, chunks)
    rooms = scratch[worker]
    ranges = len(bounds) - 1
    c = claim(control, 3)
    while c < ranges:
        for tile in range(bounds[c], bounds[c + 1]):
            first = tile_start[tile]
            last = tile_start[tile + 1]
            if VECTOR:
                tile_needed[tile] = blend_tile(
                    tile, first, last, columns, height, stride, entry_splat, entry_rows,
                    records, rooms, image, background,
                )  # fmt: skip
                if trace:
                    trace_tile(
                        tile, first, tile_needed[tile], columns, width, height, stride,
                        entry_splat, entry_rows, records, rooms, median, ids,
                    )  # fmt: skip
            else:
                tile_needed[tile] = blend_tile_plain(
                    tile, first, last, columns, height, stride, entry_splat, entry_rows,
                    records, rooms, image, background,
                )  # fmt: skip
                if trace:
                    trace_tile_plain(
                        tile, first, tile_needed[tile], columns, width, height, stride,
                        entry_splat, entry_rows, records, rooms, median, ids,
                    )  # fmt: skip
        finish(control, 3)
        c = claim(control, 3)
    await_stage(control, 3, ranges)
    leave(control, leader)


@kernel
def backward_frame(
    control, generation, leader, count, means, quats, scales, opacities, colors, coefficients,
    camera, height, stride, columns, records, tiles, slot_start, slot_tile, slot_entry,
    tile_start, entry_splat, entry_rows, bounds, tile_needed, scratch, image, image_grad,
    entry_grads, mean_grads, quat_grads, scale_grads, opacity_grads, color_grads, pose_sums,
):  # fmt: skip
    """Gradients of the frame that ``prepare_frame`` and ``blend_frame`` left behind."""
    if not enter(control, generation):
        return
    worker = claim(control, 4)
    rooms = scratch[worker]
    ranges = len(bounds) - 1
    c = claim(control, 0)
    while c < ranges:
        for tile in range(bounds[c], bounds[c + 1]):
            first = tile_start[tile]
            last = tile_needed[tile]
            if last > first:
                if VECTOR:
                    tile_gradients(
                        tile, first, last, columns, height, stride, entry_splat, entry_rows,
                        records, rooms, image, image_grad, entry_grads,
                    )  # fmt: skip
                else:
                    tile_gradients_plain(
                        tile, first, last, columns, height, stride, entry_splat, entry_rows,
                        records, rooms, image, image_grad, entry_grads,
                    )  # fmt: skip
        finish(control, 0)
        c = claim(control, 0)
    await_stage(control, 0, ranges)
    chunks = (count + SPLATS_PER_CHUNK - 1) // SPLATS_PER_CHUNK
    c = claim(control, 1)
    while c < chunks:
        start = c * SPLATS_PER_CHUNK
        project_backward_chunk(
            start, min(count, start + SPLATS_PER_CHUNK), means, quats, scales, opacities, colors,
            coefficients, camera, records, slot_start, tiles, slot_tile, slot_entry,
            tile_needed, entry_grads, mean_grads, quat_grads, scale_grads, opacity_grads,
            color_grads, pose_sums[c],
        )  # fmt: skip
        finish(control, 1)
        c = claim(control, 1)
    await_stage(control, 1, chunks)
    leave(control, leader)

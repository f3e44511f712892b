"""The CPU renderer's entry points: the stages of a frame, walked through by every thread.

::

    draw_frame      project chunks of splats ─> sums per chunk
                    ─> slots and depth keys ─> radix sort ─> tile lists ─> blend tiles
    backward_frame  gradients of tiles' entries ─> gather and project back, chunks of splats
    skin_frame      joints ─> vertices ─> triangles                      (avatar path)
    place_frame     splats on triangles, projected ─> sums per chunk     (avatar path)

An arrow is a point where all threads have finished the stage (see ``parallel``).
"""

# mypy: disable-error-code="call-arg,var-annotated,assignment,no-untyped-def"
# numba types the kernels: mypy cannot see through its intrinsics.

from __future__ import annotations

import numpy as np

from .binning import (
    DIGIT,
    KEY_MAX,
    KEY_MIN,
    SLOTS,
    VISIBLE,
    chunk_statistics,
    count_digits,
    count_tiles,
    expand_chunk,
    move_pairs,
    place_digits,
    place_lists,
    scatter_chunk,
    split_tiles,
    sum_statistics,
)
from .jit import inline, kernel
from .parallel import await_stage, claim, enter, finish, leave
from .project import SPLATS_PER_CHUNK, project_chunk_plain, project_chunk_vector
from .project_backward import project_backward_chunk_plain, project_backward_chunk_vector
from .skinning import place_chunk, skin_stages
from .tiles_backward import tile_gradients
from .tiles_forward import blend_tile, trace_tile
from .tiles_plain import blend_tile_plain, tile_gradients_plain, trace_tile_plain
from .vector import VECTOR

_WORKERS = 0
"""A stage that is never waited for: its claims number the threads."""


@inline
def _project_stages(
    control, stage, count, means, quats, scales, opacities, colors, coefficients, camera,
    width, height, records, keys, tiles, statistics, totals,
):  # fmt: skip
    """Project all splats; ``totals`` gets the visible splats, the slots and the key range."""
    chunks = (count + SPLATS_PER_CHUNK - 1) // SPLATS_PER_CHUNK
    c = claim(control, stage)
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
        chunk_statistics(start, stop, keys, tiles, statistics[c])
        finish(control, stage)
        c = claim(control, stage)
    await_stage(control, stage, chunks)
    if claim(control, stage + 1) == 0:
        sum_statistics(chunks, statistics, totals)
        finish(control, stage + 1)
    await_stage(control, stage + 1, 1)


@kernel
def skin_frame(control, generation, leader, skin):
    """Skin the hands' meshes; for the first frame, later ones overlap the drawing."""
    if not enter(control, generation):
        return
    skin_stages(control, 1, skin)
    leave(control, leader)


@kernel
def place_frame(
    control, generation, leader, count, splats, splat_face, shown, splat_hand, one_sided,
    coefficients, sh, colors, light, camera, width, height, face_records, records, keys, tiles,
    statistics, totals,
):  # fmt: skip
    """The projection of ``draw_frame`` for splats bound to the skinned triangles."""
    if not enter(control, generation):
        return
    chunks = (count + SPLATS_PER_CHUNK - 1) // SPLATS_PER_CHUNK
    c = claim(control, 1)
    while c < chunks:
        start = c * SPLATS_PER_CHUNK
        stop = min(count, start + SPLATS_PER_CHUNK)
        place_chunk(
            start, stop, splats, splat_face, shown, splat_hand, one_sided, coefficients, sh, colors,
            light, camera, width, height, face_records, records, keys, tiles,
        )  # fmt: skip
        chunk_statistics(start, stop, keys, tiles, statistics[c])
        finish(control, 1)
        c = claim(control, 1)
    if leader:
        await_stage(control, 1, chunks)
        sum_statistics(chunks, statistics, totals)
    leave(control, leader)


@inline
def _sort_pairs(control, stage, shift, visible, size, source, target, counts):
    """One pass of the radix sort by all threads: stages ``stage`` to ``stage + 2``."""
    chunks = counts.shape[0]
    c = claim(control, stage)
    while c < chunks:
        count_digits(
            min(visible, c * size), min(visible, c * size + size), source, shift, counts[c]
        )
        finish(control, stage)
        c = claim(control, stage)
    await_stage(control, stage, chunks)
    if claim(control, stage + 1) == 0:
        place_digits(chunks, counts)
        finish(control, stage + 1)
    await_stage(control, stage + 1, 1)
    c = claim(control, stage + 2)
    while c < chunks:
        move_pairs(
            min(visible, c * size), min(visible, c * size + size), source, target, shift, counts[c]
        )
        finish(control, stage + 2)
        c = claim(control, stage + 2)
    await_stage(control, stage + 2, chunks)


@kernel
def draw_frame(
    control, generation, leader, count, project, flat, coefficients, camera, records, keys,
    tiles, statistics, totals, width, height, stride, columns, tile_count, slot_start, slots,
    pairs, spare, digit_counts, tile_counts, tile_start, entries, slot_entry, keep, bounds,
    tile_needed, scratch, image, background, clean, picture, skin, trace, median, ids,
):  # fmt: skip
    """Project, list and blend; with ``trace`` also median depth and ids.

    The frame ends after the projection when ``totals`` shows more slots than ``slots`` has
    room for: the caller makes room and calls again with ``project`` off.

    project: false when the records are there already.
    flat: means, quats, scales, opacities and colours as flat arrays.
    picture: 8-bit RGB to write instead of the image, or empty.
    skin: the next frame's pose and mesh, or a tuple that starts with 0.
    """
    if not enter(control, generation):
        return
    if project:
        means, quats, scales, opacities, colors = flat
        _project_stages(
            control, 20, count, means, quats, scales, opacities, colors, coefficients,
            camera, width, height, records, keys, tiles, statistics, totals,
        )  # fmt: skip
        room = min(len(slots), len(entries))
        if keep:
            room = min(room, len(slot_entry))
        if totals[SLOTS] > room:
            leave(control, leader)
            return
    worker = claim(control, _WORKERS)
    visible = totals[VISIBLE]
    chunks = (count + SPLATS_PER_CHUNK - 1) // SPLATS_PER_CHUNK
    c = claim(control, 1)
    while c < chunks:
        start = c * SPLATS_PER_CHUNK
        expand_chunk(
            start, min(count, start + SPLATS_PER_CHUNK), statistics[c], records, keys, tiles,
            totals[KEY_MIN], width, height, columns, slot_start, slots, pairs,
        )  # fmt: skip
        finish(control, 1)
        c = claim(control, 1)
    slot_start[count] = totals[SLOTS]
    await_stage(control, 1, chunks)

    parts = tile_counts.shape[0]
    size = (visible + parts - 1) // parts
    key_range = totals[KEY_MAX] - totals[KEY_MIN]
    source, target = pairs, spare
    digits = 0
    # Every thread swaps its own two names after each pass.
    while (key_range >> (digits * DIGIT)) > 0:
        _sort_pairs(
            control, 2 + 3 * digits, np.uint64(32 + digits * DIGIT), visible, size, source,
            target, digit_counts,
        )  # fmt: skip
        source, target = target, source
        digits += 1

    c = claim(control, 11)
    while c < parts:
        count_tiles(
            min(visible, c * size), min(visible, c * size + size), source, slot_start, slots,
            tile_counts[c],
        )  # fmt: skip
        finish(control, 11)
        c = claim(control, 11)
    await_stage(control, 11, parts)
    if claim(control, 12) == 0:
        place_lists(tile_count, tile_counts, tile_start)
        split_tiles(tile_count, tile_start, len(bounds) - 1, bounds)
        finish(control, 12)
    await_stage(control, 12, 1)
    c = claim(control, 13)
    while c < parts:
        scatter_chunk(
            min(visible, c * size), min(visible, c * size + size), source, slot_start, slots,
            tile_counts[c], entries, slot_entry, keep,
        )  # fmt: skip
        finish(control, 13)
        c = claim(control, 13)
    await_stage(control, 13, parts)

    rooms = scratch[worker]
    ranges = len(bounds) - 1
    c = claim(control, 14)
    while c < ranges:
        for tile in range(bounds[c], bounds[c + 1]):
            first = tile_start[tile]
            last = tile_start[tile + 1]
            if VECTOR:
                tile_needed[tile] = blend_tile(
                    tile, first, last, columns, height, stride, entries, records, rooms,
                    image, background, clean, picture,
                )  # fmt: skip
                if trace:
                    trace_tile(
                        tile, first, tile_needed[tile], columns, width, height, stride,
                        entries, records, rooms, median, ids,
                    )  # fmt: skip
            else:
                tile_needed[tile] = blend_tile_plain(
                    tile, first, last, columns, height, stride, entries, records, rooms,
                    image, background, clean,
                )  # fmt: skip
                if trace:
                    trace_tile_plain(
                        tile, first, tile_needed[tile], columns, width, height, stride,
                        entries, records, rooms, median, ids,
                    )  # fmt: skip
        finish(control, 14)
        c = claim(control, 14)
    # Threads that find no tile left begin with the next frame's mesh (avatar path).
    if VECTOR:
        skin_stages(control, 15, skin)
    await_stage(control, 14, ranges)
    leave(control, leader)


@kernel
def backward_frame(
    control, generation, leader, count, means, quats, scales, opacities, colors, coefficients,
    camera, height, stride, columns, records, tiles, slot_start, slots, slot_entry, tile_start,
    entries, bounds, tile_needed, scratch, image, image_grad, entry_grads, mean_grads,
    quat_grads, scale_grads, opacity_grads, color_grads, pose_sums,
):  # fmt: skip
    """Gradients of the frame that ``draw_frame`` left behind."""
    if not enter(control, generation):
        return
    rooms = scratch[claim(control, _WORKERS)]
    ranges = len(bounds) - 1
    c = claim(control, 1)
    while c < ranges:
        for tile in range(bounds[c], bounds[c + 1]):
            first = tile_start[tile]
            last = tile_needed[tile]
            if last > first:
                if VECTOR:
                    tile_gradients(
                        tile, first, last, columns, height, stride, entries, records, rooms,
                        image, image_grad, entry_grads,
                    )  # fmt: skip
                else:
                    tile_gradients_plain(
                        tile, first, last, columns, height, stride, entries, records, rooms,
                        image, image_grad, entry_grads,
                    )  # fmt: skip
        finish(control, 1)
        c = claim(control, 1)
    await_stage(control, 1, ranges)
    chunks = (count + SPLATS_PER_CHUNK - 1) // SPLATS_PER_CHUNK
    c = claim(control, 2)
    while c < chunks:
        start = c * SPLATS_PER_CHUNK
        stop = min(count, start + SPLATS_PER_CHUNK)
        if VECTOR:
            project_backward_chunk_vector(
                start, stop, means, quats, scales, opacities, colors, coefficients, camera,
                records, slot_start, tiles, slots, slot_entry, tile_needed, entry_grads,
                mean_grads, quat_grads, scale_grads, opacity_grads, color_grads, pose_sums[c],
            )  # fmt: skip
        else:
            project_backward_chunk_plain(
                start, stop, means, quats, scales, opacities, colors, coefficients, camera,
                records, slot_start, tiles, slots, slot_entry, tile_needed, entry_grads,
                mean_grads, quat_grads, scale_grads, opacity_grads, color_grads, pose_sums[c],
            )  # fmt: skip
        finish(control, 2)
        c = claim(control, 2)
    await_stage(control, 2, chunks)
    leave(control, leader)

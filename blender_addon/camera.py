# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's cameras and viewports as OpenCV pinholes in Blender's world axes.

Everything follows from the projection matrix that Blender itself makes, so lens, shift, sensor
fit, pixel aspect and the border come out as in Cycles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import HandError

FLIP = np.diag([1.0, -1.0, -1.0, 1.0])
"""A Blender camera looks along -z with y up; OpenCV's along +z with y down."""

PARALLEL_DISTANCE = 400.0
"""The renderer has pinholes only: a parallel view is one from this far, metres, exact in the plane
of ``focus`` and off by 1/4000 of the distance from it."""


@dataclass
class View:
    """One camera.

    Attributes:
        camera: the fields of the worker's camera.
        depth_offset: metres to take off the worker's depths.
    """

    camera: dict
    depth_offset: float = 0.0


def from_projection(projection, view, width, height, near, far, box=None, focus=None):
    """The pinhole of an OpenGL projection matrix.

    Args:
        projection: (4, 4) OpenGL projection of the whole picture.
        view: (4, 4) world to Blender camera.
        width, height: of the whole picture, pixels.
        near, far: clipping distances.
        focus: (3,) world point in whose plane a parallel view is exact.
        box: (xmin, ymin, xmax, ymax) pixels of the part to draw, from the lower left; None: all.

    Returns:
        View.
    """
    projection = np.asarray(projection, np.float64)
    world_to_camera = FLIP @ np.asarray(view, np.float64)
    # scale stays out of the pose: a scaled camera object sees as an unscaled one
    u, _, vt = np.linalg.svd(world_to_camera[:3, :3])
    rotation = u @ vt
    centre = -np.linalg.solve(world_to_camera[:3, :3], world_to_camera[:3, 3])
    world_to_camera[:3, :3] = rotation
    world_to_camera[:3, 3] = -rotation @ centre
    offset = 0.0
    fx, fy = projection[0, 0] * width / 2, projection[1, 1] * height / 2
    if abs(projection[3, 3]) > 0.5:  # parallel
        offset = PARALLEL_DISTANCE
        cx, cy = (1 + projection[0, 3]) * width / 2, (1 - projection[1, 3]) * height / 2
        plane = offset
        if focus is not None:
            plane += world_to_camera[2, :3] @ np.asarray(focus) + world_to_camera[2, 3]
        fx, fy = fx * plane, fy * plane
        world_to_camera[2, 3] += offset
        near, far = max(offset - abs(far), 1.0), offset + abs(far)
    else:
        cx, cy = (1 - projection[0, 2]) * width / 2, (1 + projection[1, 2]) * height / 2
    if box is not None:
        x0, y0, x1, y1 = box
        cx, cy = cx - x0, cy - (height - y1)
        width, height = x1 - x0, y1 - y0
    return View(
        {
            "fx": fx,
            "fy": fy,
            "cx": cx,
            "cy": cy,
            "width": int(width),
            "height": int(height),
            "near": max(float(near), 1e-4),
            "far": float(far),
            "world_to_camera": world_to_camera.tolist(),
        },
        offset,
    )


def picture_size(render):
    """(width, height) of the full picture, pixels."""
    factor = render.resolution_percentage / 100
    return max(1, int(render.resolution_x * factor)), max(1, int(render.resolution_y * factor))


def border_box(render, width, height):
    """(xmin, ymin, xmax, ymax) of the part that is rendered, pixels from the lower left."""
    if not render.use_border:
        return 0, 0, width, height
    # single precision, as Blender multiplies them: 0.7 of 480 pixels is 336, not 335
    low_x, low_y, high_x, high_y = (
        int(np.float32(part) * np.float32(size))
        for part, size in (
            (render.border_min_x, width),
            (render.border_min_y, height),
            (render.border_max_x, width),
            (render.border_max_y, height),
        )
    )
    return low_x, low_y, max(high_x, low_x + 1), max(high_y, low_y + 1)


def of_scene(depsgraph, focus=None):
    """View of the scene's camera for the final render.

    Args:
        depsgraph: of the render.
        focus: (3,) see :func:`from_projection`.

    Raises:
        HandError: no camera, or a panoramic one.
    """
    scene = depsgraph.scene_eval
    camera = scene.camera
    if camera is None:
        raise HandError("the scene has no camera; add one and make it the active camera")
    if camera.type != "CAMERA":
        raise HandError(f"'{camera.name}' is no camera; choose a camera object")
    if camera.data.type not in {"PERSP", "ORTHO"}:
        raise HandError("panoramic cameras are not supported; choose perspective or orthographic")
    camera = camera.evaluated_get(depsgraph)
    render = scene.render
    width, height = picture_size(render)
    projection = camera.calc_matrix_camera(
        depsgraph,
        x=width,
        y=height,
        scale_x=render.pixel_aspect_x,
        scale_y=render.pixel_aspect_y,
    )
    view = np.linalg.inv(np.array(camera.matrix_world, np.float64))
    box = border_box(render, width, height)
    data = camera.data
    clip = data.clip_start, data.clip_end
    return from_projection(projection, view, width, height, *clip, box, focus)


def of_viewport(region, region_data, clip, scale, focus=None):
    """View of a 3D viewport at 1/``scale`` of its resolution; ``focus`` as in from_projection."""
    width = max(1, region.width // scale)
    height = max(1, region.height // scale)
    projection, view = region_data.window_matrix, region_data.view_matrix
    return from_projection(projection, view, width, height, clip[0], clip[1], None, focus)

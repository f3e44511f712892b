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


def from_projection(projection, view, width, height, near, far, box=None, focus=None, units=1.0):
    """The pinhole of an OpenGL projection matrix.

    Args:
        projection: (4, 4) OpenGL projection of the whole picture.
        view: (4, 4) world to Blender camera.
        width, height: of the whole picture, pixels.
        near, far: clipping distances.
        focus: (3,) world point in whose plane a parallel view is exact.
        units: Blender units in a metre of the hands.
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
        offset = PARALLEL_DISTANCE * units
        cx, cy = (1 + projection[0, 3]) * width / 2, (1 - projection[1, 3]) * height / 2
        plane = offset
        if focus is not None:
            plane += world_to_camera[2, :3] @ np.asarray(focus) + world_to_camera[2, 3]
        fx, fy = fx * plane, fy * plane
        world_to_camera[2, 3] += offset
        near, far = max(offset - abs(far), units), offset + abs(far)
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


def camera_of(scene, view=""):
    """The scene's camera object for a stereo view, or for the only one.

    Args:
        scene: original or evaluated.
        view: name of the view; "" where there is one only.

    Raises:
        HandError: no camera, or a panoramic one.
    """
    camera, render = scene.camera, scene.render
    if camera is None:
        raise HandError("the scene has no camera; add one and make it the active camera")
    if view and render.use_multiview and render.views_format == "MULTIVIEW":
        camera = _camera_of_view(scene, camera, view)
    if camera.type != "CAMERA":
        raise HandError(f"'{camera.name}' is no camera; choose a camera object")
    if camera.data.type not in {"PERSP", "ORTHO"}:
        raise HandError("panoramic cameras are not supported; choose perspective or orthographic")
    return camera


def _camera_of_view(scene, camera, view):
    """The camera whose name has the suffix of ``view`` in place of the active camera's."""
    views = scene.render.views
    wanted = views[view].camera_suffix if view in views else ""
    stem = camera.name
    for one in sorted(views, key=lambda one: -len(one.camera_suffix)):
        if one.camera_suffix and stem.endswith(one.camera_suffix):
            stem = stem[: -len(one.camera_suffix)]
            break
    return scene.objects.get(stem + wanted) or camera


def of_scene(depsgraph, focus=None, engine=None, view="", units=1.0):
    """View of the scene's camera for the final render.

    Args:
        depsgraph: of the render.
        focus: (3,) see :func:`from_projection`.
        engine: the render engine, which knows where the eyes of a stereo camera are.
        view: name of the stereo view, "" where there is one only.
        units: see :func:`from_projection`.

    Raises:
        HandError: no camera, or a panoramic one.
    """
    scene = depsgraph.scene_eval
    original = camera_of(scene, view)
    camera = original.evaluated_get(depsgraph)
    render = scene.render
    width, height = picture_size(render)
    aspect = {"scale_x": render.pixel_aspect_x, "scale_y": render.pixel_aspect_y}
    projection = camera.calc_matrix_camera(depsgraph, x=width, y=height, **aspect)
    projection = np.array(projection, np.float64)
    matrix = np.array(camera.matrix_world, np.float64)
    data = camera.data
    if engine is not None and view and render.use_multiview:
        engine.active_view_set(view)
        matrix = np.array(engine.camera_model_matrix(camera), np.float64)
        # a shift of the lens moves the principal point by shift x sensor, which fits the picture
        # as the projection says: the same for both
        shift = engine.camera_shift_x(camera) - data.shift_x
        fit = max(width * render.pixel_aspect_x, height * render.pixel_aspect_y)
        if data.sensor_fit != "AUTO":
            horizontal = data.sensor_fit == "HORIZONTAL"
            fit = width * render.pixel_aspect_x if horizontal else height * render.pixel_aspect_y
        moved = 2 * shift * fit / (width * render.pixel_aspect_x)
        if data.type == "ORTHO":
            projection[0, 3] -= moved
        else:
            projection[0, 2] += moved
    box = border_box(render, width, height)
    near, far = data.clip_start, data.clip_end
    pose = np.linalg.inv(matrix)
    return from_projection(projection, pose, width, height, near, far, box, focus, units)


MOST_LENS_POINTS = 64
FEWEST_LENS_POINTS = 12


def lens_of(depsgraph, view, hands, name=""):
    """The aperture of the scene's camera, as the worker takes it, or None where all is sharp.

    Args:
        depsgraph: of the render.
        view: what ``of_scene`` answered.
        hands: with their ``vertices``; how blurred they are says how many points it takes.
        name: of the stereo view.
    """
    scene = depsgraph.scene_eval
    camera = camera_of(scene, name).evaluated_get(depsgraph)
    data = camera.data
    if not data.dof.use_dof or not hands:
        return None
    pose = np.array(view.camera["world_to_camera"])
    focus = _focus(data.dof, depsgraph, pose, view.depth_offset)
    aperture = 1.0 / (2.0 * max(data.dof.aperture_fstop, 1e-3))
    if data.type == "PERSP":
        aperture *= data.lens * 1e-3
    far = focus + view.depth_offset
    if view.depth_offset:  # the pinhole stands far behind a parallel camera
        aperture *= far / focus
    points = np.concatenate([h.vertices[::37] for h in hands])
    z = points @ pose[2, :3] + pose[2, 3]
    z = z[z > view.camera["near"]]
    if not len(z):
        return None
    blur = aperture * view.camera["fx"] * float(np.abs(1 / z - 1 / far).max())
    if blur < 0.25:
        return None
    count = int(np.clip(2.0 * blur**1.5, FEWEST_LENS_POINTS, MOST_LENS_POINTS))
    return {"focus": far, "points": (aperture * _aperture(data.dof, count)).tolist()}


def _focus(dof, depsgraph, pose, offset):
    """Distance along the camera's axis that is sharp, metres."""
    if dof.focus_object is None:
        return max(float(dof.focus_distance), 1e-3)
    target = dof.focus_object.evaluated_get(depsgraph)
    matrix = np.array(target.matrix_world)
    if target.type == "ARMATURE" and dof.focus_subtarget in target.pose.bones:
        matrix = matrix @ np.array(target.pose.bones[dof.focus_subtarget].matrix)
    return max(float(pose[2, :3] @ matrix[:3, 3] + pose[2, 3]) - offset, 1e-3)


def _aperture(dof, count):
    """(N, 2) points spread evenly over the unit aperture, right and down."""
    k = np.arange(count) + 0.5
    radius, angle = np.sqrt(k / count), np.pi * (1 + 5**0.5) * k
    blades = int(dof.aperture_blades)
    if blades >= 3:  # the disc is squeezed to a polygon of equal corners
        sector = 2 * np.pi / blades
        within = np.mod(angle, sector) - sector / 2
        radius = radius * np.cos(sector / 2) / np.cos(within)
    angle = angle + float(dof.aperture_rotation)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    return np.stack([x / max(float(dof.aperture_ratio), 1e-3), -y], axis=1)


def of_viewport(region, region_data, clip, scale, focus=None, units=1.0):
    """View of a 3D viewport at 1/``scale`` of its resolution; others as in from_projection."""
    width = max(1, region.width // scale)
    height = max(1, region.height // scale)
    projection, view = region_data.window_matrix, region_data.view_matrix
    near, far = clip
    return from_projection(projection, view, width, height, near, far, None, focus, units)

"""The host's other objects: where they hide the hands from the camera.

Coverage is counted on a grid finer than the pixels, so that an edge across a hand is as soft as any
other edge of the picture, whatever blur is averaged later.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError
from ..core.types import Camera
from ..geometry.raster import lower_depth, nearest_depth

SUBSAMPLES = 4
"""Samples a pixel has along each side."""
MAX_SAMPLES = 24_000_000
"""Of one frame: larger pictures get fewer a pixel."""
CONTACT = 0.0005
"""A surface that close before the skin, metres, touches it and hides nothing."""

Meshes = Sequence[tuple[np.ndarray, np.ndarray]]
"""Vertices (V, 3), world metres, and faces (F, 3)."""


@dataclass(frozen=True)
class Occluders:
    """The triangles of all objects that are no hands.

    Attributes:
        vertices: (V, 3) world metres.
        hiding: (F, 3) faces that the camera sees, and that so hide what is behind them.
        shading: (F, 3) faces that cast shadows.
    """

    vertices: np.ndarray
    hiding: np.ndarray
    shading: np.ndarray

    @staticmethod
    def of(arrays: Mapping[str, np.ndarray]) -> Occluders:
        """Those of a request's arrays ``occluder_vertices``, ``hiding`` and ``shading``.

        Raises:
            InputError: a face names a vertex that there is not.
        """
        none = np.zeros((0, 3), np.int32)
        vertices = arrays.get("occluder_vertices", np.zeros((0, 3), np.float32))
        faces = {name: arrays.get(name, none) for name in ("hiding", "shading")}
        for name, table in faces.items():
            if table.size and not 0 <= int(table.min()) <= int(table.max()) < len(vertices):
                raise InputError(f"the faces {name!r} name vertices that were not sent")
        # wide once, as every shadow map takes them
        return Occluders(vertices, **{n: table.astype(np.int64) for n, table in faces.items()})


def visible_share(
    hands: Meshes, occluders: Occluders, view: Camera, mean_depth: np.ndarray, trim: bool
) -> np.ndarray | None:
    """(H, W) how much of each pixel's hand nothing hides, 0 to 1; None where all of it shows.

    Args:
        hands: their posed meshes.
        occluders: what may be before them.
        view: the camera.
        mean_depth: (H, W) of the splats, for those that stand out beyond the mesh.
        trim: take away what stands out beyond the mesh: a splat is wider than the skin it sits on,
            up to a pixel or two of fringe.
    """
    if not trim and not len(occluders.hiding):
        return None
    box = box_of(hands, view)
    if box is None:
        return None
    x0, y0, x1, y1 = box
    factor = SUBSAMPLES
    while factor > 1 and (x1 - x0) * (y1 - y0) * factor**2 > MAX_SAMPLES:
        factor -= 1
    fine = dataclasses.replace(
        view,
        fx=view.fx * factor,
        fy=view.fy * factor,
        cx=(view.cx - x0) * factor,
        cy=(view.cy - y0) * factor,
        width=(x1 - x0) * factor,
        height=(y1 - y0) * factor,
    )
    far = np.float32(np.inf)
    before = np.full((fine.height, fine.width), far, np.float32)
    lower_clipped(occluders.vertices, occluders.hiding, fine, before)
    if not trim and not np.isfinite(before).any():
        return None
    skin = np.full_like(before, far)
    for vertices, faces in hands:
        lower_clipped(vertices, faces, fine, skin)
    from .kernels import count_visible

    share = np.full((view.height, view.width), 0.0 if trim else 1.0, np.float32)
    part = share[y0:y1, x0:x1]
    contact = np.float32(CONTACT)
    count_visible(skin, before, mean_depth[y0:y1, x0:x1], factor, contact, trim, part)
    return share


def box_of(hands: Meshes, view: Camera) -> tuple[int, int, int, int] | None:
    """(x0, y0, x1, y1) pixels around the hands, or None where none is in the picture."""
    points = np.concatenate([vertices for vertices, _ in hands]).astype(np.float64)
    pose = view.world_to_camera
    # without BLAS, whose own threads get in each other's way where several ask at once
    seen = (points[:, None, :] * pose[:3, :3]).sum(axis=2) + pose[:3, 3]
    before = seen[:, 2] > view.near
    if not before.any():
        return None
    if not before.all():  # what reaches behind the camera may end anywhere in the picture
        return 0, 0, view.width, view.height
    margin = 0.01 * view.fx / seen[:, 2].min() + 2  # splats stand out from the skin
    x = seen[:, 0] / seen[:, 2] * view.fx + view.cx
    y = seen[:, 1] / seen[:, 2] * view.fy + view.cy
    x0, x1 = (int(np.clip(v, 0, view.width)) for v in (x.min() - margin, x.max() + margin + 1))
    y0, y1 = (int(np.clip(v, 0, view.height)) for v in (y.min() - margin, y.max() + margin + 1))
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def lower_clipped(vertices: np.ndarray, faces: np.ndarray, view: Camera, depth: np.ndarray) -> None:
    """``lower_depth`` that cuts triangles at the near plane: a floor goes on under the camera.

    Args:
        vertices: (V, 3) world metres.
        faces: (F, 3).
        view: of the size of ``depth``.
        depth: (H, W) float32, lowered in place.
    """
    if not len(faces):
        return
    if nearest_depth(vertices, view) > 1.001 * view.near:
        lower_depth(vertices, faces, view, depth)
        return
    pose = view.world_to_camera
    points = np.asarray(vertices, np.float64) @ pose[:3, :3].T + pose[:3, 3]
    points, faces = _cut(points, np.asarray(faces), view.near)
    lower_depth(points, faces, dataclasses.replace(view, world_to_camera=np.eye(4)), depth)


def _cut(points: np.ndarray, faces: np.ndarray, near: float) -> tuple[np.ndarray, np.ndarray]:
    """The part of triangles beyond z = ``near``, as points (V', 3) and faces (F', 3)."""
    limit = near * (1 + 1e-6)
    if points[:, 2].min() > limit:
        return points, faces
    inside = points[:, 2] > limit
    count = inside[faces].sum(axis=1)
    whole = faces[count == 3]
    added = [points]
    pieces = [whole]
    start = len(points)
    for kept in (1, 2):
        some = faces[count == kept]
        if not len(some):
            continue
        # the odd corner, the only one in or out, comes first
        odd = np.argmax(inside[some] if kept == 1 else ~inside[some], axis=1)
        some = np.take_along_axis(some, (odd[:, None] + np.arange(3)) % 3, axis=1)
        a = points[some[:, 0]]
        number = np.arange(len(some))
        crossings = []
        for k in (1, 2):
            b = points[some[:, k]]
            t = (limit * (1 + 1e-6) - a[:, 2]) / (b[:, 2] - a[:, 2])
            added.append(a + t[:, None] * (b - a))
            crossings.append(start + number)
            start += len(some)
        first, second = crossings
        if kept == 1:
            pieces.append(np.stack([some[:, 0], first, second], axis=1))
        else:
            pieces.append(np.stack([first, some[:, 1], some[:, 2]], axis=1))
            pieces.append(np.stack([first, some[:, 2], second], axis=1))
    return np.concatenate(added), np.concatenate(pieces)

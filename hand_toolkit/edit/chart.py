"""Flat coordinates around a point of the skin: where a decal's pixels lie."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from ..core.conventions import FINGERS, KEYPOINT_TO_MANO
from ..core.errors import InputError
from ..geometry.raster import barycentric_2d
from ..geometry.surfaces import vertex_normals
from ..hand_model import HandModel, rest_hand
from .zones import palm_at_vertices

PLACES = ("back", "palm", "wrist", "wrist_inside", *FINGERS)
"""Named points: middle of the back and of the palm, both sides of the wrist, and the back of each
finger's first phalanx."""


@dataclass(frozen=True)
class Point:
    """A point of the flat hand's skin.

    Attributes:
        face: triangle.
        position: (3,) metres.
        normal: (3,) outward.
        up: (3,) along the skin toward the fingertips.
    """

    face: int
    position: np.ndarray
    normal: np.ndarray
    up: np.ndarray


def point_at(model: HandModel, shape: np.ndarray, where: str) -> Point:
    """A point by one of :data:`PLACES`, or by its texture coordinates ``u,v``.

    Args:
        model: the hand.
        shape: (S,) its shape.
        where: e.g. ``back`` or ``0.61,0.36``, origin at the lower left.

    Raises:
        InputError: an unknown word, or coordinates off the layout.
    """
    vertices, _, keypoints = rest_hand(model, shape)
    word = where.strip().lower()
    if word in PLACES:
        return _named(model, vertices, keypoints, word)
    try:
        uv = np.array([float(v) for v in word.split(",")])
    except ValueError:
        uv = np.zeros(0)
    if uv.shape != (2,) or not np.isfinite(uv).all():
        raise InputError(f"no place {where!r} on the skin; give {', '.join(PLACES)}, or U,V")
    corners = model.uvs[model.uv_faces].astype(np.float64)
    box = (corners.min(axis=1) <= uv).all(axis=1) & (corners.max(axis=1) >= uv).all(axis=1)
    for face in np.flatnonzero(box):
        weights = barycentric_2d(uv[None], corners[face][None])[0]
        if weights.min() >= -1e-6:
            return _point(
                model, vertices, keypoints, int(face), weights @ vertices[model.faces[face]]
            )
    raise InputError(f"no skin lies at {where} of the texture layout; look at SIDE_guide.png")


def _named(model: HandModel, vertices: np.ndarray, keypoints: np.ndarray, word: str) -> Point:
    along, joint = keypoints[9] - keypoints[0], 0
    start = keypoints[0] + (0.08 if word.startswith("wrist") else 0.6) * along
    if word in FINGERS:
        # the thumb's first bone lies in the palm
        bone = 1 + 4 * FINGERS.index(word) + (word == "thumb")
        along, start = (
            keypoints[bone + 1] - keypoints[bone],
            keypoints[bone : bone + 2].mean(axis=0),
        )
        joint = int(KEYPOINT_TO_MANO[bone])
    corners = vertices[model.faces]
    centres = corners.mean(axis=1)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    own = np.asarray(model.weights)[model.faces].sum(axis=1).argmax(axis=1) == joint
    palm = palm_at_vertices(model.name, model.level)[model.faces].mean(axis=1)
    out = (normal * ((1 - 2 * palm) * own)[:, None]).sum(axis=0)
    out = out - along * (out @ along) / (along @ along)
    out = out / np.linalg.norm(out) * (-1 if word in ("palm", "wrist_inside") else 1)
    gap = centres - start
    height = gap @ out
    beside = np.linalg.norm(gap - height[:, None] * out, axis=1)
    beside[(normal @ out <= 0) | (height < 0)] = np.inf
    face = int((beside + 0.1 * height).argmin())
    return _point(model, vertices, keypoints, face, centres[face])


def _point(
    model: HandModel, vertices: np.ndarray, keypoints: np.ndarray, face: int, at: np.ndarray
) -> Point:
    normal = vertex_normals(vertices, model.faces)[model.faces[face]].mean(axis=0)
    normal = normal / np.linalg.norm(normal)
    joint = int(np.asarray(model.weights)[model.faces[face]].sum(axis=0).argmax())
    along = keypoints[9] - keypoints[0]
    if joint:
        here = int(np.flatnonzero(joint == KEYPOINT_TO_MANO)[0])
        along = keypoints[here + 1] - keypoints[here]
    up = along - normal * (along @ normal)
    return Point(face, at, normal, up / np.maximum(np.linalg.norm(up), 1e-9))


def flattened(model: HandModel, vertices: np.ndarray, point: Point, reach: float) -> np.ndarray:
    """(V, 2) coordinates of vertices around a point, metres: right and up seen from outside.

    The discrete exponential map (Schmidt, Grimm and Wyvill 2006): lengths along the skin, frames
    carried from vertex to vertex. NaN further than ``reach`` away.

    Args:
        model: the hand.
        vertices: (V, 3) its rest surface.
        point: the middle.
        reach: metres.
    """
    normals = vertex_normals(vertices, model.faces)
    edges = np.concatenate([model.faces[:, [0, 1]], model.faces[:, [1, 2]], model.faces[:, [2, 0]]])
    edges = np.concatenate([edges, edges[:, ::-1]])
    edges = edges[np.argsort(edges[:, 0], kind="stable")]
    start = np.searchsorted(edges[:, 0], np.arange(len(vertices) + 1))
    flat = np.full((len(vertices), 2), np.nan)
    ups = np.zeros((len(vertices), 3))
    done = np.zeros(len(vertices), bool)
    queue: list[tuple[float, int]] = []
    for v in model.faces[point.face]:
        flat[v] = _in_frame(vertices[v] - point.position, point.normal, point.up)
        ups[v] = _carried(point.up, point.normal, normals[v])
        heapq.heappush(queue, (float(np.linalg.norm(flat[v])), int(v)))
    while queue:
        distance, v = heapq.heappop(queue)
        if done[v] or distance > reach:
            continue
        done[v] = True
        around = np.unique(edges[start[v] : start[v + 1], 1])
        for w in around[~done[around]]:
            known = np.unique(edges[start[w] : start[w + 1], 1])
            known = known[done[known]]
            step = vertices[w] - vertices[known]
            parts = np.array(
                [flat[k] + _in_frame(x, normals[k], ups[k]) for k, x in zip(known, step)]
            )
            # around a finger and around a web the map meets itself: there the nearer way counts
            length = np.linalg.norm(step, axis=1)
            agrees = np.linalg.norm(parts - parts[known == v], axis=1) < 0.5 * length
            agrees |= known == v
            share = agrees / np.maximum(length, 1e-9)
            share /= share.sum()
            flat[w] = share @ parts
            ups[w] = _carried(share @ ups[known], normals[v], normals[w])
            far = float(np.linalg.norm(flat[w]))
            # no way along the skin is shorter than the straight one: this map has folded over
            if far > 0.97 * np.linalg.norm(vertices[w] - point.position):
                heapq.heappush(queue, (far, int(w)))
    flat[~done] = np.nan
    return flat


def _in_frame(step: np.ndarray, normal: np.ndarray, up: np.ndarray) -> np.ndarray:
    """(2,) a step along the skin with its length kept, to the right and up seen from outside."""
    plane = np.array([step @ np.cross(up, normal), step @ up])
    length = np.linalg.norm(plane)
    return plane * (np.linalg.norm(step) / length if length > 1e-12 else 0.0)


def _carried(up: np.ndarray, normal: np.ndarray, other: np.ndarray) -> np.ndarray:
    """A direction along the skin at one normal, carried to another by the shortest turn."""
    axis, cosine = np.cross(normal, other), float(normal @ other)
    turned = up + np.cross(axis, up) + np.cross(axis, np.cross(axis, up)) / max(1 + cosine, 1e-6)
    turned = turned - other * (turned @ other)
    return np.asarray(turned / np.maximum(np.linalg.norm(turned), 1e-9))

"""Lengthens the forearm below the cut, so that a rendered arm leaves the picture."""

from __future__ import annotations

import dataclasses

import numpy as np

from .source import SourceHand

RINGS = ((0.04, 1.02), (0.10, 1.05), (0.20, 1.08), (0.30, 1.08))
"""Distance beyond the cut in metres and relative width of each added ring."""


def extend_forearm(source: SourceHand) -> SourceHand:
    """``source`` with rings of quads added to the open end, towards the elbow and beyond.

    The rings take the shape directions of the end that they continue, widened alike, and
    its texture coordinates.
    """
    directed = {}
    for q, quad in enumerate(source.quads):
        for k in range(4):
            directed[int(quad[k]), int(quad[(k + 1) % 4])] = (q, k)
    rim = [edge for edge in directed if edge[::-1] not in directed]
    ends = sorted({v for edge in rim for v in edge})
    wrist = source.heads[source.bones.index("wrist")]
    centre = source.vertices[ends].mean(0)
    axis = (centre - wrist) / np.linalg.norm(centre - wrist)

    def ring(values: np.ndarray, width: float) -> np.ndarray:
        middle = values.mean(-2, keepdims=True)
        return middle + width * (values - middle)

    end = source.vertices[ends]
    # the cut is ragged; flattening its rings along the arm straightens them
    level = ((end - centre) @ axis)[:, None] * axis
    vertices, directions, quads, uv_quads = [source.vertices], [source.vertex_dirs], [], []
    previous = {v: v for v in ends}
    count = len(source.vertices)
    uv_of = {}
    for a, b in rim:
        q, k = directed[a, b]
        uv_of[a, b] = source.uv_quads[q][k], source.uv_quads[q][(k + 1) % 4]
    for distance, width in RINGS:
        vertices.append(ring(end - 0.9 * level, width) + distance * axis)
        directions.append(ring(source.vertex_dirs[:, ends], width))
        current = {v: count + i for i, v in enumerate(ends)}
        count += len(ends)
        for a, b in rim:
            quads.append([previous[b], previous[a], current[a], current[b]])
            uv_a, uv_b = uv_of[a, b]
            uv_quads.append([uv_b, uv_a, uv_a, uv_b])
        previous = current
    added = count - len(source.vertices)
    weights = np.zeros((added, source.weights.shape[1]))
    weights[:, source.bones.index("wrist")] = 1
    return dataclasses.replace(
        source,
        vertices=np.concatenate(vertices),
        vertex_dirs=np.concatenate(directions, axis=1),
        weights=np.vstack([source.weights, weights]),
        quads=np.vstack([source.quads, quads]),
        uv_quads=np.vstack([source.uv_quads, uv_quads]),
    )

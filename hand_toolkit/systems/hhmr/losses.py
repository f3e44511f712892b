"""What the denoiser is trained with (HHMR, section 4.4)."""

from __future__ import annotations

import torch

from .pyramid import Pyramid


class MeshLosses:
    """Vertices, keypoints, normals and edges of predicted meshes against true ones.

    Args:
        pyramid: of the hand model.
        regressor: (21, V) keypoints as mixtures of vertices.
    """

    def __init__(self, pyramid: Pyramid, regressor: torch.Tensor) -> None:
        self._regressor = regressor
        device = regressor.device
        self._edges = torch.as_tensor(pyramid.edges, device=device)
        self._faces = torch.as_tensor(pyramid.faces, device=device)
        self._edge_face = torch.as_tensor(pyramid.edge_face, device=device)

    def __call__(self, found: torch.Tensor, true: torch.Tensor) -> dict[str, torch.Tensor]:
        """Losses by name, each a mean.

        Args:
            found, true: (B, V, 3) in ``UNIT_M``.
        """
        apart = self._regressor @ (found - true)
        edge, true_edge = self._edge(found), self._edge(true)
        length, true_length = edge.norm(dim=-1), true_edge.norm(dim=-1)
        a, b, c = (true[:, self._faces[:, k]] for k in range(3))
        normal = torch.linalg.cross(b - a, c - a)
        normal = normal / normal.norm(dim=-1, keepdim=True).clamp_min(1e-9)
        unit = edge / length[..., None].clamp_min(1e-6)
        along = (unit * normal[:, self._edge_face]).sum(-1)
        return {
            # the paper's losses on x0 and on vertices are one where x0 is the vertices
            "vertex": (found - true).abs().mean(),
            "joint": apart.abs().mean(),
            "normal": along.abs().mean(),
            "edge": (length - true_length).abs().mean(),
        }

    def _edge(self, mesh: torch.Tensor) -> torch.Tensor:
        return mesh[:, self._edges[:, 0]] - mesh[:, self._edges[:, 1]]

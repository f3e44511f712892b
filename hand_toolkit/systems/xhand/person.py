"""The personal hand: M = Ω(T' + D(θ), W(θ), θ, β) with albedo ρ(θ) (XHand, Eq. 5 and 12)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ...avatar import surface
from ...geometry.rotations import matrix_from_axis_angle
from ...geometry.surfaces import vertex_normals
from ...hand_model.posing import model_tensors, pose_features, pose_hand
from ...skin.uv_observation import away_from_cut
from .config import XHandConfig
from .embedding import FeatureEmbedding

MM = 1e-3


@dataclass(frozen=True, eq=False)
class PosedPerson:
    """One hand in one pose.

    Attributes:
        vertices, normals: (V, 3) camera axes, metres and unit.
        log_albedo: (V, 3) natural logarithm of linear reflectance.
        displacement: (V, 3) metres in the rest pose, or None.
    """

    vertices: torch.Tensor
    normals: torch.Tensor
    log_albedo: torch.Tensor
    displacement: torch.Tensor | None


class Person(nn.Module):
    """One hand of a person."""

    def __init__(
        self,
        hand_model: str,
        side: str,
        shape: np.ndarray,
        log_albedo: torch.Tensor,
        config: XHandConfig,
        *,
        level: int | None = None,
        plain: bool = False,
    ) -> None:
        """A hand that is the hand model's.

        Args:
            hand_model, side: whose.
            shape: (S,).
            log_albedo: (V, 3), or (3,) for all vertices alike.
            config: which embeddings there are.
            level: of the mesh; the configuration's by default.
            plain: leave displacement, weights and pose-dependent albedo out.
        """
        super().__init__()
        self.side = side
        self.model = surface(hand_model, side, config.level if level is None else level)
        self._base = surface(hand_model, side, 0)
        count = len(self.model.template)
        self.shape = nn.Parameter(torch.tensor(shape, dtype=torch.float32))
        # the wrist's open end stays where the model has it: the stump and the arm are joined there
        inner = away_from_cut(self.model, self.model.template.astype(np.float64))
        self._inner = torch.tensor(inner, dtype=torch.float32)[:, None]
        average = log_albedo.float().expand(count, 3)
        deep = not plain
        narrow = {"width": 128, "depth": 5, "decoder": config.decoder}
        self.albedo = FeatureEmbedding(average, **narrow)  # type: ignore[arg-type]
        self.pose_albedo = config.pose_albedo and deep
        self.displacement: FeatureEmbedding | None = None
        self.weights: FeatureEmbedding | None = None
        if config.displacement and deep:
            self.displacement = FeatureEmbedding(
                torch.zeros(count, 3), width=512, depth=8, decoder=config.decoder
            )
        if config.weights and deep:
            self.weights = FeatureEmbedding(torch.zeros(count, 16), **narrow)  # type: ignore[arg-type]

    def average_displacement(self) -> np.ndarray | None:
        """(V, 3) metres of the rest pose, or None."""
        if self.displacement is None:
            return None
        made: np.ndarray = (MM * self._inner * self.displacement.average).detach().numpy()
        return made

    def still(self, theta: torch.Tensor, translation: torch.Tensor) -> PosedPerson:
        """The hand in a pose with its average features and the hand model's skinning weights.

        This is what can be baked into fixed splats; arguments as for calling it.
        """
        return self._posed(theta, translation, still=True)

    def forward(self, theta: torch.Tensor, translation: torch.Tensor) -> PosedPerson:
        """Pose the hand.

        Args:
            theta: (16, 3) axis-angle; translation: (3,) metres.
        """
        return self._posed(theta, translation, still=False)

    def _posed(self, theta: torch.Tensor, translation: torch.Tensor, *, still: bool) -> PosedPerson:
        data = model_tensors(self.model, theta.dtype, theta.device)
        amounts: torch.Tensor = self.shape
        if self.model.pose_dirs is not None:
            feature = pose_features(self.model, matrix_from_axis_angle(theta[None]))[0]
            amounts = torch.cat([amounts, feature])
        rest = data["template"] + (amounts @ data["dirs"]).view(-1, 3)
        displacement = None
        if self.displacement is not None:
            part = self.displacement
            displacement = MM * self._inner * (part.average if still else part(theta))
            rest = rest + displacement
        weights = data["weights"]
        if self.weights is not None and not still:
            weights = weights * torch.exp(self.weights(theta))
            weights = weights / weights.sum(1, keepdim=True)
        bones = pose_hand(self._base, theta[None], self.shape[None], translation[None]).transforms
        blended = (weights @ bones[0, :, :3].reshape(16, 12)).view(-1, 3, 4)
        vertices = (blended[..., :3] @ rest[..., None])[..., 0] + blended[..., 3]
        albedo = self.albedo(theta) if self.pose_albedo and not still else self.albedo.average
        normals = vertex_normals(vertices, self.model.faces)
        return PosedPerson(vertices, normals, albedo, displacement)

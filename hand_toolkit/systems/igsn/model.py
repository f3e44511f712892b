"""The network with its training subjects' identity maps, and the loss of one scene."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ...core.conventions import SIDES
from ...core.types import Camera
from ...learn.losses import Perceptual, image_loss, mask_loss
from .config import PriorConfig, TrainConfig
from .gaussians import colors, place
from .network import DIRECT_GAIN, SKIN_LOGIT, PriorNetwork, camera_embedding
from .points import PosedPoints, pose_points
from .rendering import render_view, stack_views
from .shading import linear_to_srgb

IDENTITY_DEVIATION = 0.002
"""Identity maps of training subjects start as N(0, 0.002) plus the albedo that the pictures show.

The authors' code takes 0.02; with the linear way from map to colour that would be speckle.
"""


@dataclass(frozen=True)
class SceneBatch:
    """One pose of one subject with V of its views, as tensors.

    Attributes:
        slot: the subject's place among the identity maps.
        sides: H hands.
        theta: (H, 16, 3) radians.
        shape: (H, S).
        translation: (H, 3) metres.
        cameras: V cameras.
        images: (V, h, w, 3) sRGB, on black outside the mask.
        masks: (V, h, w).
        albedo: (V, h, w, 3) sRGB-encoded, on black, or None.
        lights: (V, 9, 3), world.
    """

    slot: int
    sides: tuple[str, ...]
    theta: torch.Tensor
    shape: torch.Tensor
    translation: torch.Tensor
    cameras: tuple[Camera, ...]
    images: torch.Tensor
    masks: torch.Tensor
    albedo: torch.Tensor | None
    lights: torch.Tensor


class PriorModel(nn.Module):
    """What stage one trains: the network and one identity map per subject and hand."""

    def __init__(self, config: PriorConfig, train: TrainConfig, perceptual: Perceptual) -> None:
        super().__init__()
        self.config, self.settings = config, train
        self.network = PriorNetwork(config)
        size = config.identity_size if config.use_identity_map else 1
        self.identities = nn.ParameterList(
            nn.Parameter(torch.randn(2, config.identity_channels, size, size) * IDENTITY_DEVIATION)
            for _ in range(train.subject_slots)
        )
        self._perceptual = perceptual

    @torch.no_grad()
    def start_identity(self, slot: int, albedo: torch.Tensor) -> None:
        """Write an albedo map (2, 3, S, S), sRGB-encoded, into a subject's map, so that the
        network's first colours are nearly right and its capacity goes into what maps cannot say.
        """
        target = self.identities[slot]
        if target.shape[-1] == 1:
            albedo = albedo.mean((2, 3), keepdim=True)
        albedo = albedo.to(target.device, target.dtype).clamp(0.02, 0.98)
        base = target.new_tensor(SKIN_LOGIT)[:, None, None]
        target[:, :3] += (torch.logit(albedo) - base) / DIRECT_GAIN

    def identity(self, slot: int, sides: tuple[str, ...]) -> torch.Tensor:
        """(H, C, S, S) maps of a training subject's hands."""
        return self.identities[slot][[SIDES.index(s) for s in sides]]

    def forward(self, batch: SceneBatch, fine: bool, seed: int) -> dict[str, torch.Tensor]:
        """Losses of one scene by name, among them the weighted sum, "loss".

        Args:
            batch: the scene.
            fine: all points, or the coarse ones.
            seed: of the background and of what is hidden of the identity map.
        """
        s = self.settings
        generator = torch.Generator().manual_seed(seed)
        points = pose_points(
            self.config, batch.sides, batch.theta, batch.shape, batch.translation, fine=fine
        )
        identity = self.identity(batch.slot, batch.sides)
        keep = self._hide(points, generator)
        every = list(range(len(batch.cameras)))
        groups = [[v] for v in every] if self.config.camera_input else [every]
        pairs = [self._pictures(batch, points, identity, keep, generator, g) for g in groups]
        names = pairs[0].keys()
        parts = {n: torch.stack([p[n] for p in pairs]).mean() for n in names}
        parts["identity"] = identity.square().mean()
        parts["loss"] = (
            parts["image"]
            + s.weight_perceptual * parts["perceptual"]
            + s.weight_mask * parts["mask"]
            + s.weight_albedo * parts["albedo"]
            + s.weight_offset * parts["offset"]
            + s.weight_split * parts["split"]
            + s.weight_shadow * parts["shadow"]
            + s.weight_identity * parts["identity"]
        )
        return parts

    def _hide(self, points: PosedPoints, generator: torch.Generator) -> torch.Tensor | None:
        """What one photo would show of the identity map: the skin facing one direction."""
        if torch.rand((), generator=generator) >= self.settings.hide_identity:
            return None
        normals = torch.from_numpy(points.topology.rest_normals).to(points.world.device)
        rows = []
        for _ in points.sides:
            toward = torch.randn(3, generator=generator)
            toward = (toward / toward.norm()).to(normals.device)
            above = float(torch.rand((), generator=generator)) * 0.5 - 0.2
            rows.append(((normals @ toward) > above).to(normals.dtype))
        return torch.stack(rows)

    def _pictures(
        self,
        batch: SceneBatch,
        points: PosedPoints,
        identity: torch.Tensor,
        keep: torch.Tensor | None,
        generator: torch.Generator,
        views: list[int],
    ) -> dict[str, torch.Tensor]:
        """Losses of those views, which share one pass of the network."""
        c = self.config
        camera = None
        if c.camera_input:
            first = batch.cameras[views[0]]
            extrinsic = points.world.new_tensor(first.world_to_camera)
            camera = camera_embedding(points, extrinsic, first.fx / first.width)
        attributes = self.network(points, identity, camera=camera, keep=keep)
        geometry = place(c, attributes, points)
        backgrounds = torch.rand(len(views), 3, generator=generator).to(points.world.device)
        pictures, shadows = [], []
        for row, v in enumerate(views):
            shadow = self.network.shadow(points, attributes, batch.lights[v])
            shadows.append((shadow - 1).square().mean())
            color = colors(geometry, shadow, batch.lights[v])
            pictures.append(render_view(geometry.splats(color), batch.cameras[v], backgrounds[row]))
        image, alpha = stack_views(pictures)
        mask = batch.masks[views]
        background = backgrounds[:, None, None]
        target = batch.images[views] + (1 - mask[..., None]) * background
        zero = image.new_zeros(())
        albedo = zero
        if batch.albedo is not None:
            # one view's albedo per step: the others would add time, not information
            row = int(torch.randint(len(views), (), generator=generator))
            v = views[row]
            flat = render_view(
                geometry.splats(linear_to_srgb(geometry.albedo)), batch.cameras[v]
            ).color
            albedo = image_loss(flat[None], batch.albedo[v][None], batch.masks[v][None])
        fade = (attributes.validity - c.split_above).clamp_min(0) / (1 - c.split_above)
        return {
            "image": image_loss(image, target, mask),
            "perceptual": self._perceptual(image, target, mask),
            "mask": mask_loss(alpha, mask),
            "albedo": albedo,
            "offset": (attributes.offset / c.offset_bound_m).square().mean()
            + 0.1 * attributes.log_scale.square().mean(),
            "split": fade.mean(),
            "shadow": torch.stack(shadows).mean(),
            "splats": image.new_tensor(float(len(geometry.means))),
        }

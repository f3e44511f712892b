"""IGSN: pose, shape and identity in, Gaussian attributes on the hand's surface out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from ...geometry.sh import sh_basis
from .config import PriorConfig
from .layers import Block, TokenGrid, mlp, positional_encoding, sample_map, scatter_mean, unit
from .points import PosedPoints
from .shading import LIGHT_TERMS
from .topology import Topology

POSITION_FREQUENCIES = 4
UV_FREQUENCIES = 6
SKIN_LOGIT = (0.75, 0.15, -0.2)
"""Logits of a middle skin's sRGB albedo, where training starts."""

DIRECT_GAIN = 10.0
"""Logits of albedo per unit of the identity map's first three channels, where training starts."""


@dataclass(frozen=True)
class Attributes:
    """What the network says about N points of H hands, in the axes of a right hand.

    Attributes:
        offset: (H, N, 3) metres in the triangle's frame.
        log_scale: (H, N, 3) relative to the triangle's size.
        quat: (H, N, 4) wxyz rotation in the triangle's frame.
        opacity: (H, N) in [0, 1].
        albedo: (H, N, 3) sRGB-encoded reflectance.
        validity: (H, N) v of the refinement module, in [0, 1].
        child_offset: (H, N, 3) position of the copy that a split makes, relative to the parent.
        shadow_feature: (H, N, F) input of :meth:`PriorNetwork.shadow`.
    """

    offset: torch.Tensor
    log_scale: torch.Tensor
    quat: torch.Tensor
    opacity: torch.Tensor
    albedo: torch.Tensor
    validity: torch.Tensor
    child_offset: torch.Tensor
    shadow_feature: torch.Tensor


@dataclass(frozen=True)
class Encoded:
    """Geometric encoding of H hands: features (H, N, F), pose tokens, interaction labels."""

    geometry: torch.Tensor
    pose: torch.Tensor
    label: torch.Tensor


class PriorNetwork(nn.Module):
    """The network of IGSN, sections 3.1 and 3.2, sizes by :class:`PriorConfig`."""

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = c = config
        pose_size = 45 + 10 + (16 if c.camera_input else 0)
        position_size = 3 * (1 + 2 * POSITION_FREQUENCIES) + 3 + 1
        uv_size = 2 * (1 + 2 * UV_FREQUENCIES)
        # geometric encoding: pose encoder and PointNet, merged by a transformer decoder
        self.pose = mlp(pose_size, c.width, c.width, c.width * c.pose_tokens)
        self.point_first = mlp(position_size, c.point_width, c.point_width)
        self.point_second = mlp(2 * c.point_width, c.point_width, c.point_width)
        self.point_token = nn.Linear(c.point_width, c.width)
        self.point_skip = nn.Linear(c.point_width, c.features)
        self.geometry = TokenGrid(
            c.token_size, c.width, c.geometry_layers, c.heads, c.features, c.texture_size
        )
        # texture encoding: UV condition map, decoded to the neural texture map
        self.pose_channels = nn.Linear(c.width, c.point_width)
        condition = c.features
        self.condition = mlp(
            c.identity_channels + uv_size + c.point_width + 1, 2 * condition, condition
        )
        patch = (c.texture_size // c.token_size) ** 2
        self.texture_token = nn.Linear(condition * patch, c.width)
        self.texture = TokenGrid(
            c.token_size, c.width, c.texture_layers, c.heads, c.features, c.texture_size
        )
        self.texture_skip = nn.Conv2d(condition, c.features, 3, padding=1)
        # interaction-aware attention
        if c.use_interaction:
            self.contact_in = nn.Linear(c.features + 3 * (1 + 2 * POSITION_FREQUENCIES), c.width)
            self.contact_blocks = nn.ModuleList(
                Block(c.width, c.heads) for _ in range(c.interaction_layers)
            )
            self.contact_out = nn.Linear(c.width, c.features)
            nn.init.zeros_(self.contact_out.weight)
            nn.init.zeros_(self.contact_out.bias)
        # heads
        self.geometry_head = mlp(c.features + c.identity_channels, c.head_width, 16)
        self.color_head = mlp(c.features + c.identity_channels, c.head_width, 3)
        self.identity_color = nn.Linear(c.identity_channels, 3, bias=False)
        self.shadow_in = nn.Linear(c.features, c.head_width)
        self.shadow_light = nn.Linear(LIGHT_TERMS + 3 + 4, c.head_width)
        self.shadow_out = nn.Linear(c.head_width, 1)
        self._start()

    def _start(self) -> None:
        """Begin as plain, opaque, skin-coloured surface splats without shadow."""
        geometry, color = self.geometry_head[-1], self.color_head[-1]
        if not (isinstance(geometry, nn.Linear) and isinstance(color, nn.Linear)):
            raise TypeError("the attribute heads must end in linear layers")
        for head in (geometry, color, self.shadow_out):
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
        with torch.no_grad():
            geometry.bias[10] = 3.0  # opacity 0.95
            geometry.bias[11] = 2.15  # validity 0.896: splitting begins at 0.9
            color.bias.copy_(torch.tensor(SKIN_LOGIT))
            self.shadow_out.bias.fill_(1.4)
            # a direct way from the identity map to colour: whatever the decoder has learned,
            # any colour can be written into the map, so that one-shot fitting is well posed
            nn.init.normal_(self.identity_color.weight, std=0.2)
            for c in range(3):
                self.identity_color.weight[c, c] = DIRECT_GAIN

    def forward(
        self,
        points: PosedPoints,
        identity: torch.Tensor,
        bias: torch.Tensor | None = None,
        camera: torch.Tensor | None = None,
        keep: torch.Tensor | None = None,
        encoded: Encoded | None = None,
    ) -> Attributes:
        """Gaussian attributes of all points.

        Args:
            points: H posed hands.
            identity: (H, C, S, S) identity map of each hand, or (H, C, 1, 1) codes.
            bias: (features, T, T) added to the neural texture map of every hand (Eq. 5).
            camera: (H, 16) camera of each hand in its local axes, with ``camera_input`` only.
            keep: (H, N) 0 where the identity map is hidden from the network.
            encoded: :meth:`encode` of these points, to save time where it was computed before.
        """
        topo = points.topology
        uv = torch.from_numpy(topo.uv).to(points.world.device)
        code = self.encode(points, camera) if encoded is None else encoded
        identity_at = (
            sample_map(identity, uv)
            if identity.shape[-1] > 1
            else identity[:, None, :, 0, 0].expand(-1, len(topo), -1)
        )
        if keep is not None:
            identity_at = identity_at * keep[..., None]
        texture = self._texture(topo, uv, code.label, code.pose, identity_at, bias)
        feature = code.geometry + texture
        if self.config.use_interaction:
            feature = feature + self._interaction(points, feature)
        return self._attributes(feature, identity_at)

    def encode(self, points: PosedPoints, camera: torch.Tensor | None = None) -> Encoded:
        """The identity-free part: pose embedding and geometry features."""
        uv = torch.from_numpy(points.topology.uv).to(points.world.device)
        label = self._labels(points)
        pose = self._pose(points, camera).view(len(points.sides), self.config.pose_tokens, -1)
        return Encoded(self._geometry(points, uv, label, pose), pose, label)

    def _labels(self, points: PosedPoints) -> torch.Tensor:
        nearest = torch.from_numpy(points.topology.nearest).to(points.contact.device)
        return points.contact[:, nearest, None].to(points.world.dtype)

    def _pose(self, points: PosedPoints, camera: torch.Tensor | None) -> torch.Tensor:
        parts = [points.theta.flatten(1), points.other]
        if self.config.camera_input:
            if camera is None:
                camera = points.world.new_zeros(len(points.sides), 16)
            parts.append(camera)
        return self.pose(torch.cat(parts, 1))

    def _tokens(self, topo: Topology, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        cells = torch.from_numpy(topo.cells(self.config.token_size)).to(device)
        return cells, cells.unique()

    def _geometry(
        self, points: PosedPoints, uv: torch.Tensor, label: torch.Tensor, pose: torch.Tensor
    ) -> torch.Tensor:
        size = self.config.token_size
        cells, occupied = self._tokens(points.topology, uv.device)
        encoded = positional_encoding(points.local, POSITION_FREQUENCIES)
        first = self.point_first(torch.cat([encoded, points.local_normals, label], -1))
        # local pooling (Peng et al. 2020) in UV cells, which are neighbourhoods on the skin
        pooled = scatter_mean(first, cells, size * size)[:, cells]
        second = self.point_second(torch.cat([first, pooled], -1))
        tokens = self.point_token(scatter_mean(second, cells, size * size))
        decoded = self.geometry(tokens, occupied, pose)
        return sample_map(decoded, uv) + self.point_skip(second)

    def _texture(
        self,
        topo: Topology,
        uv: torch.Tensor,
        label: torch.Tensor,
        pose: torch.Tensor,
        identity_at: torch.Tensor,
        bias: torch.Tensor | None,
    ) -> torch.Tensor:
        c = self.config
        hands = identity_at.shape[0]
        # Everything at the points is scattered into the UV plane first, so that the embedding
        # runs once per texel: many points share one.
        texels = torch.from_numpy(topo.cells(c.texture_size)).to(uv.device)
        used = texels.unique()
        scattered = scatter_mean(torch.cat([identity_at, label], -1), texels, c.texture_size**2)
        centre = torch.stack([used % c.texture_size, used // c.texture_size], 1) + 0.5
        place = positional_encoding(centre / c.texture_size * 2 - 1, UV_FREQUENCIES)
        pooled_pose = self.pose_channels(pose.mean(1))[:, None].expand(-1, len(used), -1)
        condition = self.condition(
            torch.cat([scattered[:, used], place.expand(hands, -1, -1), pooled_pose], -1)
        )
        image = condition.new_zeros(hands, c.texture_size**2, condition.shape[2])
        image = image.index_copy(1, used, condition)
        image = image.transpose(1, 2).reshape(hands, -1, c.texture_size, c.texture_size)
        patches = functional.pixel_unshuffle(image, c.texture_size // c.token_size)
        _, occupied = self._tokens(topo, uv.device)
        tokens = self.texture_token(patches.flatten(2).transpose(1, 2))
        texture = self.texture(tokens, occupied, pose) + self.texture_skip(image)
        if bias is not None:
            texture = texture + bias
        return sample_map(texture, uv)

    def _interaction(self, points: PosedPoints, feature: torch.Tensor) -> torch.Tensor:
        """Self-attention over the detected points of each scene (section 3.2.1)."""
        topo = points.topology
        device = feature.device
        detection = torch.from_numpy(topo.detection).to(device)
        nearest = torch.from_numpy(topo.nearest).to(device)
        hands, count = points.contact.shape
        change = feature.new_zeros(hands, count, feature.shape[2])
        for number in sorted(set(points.scene)):
            members = [h for h, s in enumerate(points.scene) if s == number]
            found = points.contact[members].nonzero()
            if not len(found):
                continue
            if len(found) > self.config.interaction_limit:
                keep = torch.linspace(0, len(found) - 1, self.config.interaction_limit)
                found = found[keep.round().long().to(device)]
            hand = torch.tensor(members, device=device)[found[:, 0]]
            point = detection[found[:, 1]]
            # one frame for both hands: the local axes of the scene's first hand
            origin = points.world[members[0]].mean(0)
            place = points.to_local(members[0], points.world[hand, point] - origin) / 0.1
            encoded = positional_encoding(place, POSITION_FREQUENCIES)
            x = self.contact_in(torch.cat([feature[hand, point], encoded], -1))[None]
            for block in self.contact_blocks:
                x = block(x)
            change = change.index_put((hand, found[:, 1]), self.contact_out(x[0]))
        return change[:, nearest]

    def _attributes(self, feature: torch.Tensor, identity_at: torch.Tensor) -> Attributes:
        c = self.config
        joined = torch.cat([feature, identity_at], -1)
        raw = self.geometry_head(joined)
        albedo = self.color_head(joined) + self.identity_color(identity_at)
        offset = torch.tanh(raw[..., 0:3]) * c.offset_bound_m
        log_scale = 1.2 * torch.tanh(raw[..., 3:6])
        turn = 0.5 * torch.tanh(raw[..., 6:9])
        quat = torch.cat([torch.ones_like(turn[..., :1]), turn], -1)
        validity = torch.sigmoid(raw[..., 11])
        if not c.use_refinement:
            offset, validity = offset * 0, torch.full_like(validity, c.split_above)
        return Attributes(
            offset=offset,
            log_scale=log_scale,
            quat=unit(quat),
            opacity=torch.sigmoid(raw[..., 10]),
            albedo=torch.sigmoid(albedo),
            validity=validity,
            child_offset=torch.tanh(raw[..., 12:15]) * c.offset_bound_m,
            shadow_feature=self.shadow_in(feature),
        )

    def shadow(
        self, points: PosedPoints, attributes: Attributes, light: torch.Tensor
    ) -> torch.Tensor:
        """Shadow coefficient (H, N) in (0, 1.25) of each point under a light (9, 3), world.

        Above 1 it is light that a Lambertian surface does not show (gloss, scattering).
        """
        rows = []
        level = light.mean(1)
        level = level / level[0].abs().clamp_min(1e-4)
        # band 1 holds the direction that the light comes from
        direction = torch.stack([-level[3], -level[1], level[2]])
        for hand in range(len(points.sides)):
            normal = points.local_normals[hand]
            toward = points.to_local(hand, direction).expand_as(normal)
            facing = (normal * toward).sum(-1, keepdim=True)
            shading = (sh_basis(points.normals[hand]) @ level)[:, None]
            lit = torch.cat([sh_basis(normal), toward, facing, shading, facing**2, shading**2], -1)
            rows.append(lit)
        hidden = attributes.shadow_feature + self.shadow_light(torch.stack(rows))
        return 1.25 * torch.sigmoid(self.shadow_out(functional.gelu(hidden))[..., 0])


def camera_embedding(
    points: PosedPoints, world_to_camera: torch.Tensor, focal: float
) -> torch.Tensor:
    """(H, 16) camera of each hand: extrinsics in the hand's local axes, focal length.

    Args:
        points: the hands.
        world_to_camera: (4, 4).
        focal: focal length over picture width.
    """
    rows = []
    for hand in range(len(points.sides)):
        centre = points.world[hand].mean(0)
        turn = points.to_local(hand, world_to_camera[:3, :3])
        place = (world_to_camera[:3, :3] @ centre + world_to_camera[:3, 3]) / 0.5
        rest = turn.new_tensor([focal, 1 / focal, 0.0, 0.0])
        rows.append(torch.cat([turn.flatten(), place, rest]))
    return torch.stack(rows).detach()

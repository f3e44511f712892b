"""Stage two: one photo to an avatar, with the network frozen (IGSN, section 3.3, Eq. 4-5)."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...avatar import Avatar
from ...core.errors import InputError
from ...core.types import Camera, Photo, PoseEstimate, Progress
from ...geometry.colour import srgb_to_linear
from ...hand_model import load_hand_model, pose_hand_numpy
from ...learn.losses import gradient_loss, image_loss, mask_loss
from ..texture.one_photo import LEVEL, KnownSkin, TextureConfig, crop_to_hands, fit_texture
from .bake import SourceView, bake_avatar
from .config import MAP_EPSILON, FitConfig
from .gaussians import colors, place
from .network import Attributes, Encoded, PriorNetwork, camera_embedding
from .photo_mask import background_pixels, compared_region, mask_rim
from .points import PosedPoints, pose_points
from .rendering import normal_picture, render_view
from .shading import linear_to_srgb, shade, solve_light, with_unseen
from .weights import Prior, load_prior

MEAN_SHADING = 0.75
"""Mean linear shading that the photo's light is given; the rest is colour calibration.

One photo cannot tell dark skin in bright light from bright skin in dim light. Exposure puts the
training pictures near this level, so calibrated albedo and light stay in the trained range.
"""

LIGHT_WEIGHT = 0.3
"""L2 penalty that holds the light near its least-squares start."""

ENCODE_EVERY = 10
"""Steps after which a moving hand's geometric encoding is computed anew."""

INVERSION_SHARE = 0.6
"""Share of the steps that ``ohta`` spends on inversion before it fine-tunes."""

SHAPE_RATE, PLACE_RATE_M = 5.0, 0.05
"""Rates of shape parameters and translation (metres) relative to θ's."""


@dataclass
class Unknowns:
    """What the fit optimises; None is held fixed.

    Attributes:
        identity: (H, C, S, S) maps, or (H, C, 1, 1) codes.
        bias: (F, T, T), shared by both hands.
        log_gain: (3,) logarithm of the colour calibration.
        light: (9, 3).
        theta, shape, translation: (H, 16, 3), (H, S), (H, 3) corrections.
    """

    identity: torch.Tensor
    bias: torch.Tensor
    log_gain: torch.Tensor
    light: torch.Tensor
    theta: torch.Tensor
    shape: torch.Tensor
    translation: torch.Tensor

    @property
    def gain(self) -> torch.Tensor:
        """(3,) colour calibration."""
        return self.log_gain.exp()


def fit_one_shot(
    photo: Photo,
    mask: np.ndarray,
    labels: np.ndarray,
    estimate: PoseEstimate,
    config: FitConfig | None = None,
    device: str = "cpu",
    progress: Progress = lambda fraction, message: None,
    prior: Prior | None = None,
    texture: TextureConfig | None = None,
) -> Avatar:
    """Make an avatar of the one or two hands in a photo with the learned prior.

    Args:
        photo: the picture.
        mask: (H, W) in [0, 1], the hands.
        labels: (H, W) int32, which hand of ``estimate`` each mask pixel shows, -1 for none.
        estimate: the hands' poses and the camera.
        config: mode, steps, rates.
        device: torch device.
        progress: called with the part done and a message; may raise to stop.
        prior: trained weights; the shipped ones by default.
        texture: how the photo's own detail is laid over the network's skin; None leaves it out,
            and the avatar then is the network's splats.

    Returns:
        An avatar with both hands; one that the photo lacks is the other's mirror image. Its
        ``extras`` hold the maps from which :class:`NeuralAvatar` evaluates the network.

    Raises:
        InputError: the hands are of another hand model than the prior, or the mask is empty.
    """
    config = config or FitConfig()
    prior = prior or load_prior()
    if estimate.hands[0].hand_model != prior.config.hand_model:
        raise InputError(
            f"the prior was trained on hand model '{prior.config.hand_model}', but the pose is of "
            f"'{estimate.hands[0].hand_model}'; choose that hand model, or the method 'texture'"
        )
    if not (mask > 0.5).any():
        raise InputError("the mask is empty; the fit needs at least one pixel of hand")
    crop = crop_to_hands(photo.pixels, mask, labels, estimate, config.size)
    fitting = Fitting(prior, estimate, crop.pixels, crop.mask, crop.camera, config, device)
    share = 0.9 if texture is None else 0.6
    fitting.run(lambda fraction, message: progress(share * fraction, message))
    progress(share + 0.02, "baking the avatar")
    if texture is None:
        avatar = fitting.avatar(photo.name, estimate.camera)
    else:
        sharp = fit_texture(
            photo,
            mask,
            labels,
            fitting.estimate(estimate),
            texture,
            device,
            lambda fraction, message: progress(0.65 + 0.35 * fraction, message),
            fitting.known_skin(),
        )
        avatar = dataclasses.replace(
            sharp, provenance=fitting.provenance(photo.name), extras=fitting.extras()
        )
    progress(1.0, "fitted")
    return avatar


class Fitting:
    """One run of stage two.

    Args:
        prior: trained network.
        estimate: hands, in the frame of ``camera``.
        pixels: (h, w, 3) sRGB in [0, 1].
        mask: (h, w).
        camera: of ``pixels``.
        config: mode, steps, rates.
        device: torch device.
    """

    def __init__(
        self,
        prior: Prior,
        estimate: PoseEstimate,
        pixels: np.ndarray,
        mask: np.ndarray,
        camera: Camera,
        config: FitConfig,
        device: str = "cpu",
    ) -> None:
        torch.manual_seed(config.seed)
        self.prior, self.config, self.camera = prior, config, camera
        self.device = torch.device(device)
        # OHTA fine-tunes weights; the prior itself is shared and stays as it is
        tune = config.mode == "ohta"
        self.network: PriorNetwork = copy.deepcopy(prior.network) if tune else prior.network
        self.network = self.network.to(self.device)
        self.sides = tuple(h.side for h in estimate.hands)

        def tensor(array: Any) -> torch.Tensor:
            return torch.as_tensor(np.asarray(array, np.float32), device=self.device)

        self.theta = tensor([h.theta for h in estimate.hands])
        self.shape = tensor([h.shape for h in estimate.hands])
        self.translation = tensor([h.translation for h in estimate.hands])
        self.mask = tensor(mask)
        self.target = tensor(pixels) * self.mask[..., None]
        self._encoded: Encoded | None = None
        self.unknowns = self._start()
        points = self.points().detached()
        _, alpha = normal_picture(points, camera)
        self.region = compared_region(self.mask, alpha)
        self.mask = self.mask * self.region
        self.target = self.target * self.region[..., None]
        self.trusted = self.region * (1 - mask_rim(self.mask))
        expected = self._initial_light(points)
        odd = background_pixels(estimate, camera, pixels, mask, expected.cpu().numpy())
        self.trusted = self.trusted * (1 - tensor(odd))
        self.losses: list[float] = []

    def _start(self) -> Unknowns:
        c = self.prior.config
        hands = len(self.sides)
        coded = self.config.mode in ("code", "ohta") or not c.use_identity_map
        size = 1 if coded else c.identity_size
        zeros = torch.zeros
        return Unknowns(
            identity=zeros(hands, c.identity_channels, size, size, device=self.device),
            bias=zeros(c.features, c.texture_size, c.texture_size, device=self.device),
            log_gain=zeros(3, device=self.device),
            light=zeros(9, 3, device=self.device),
            theta=torch.zeros_like(self.theta),
            shape=torch.zeros_like(self.shape),
            translation=torch.zeros_like(self.translation),
        )

    def points(self) -> PosedPoints:
        """The prior's points on the hands as they are now posed."""
        u = self.unknowns
        return pose_points(
            self.prior.config,
            self.sides,
            self.theta + u.theta,
            self.shape + u.shape,
            self.translation + u.translation,
        )

    def _camera_input(self, points: PosedPoints) -> torch.Tensor | None:
        if not self.prior.config.camera_input:
            return None
        extrinsic = points.world.new_tensor(self.camera.world_to_camera)
        return camera_embedding(points, extrinsic, self.camera.fx / self.camera.width)

    def attributes(self, points: PosedPoints, anew: bool = True) -> Attributes:
        """The network's answer for the present maps."""
        if anew or self._encoded is None:
            with torch.no_grad():
                self._encoded = self.network.encode(points, self._camera_input(points))
        bias = self.unknowns.bias
        return self.network(points, self.unknowns.identity, bias, encoded=self._encoded)

    @torch.no_grad()
    def _initial_light(self, points: PosedPoints) -> torch.Tensor:
        """Solve the light for the prior's mean skin, and split it into light and calibration.

        Returns:
            (h, w, 3) sRGB, the mean skin in that light.
        """
        attributes = self.attributes(points)
        geometry = place(self.prior.config, attributes, points)
        flat = render_view(geometry.splats(linear_to_srgb(geometry.albedo)), self.camera)
        normals, alpha = normal_picture(points, self.camera)
        use = (self.mask * self.trusted > 0.9) & (alpha > 0.9) & (self.target.amax(2) < 0.98)
        if int(use.sum()) < 50:
            use = (self.mask > 0.5) & (alpha > 0.5)
        if not bool(use.any()):
            raise InputError(
                "the posed hand lies outside the mask; check the pose, or give another mask"
            )
        albedo = srgb_to_linear(flat.color[use] / flat.alpha[use][:, None].clamp_min(0.1))
        seen = srgb_to_linear(self.target[use])
        tint = seen.mean(0) / albedo.mean(0).clamp_min(1e-3)
        # One brightness per direction: a photo of skin cannot tell coloured light apart from
        # blood and tan, and colours fitted to few directions run wild on all others.
        grey = solve_light(
            *with_unseen(
                (albedo * tint).mean(1, keepdim=True).expand(-1, 3),
                normals[use],
                seen.mean(1, keepdim=True).expand(-1, 3),
            )
        )
        level = shade(grey, normals[use]).mean().clamp_min(1e-3)
        gain = tint * level / MEAN_SHADING
        if self.config.mode == "no-calibration":
            self.unknowns.light = grey * tint
        else:
            self.unknowns.log_gain = gain.log().clamp(-3, 1.5)
            self.unknowns.light = grey * MEAN_SHADING / level
        self._first_light = self.unknowns.light.clone()
        shadow = self.network.shadow(points, attributes, self.unknowns.light)
        lit = colors(geometry, shadow, self.unknowns.light, self.unknowns.gain)
        picture = render_view(geometry.splats(lit), self.camera)
        return picture.color / picture.alpha.clamp_min(0.1)[..., None]

    def _groups(self) -> list[dict[str, Any]]:
        u, c = self.unknowns, self.config
        rate = c.learning_rate
        groups: list[dict[str, Any]] = [{"params": [u.light], "lr": rate}]
        if c.mode != "no-inversion":
            groups.append({"params": [u.identity], "lr": rate, "eps": MAP_EPSILON})
        if c.mode in ("full", "no-calibration", "no-inversion"):
            groups.append({"params": [u.bias], "lr": rate, "eps": MAP_EPSILON})
        if c.mode != "no-calibration":
            groups.append({"params": [u.log_gain], "lr": rate})
        if c.refine:
            small = rate * c.refine_rate
            groups.append({"params": [u.theta], "lr": small})
            groups.append({"params": [u.shape], "lr": small * SHAPE_RATE})
            groups.append({"params": [u.translation], "lr": small * PLACE_RATE_M})
        for group in groups:
            for parameter in group["params"]:
                parameter.requires_grad_(True)
        return groups

    def loss(self, points: PosedPoints, anew: bool) -> torch.Tensor:
        """Eq. 4 and 5 for the present unknowns."""
        u, c = self.unknowns, self.config
        attributes = self.attributes(points, anew)
        geometry = place(self.prior.config, attributes, points)
        shadow = self.network.shadow(points, attributes, u.light)
        picture = render_view(
            geometry.splats(colors(geometry, shadow, u.light, u.gain)), self.camera
        )
        trusted, mask = self.trusted[..., None], self.mask[None]
        image, target = (picture.color * trusted)[None], (self.target * trusted)[None]
        loss = image_loss(image, target, mask)
        loss = loss + c.weight_perceptual * gradient_loss(image, target, mask)
        loss = loss + c.weight_mask * mask_loss((picture.alpha * self.region)[None], mask)
        loss = loss + c.weight_bias * u.bias.square().sum() / 100
        loss = loss + LIGHT_WEIGHT * (u.light - self._first_light).square().sum()
        if c.refine:
            loss = loss + 0.5 * (u.theta.square().mean() + 0.1 * u.shape.square().mean())
        return loss

    def run(self, progress: Progress = lambda fraction, message: None) -> None:
        """Optimise; early stop after ``patience`` steps without a better loss."""
        c = self.config
        steps = int(c.steps * INVERSION_SHARE) if c.mode == "ohta" else c.steps
        self._optimize(self._groups(), steps, progress)
        if c.mode == "ohta":
            self._fine_tune(c.steps - steps)
        for value in vars(self.unknowns).values():
            value.requires_grad_(False)

    def _optimize(
        self,
        groups: list[dict[str, Any]],
        steps: int,
        progress: Progress,
        extra: Callable[[], torch.Tensor] | None = None,
    ) -> None:
        c = self.config
        optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
        best, since = float("inf"), 0
        points = self.points()
        for step in range(steps):
            if step in c.halve_at:
                for group in optimizer.param_groups:
                    group["lr"] *= 0.5
            if c.refine:
                points = self.points()
            loss = self.loss(points, anew=c.refine and step % ENCODE_EVERY == 0)
            if extra is not None:
                loss = loss + extra()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            value = float(loss.detach())
            self.losses.append(value)
            if value < best * 0.999:
                best, since = value, 0
            else:
                since += 1
                if c.patience and since >= c.patience:
                    break
            progress((step + 1) / steps, f"fitting, step {step + 1}, loss {value:.3f}")

    def _fine_tune(self, steps: int) -> None:
        """OHTA's second half: the texture MLP alone, held near its own earlier views."""
        for value in vars(self.unknowns).values():
            value.requires_grad_(False)
        self.config = dataclasses.replace(self.config, refine=False)
        points = self.points().detached()
        cameras = _views_around(points, self.camera)
        u = self.unknowns

        def pictures() -> torch.Tensor:
            attributes = self.attributes(points, anew=False)
            geometry = place(self.prior.config, attributes, points)
            flat = geometry.splats(linear_to_srgb(geometry.albedo * u.gain))
            return torch.stack([render_view(flat, camera).color for camera in cameras])

        with torch.no_grad():
            before = pictures()
        modules = (self.network.condition, self.network.color_head)
        parameters = [p for m in modules for p in m.parameters()]
        for parameter in parameters:
            parameter.requires_grad_(True)
        groups = [{"params": parameters, "lr": self.config.learning_rate * 0.1}]
        self._optimize(
            groups, steps, lambda f, m: None, lambda: (pictures() - before).abs().mean() * 10
        )
        self.network.requires_grad_(False)

    def estimate(self, given: PoseEstimate) -> PoseEstimate:
        """``given`` with θ, shape and translation as they were fitted."""
        u = self.unknowns
        hands = []
        for k, hand in enumerate(given.hands):
            theta, shape, place = (
                (known[k] + change[k]).double().cpu().numpy()
                for known, change in (
                    (self.theta, u.theta),
                    (self.shape, u.shape),
                    (self.translation, u.translation),
                )
            )
            model = load_hand_model(hand.hand_model, hand.side, 0)
            joints = pose_hand_numpy(model, theta, shape, place)[2]
            hands.append(
                dataclasses.replace(
                    hand,
                    theta=theta,
                    shape=shape,
                    translation=place,
                    joints_cam_m=joints,
                    keypoints_2d=given.camera.project(joints),
                )
            )
        return dataclasses.replace(given, hands=tuple(hands))

    @torch.no_grad()
    def known_skin(self) -> KnownSkin:
        """Albedo of the flat hand's faces, and the light, for the texture fit."""
        from scipy.spatial import cKDTree

        u = self.unknowns
        flat = pose_points(
            self.prior.config,
            self.sides,
            torch.zeros_like(self.theta),
            self.shape + u.shape,
            torch.zeros_like(self.translation),
            scene=range(len(self.sides)),
        )
        albedo = self.network(flat, u.identity, u.bias).albedo
        linear = (srgb_to_linear(albedo) * u.gain).clamp(0, 1).cpu().numpy()
        topo = flat.topology
        if topo.level != LEVEL:
            model = load_hand_model(topo.hand_model, "right", LEVEL)
            centres = model.template[model.faces].mean(1)
            linear = linear[:, cKDTree(topo.rest_points).query(centres)[1]]
        return KnownSkin(tuple(linear.astype(np.float64)), u.light.double().cpu().numpy())

    def extras(self) -> dict[str, np.ndarray]:
        """The maps from which the network can be evaluated again; none where it was tuned."""
        u = self.unknowns
        if self.config.mode == "ohta":
            return {}
        return {
            "prior.identity": u.identity.cpu().numpy().astype(np.float16),
            "prior.bias": u.bias.cpu().numpy().astype(np.float16),
            "prior.gain": u.gain.cpu().numpy().astype(np.float32),
        }

    def provenance(self, name: str) -> dict[str, str]:
        """Where the avatar of a photo of that name comes from."""
        mode = self.config.mode
        return {
            "method": "prior" if mode == "full" else f"prior ({mode})",
            "photo": name,
            "prior": self.prior.name,
        }

    @torch.no_grad()
    def avatar(self, name: str, camera: Camera) -> Avatar:
        """Bake the fitted hands into an avatar."""
        u = self.unknowns
        points = self.points()
        source = SourceView(
            sides=self.sides,
            theta=self.theta + u.theta,
            shape=self.shape + u.shape,
            translation=self.translation + u.translation,
            camera=self.camera,
            mask=self.mask,
            points=points,
        )
        return bake_avatar(
            self.network,
            source,
            u.identity,
            u.bias,
            u.gain,
            u.light,
            camera=camera,
            provenance=self.provenance(name),
            extras=self.extras(),
        )


def _views_around(points: PosedPoints, camera: Camera) -> list[Camera]:
    """Two views of the hands from the sides, 60 degrees off the photo's, small."""
    from scipy.spatial.transform import Rotation

    centre = points.world.mean((0, 1)).cpu().numpy().astype(np.float64)
    small = camera.resized(max(camera.width // 2, 8), max(camera.height // 2, 8))
    result = []
    for angle in (-60, 60):
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_euler("y", angle, degrees=True).as_matrix()
        turn[:3, 3] = centre - turn[:3, :3] @ centre
        result.append(dataclasses.replace(small, world_to_camera=small.world_to_camera @ turn))
    return result

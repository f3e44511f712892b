"""The unknowns of stage two and their optimisation (IGSN, section 3.3, Eq. 4-5)."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...avatar import Avatar
from ...core.conventions import SIDES
from ...core.errors import InputError
from ...core.types import Camera, PoseEstimate, Progress
from ...geometry.colour import srgb_to_linear
from ...hand_model import load_hand_model
from ...learn.adam import Adam
from ...learn.losses import gradient_loss, image_loss, mask_loss
from ...learn.repeatable import repeatable_sums
from ...pose.estimate import known_hand
from ...skin.uv_layout import LEVEL
from ..texture.fitted_skin import KnownSkin
from .bake import SourceView, bake_avatar
from .config import MAP_EPSILON, FitConfig
from .evidence import PhotoEvidence, PhotoView, views_around
from .gaussians import colors, place
from .network import Attributes, PriorNetwork, camera_embedding
from .photo_mask import background_pixels, compared_region, mask_rim
from .points import PosedPoints, pose_points
from .rendering import normal_picture, render_view
from .shading import linear_to_srgb, shade, solve_light, with_unseen
from .weights import Prior

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

MOST_COST = 3.0
"""Most rounds' worth of steps, in units of one photo's, that several photos take."""

SHAPE_RATE, PLACE_RATE_M = 5.0, 0.05
"""Rates of shape parameters and translation (metres) relative to θ's."""


@dataclass
class Unknowns:
    """What the fit optimises of the person; None of it differs between views.

    Attributes:
        identity: (H, C, S, S) maps, or (H, C, 1, 1) codes.
        bias: (F, T, T), shared by both hands.
        log_gain: (3,) logarithm of the colour calibration.
        shape: (H, S) corrections.
    """

    identity: torch.Tensor
    bias: torch.Tensor
    log_gain: torch.Tensor
    shape: torch.Tensor

    @property
    def gain(self) -> torch.Tensor:
        """(3,) colour calibration."""
        return self.log_gain.exp()


class Fitting:
    """One run of stage two.

    Args:
        prior: trained network.
        shown: the photos; each estimate in the frame of that photo's camera.
        config: mode, steps, rates.
        device: torch device.
    """

    def __init__(
        self,
        prior: Prior,
        shown: Sequence[PhotoView],
        config: FitConfig,
        device: str = "cpu",
    ) -> None:
        torch.manual_seed(config.seed)
        self.prior, self.config = prior, config
        self.device = torch.device(device)
        # OHTA fine-tunes weights; the prior itself is shared and stays as it is
        tune = config.mode == "ohta"
        self.network: PriorNetwork = copy.deepcopy(prior.network) if tune else prior.network
        self.network = self.network.to(self.device)
        found = {hand.side for photo in shown for hand in photo.estimate.hands}
        self.sides = tuple(side for side in SIDES if side in found)
        self.views = [PhotoEvidence(photo, self.sides, self.device) for photo in shown]
        self.unknowns = self._start()
        for view in self.views:
            self._compare(view)
        self._share_gain()
        self.losses: list[float] = []

    def _compare(self, view: PhotoEvidence) -> None:
        """Find where the photo is compared, and its first light."""
        points = self.points(view).detached()
        _, alpha = normal_picture(points, view.camera)
        shown = view.mask
        view.region = compared_region(view.mask, alpha)
        view.mask = view.mask * view.region
        view.target = view.target * view.region[..., None]
        view.trusted = view.region * (1 - mask_rim(view.mask))
        if view.photo.doubt is not None:
            view.trusted = view.trusted * (1 - view.tensor(view.photo.doubt))
        expected = self._initial_light(view, points).cpu().numpy()
        odd = background_pixels(
            view.photo.estimate, view.camera, view.photo.pixels, shown.cpu().numpy(), expected
        )
        view.trusted = view.trusted * (1 - view.tensor(odd))

    def _share_gain(self) -> None:
        """One calibration for all photos; what differs between them is their light's colour."""
        gains = torch.stack([view.first_gain for view in self.views])
        mean = gains.log().mean(0)
        if self.config.mode != "no-calibration":
            self.unknowns.log_gain = mean
        for view in self.views if len(self.views) > 1 else ():
            view.light = view.light * (view.first_gain / mean.exp())
        for view in self.views:
            view.first_light = view.light.clone()

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
            shape=zeros(hands, self.views[0].shape.shape[1], device=self.device),
        )

    def points(self, view: PhotoEvidence) -> PosedPoints:
        """The prior's points on a view's hands as they are now posed."""
        return pose_points(
            self.prior.config,
            view.sides,
            view.theta + view.turned,
            view.shape + self.unknowns.shape[view.rows],
            view.translation + view.moved,
        )

    def _camera_input(self, view: PhotoEvidence, points: PosedPoints) -> torch.Tensor | None:
        if not self.prior.config.camera_input:
            return None
        extrinsic = points.world.new_tensor(view.camera.world_to_camera)
        return camera_embedding(points, extrinsic, view.camera.fx / view.camera.width)

    def attributes(self, view: PhotoEvidence, points: PosedPoints, anew: bool = True) -> Attributes:
        """The network's answer for the present maps."""
        if anew or view.encoded is None:
            with torch.no_grad():
                view.encoded = self.network.encode(points, self._camera_input(view, points))
        u = self.unknowns
        return self.network(points, u.identity[view.rows], u.bias, encoded=view.encoded)

    @torch.no_grad()
    def _initial_light(self, view: PhotoEvidence, points: PosedPoints) -> torch.Tensor:
        """Solve a view's light for the prior's mean skin, split into light and calibration.

        Returns:
            (h, w, 3) sRGB, the mean skin in that light.
        """
        attributes = self.attributes(view, points)
        geometry = place(self.prior.config, attributes, points)
        flat = render_view(geometry.splats(linear_to_srgb(geometry.albedo)), view.camera)
        normals, alpha = normal_picture(points, view.camera)
        use = (view.mask * view.trusted > 0.9) & (alpha > 0.9) & (view.target.amax(2) < 0.98)
        if int(use.sum()) < 50:
            use = (view.mask > 0.5) & (alpha > 0.5)
        if not bool(use.any()):
            raise InputError(
                "the posed hand lies outside the mask; check the pose, or give another mask"
            )
        albedo = srgb_to_linear(flat.color[use] / flat.alpha[use][:, None].clamp_min(0.1))
        seen = srgb_to_linear(view.target[use])
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
        if self.config.mode == "no-calibration":
            view.light = grey * tint
        else:
            view.first_gain = (tint * level / MEAN_SHADING).log().clamp(-3, 1.5).exp()
            view.light = grey * MEAN_SHADING / level
        shadow = self.network.shadow(points, attributes, view.light)
        lit = colors(geometry, shadow, view.light, view.first_gain)
        picture = render_view(geometry.splats(lit), view.camera)
        return picture.color / picture.alpha.clamp_min(0.1)[..., None]

    def _groups(self) -> list[dict[str, Any]]:
        u, c = self.unknowns, self.config
        rate = c.learning_rate
        groups: list[dict[str, Any]] = [{"params": [v.light for v in self.views], "lr": rate}]
        if c.mode != "no-inversion":
            groups.append({"params": [u.identity], "lr": rate, "eps": MAP_EPSILON})
        if c.mode in ("full", "no-calibration", "no-inversion"):
            groups.append({"params": [u.bias], "lr": rate, "eps": MAP_EPSILON})
        if c.mode != "no-calibration":
            groups.append({"params": [u.log_gain], "lr": rate})
        if c.refine:
            small = rate * c.refine_rate
            groups.append({"params": [v.turned for v in self.views], "lr": small})
            groups.append({"params": [u.shape], "lr": small * SHAPE_RATE})
            moved = [v.moved for v in self.views]
            groups.append({"params": moved, "lr": small * PLACE_RATE_M})
        for group in groups:
            for parameter in group["params"]:
                parameter.requires_grad_(True)
        return groups

    def _hold(self) -> None:
        """Nothing is optimised any more."""
        for value in vars(self.unknowns).values():
            value.requires_grad_(False)
        for view in self.views:
            for value in (view.light, view.turned, view.moved):
                value.requires_grad_(False)

    def loss(self, view: PhotoEvidence, points: PosedPoints, anew: bool) -> torch.Tensor:
        """Eq. 4 and 5 for the present unknowns and one view."""
        u, c = self.unknowns, self.config
        attributes = self.attributes(view, points, anew)
        geometry = place(self.prior.config, attributes, points)
        shadow = self.network.shadow(points, attributes, view.light)
        picture = render_view(
            geometry.splats(colors(geometry, shadow, view.light, u.gain)), view.camera
        )
        trusted, mask = view.trusted[..., None], view.mask[None]
        image, target = (picture.color * trusted)[None], (view.target * trusted)[None]
        loss = image_loss(image, target, mask)
        loss = loss + c.weight_perceptual * gradient_loss(image, target, mask)
        loss = loss + c.weight_mask * mask_loss((picture.alpha * view.region)[None], mask)
        loss = loss + c.weight_bias * u.bias.square().sum() / 100
        loss = loss + LIGHT_WEIGHT * (view.light - view.first_light).square().sum()
        if c.refine:
            loss = loss + 0.5 * (view.turned.square().mean() + 0.1 * u.shape.square().mean())
        return loss

    def run(self, progress: Progress = lambda fraction, message: None) -> None:
        """Optimise; early stop after ``patience`` rounds without a better loss."""
        c = self.config
        steps = int(c.steps * INVERSION_SHARE) if c.mode == "ohta" else c.steps
        with repeatable_sums(self.device):
            self._optimize(self._groups(), steps, progress)
            if c.mode == "ohta":
                self._fine_tune(c.steps - steps)
        self._hold()

    def _optimize(
        self,
        groups: list[dict[str, Any]],
        steps: int,
        progress: Progress,
        extra: Callable[[], torch.Tensor] | None = None,
    ) -> None:
        """One step for each view a round; of many views fewer rounds, as each view's steps
        serve all."""
        c = self.config
        optimizer = Adam(groups, betas=(0.9, 0.99))
        share = min(1.0, MOST_COST / len(self.views))
        rounds = max(1, round(steps * share)) if steps else 0
        halve_at = [round(at * share) for at in c.halve_at]
        best, since = float("inf"), 0
        points = [self.points(view) for view in self.views]
        for step in range(rounds):
            for group in optimizer.param_groups:
                group["lr"] *= 0.5 ** halve_at.count(step)
            values = []
            for k, view in enumerate(self.views):
                if c.refine:
                    points[k] = self.points(view)
                loss = self.loss(view, points[k], anew=c.refine and step % ENCODE_EVERY == 0)
                if extra is not None:
                    loss = loss + extra()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                values.append(float(loss.detach()))
            value = float(np.mean(values))
            self.losses.append(value)
            if value < best * 0.999:
                best, since = value, 0
            else:
                since += 1
                if c.patience and since >= c.patience:
                    break
            progress((step + 1) / rounds, f"fitting, step {step + 1}, loss {value:.3f}")

    def _fine_tune(self, steps: int) -> None:
        """OHTA's second half: the texture MLP alone, held near its own earlier views."""
        self._hold()
        self.config = dataclasses.replace(self.config, refine=False)
        view = self.views[0]
        points = self.points(view).detached()
        cameras = views_around(points, view.camera)
        u = self.unknowns

        def pictures() -> torch.Tensor:
            attributes = self.attributes(view, points, anew=False)
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

    def estimate(self, given: PoseEstimate, view: int = 0) -> PoseEstimate:
        """``given`` with θ, shape and translation as they were fitted to a view."""
        v = self.views[view]
        values = (
            v.theta + v.turned,
            v.shape + self.unknowns.shape[v.rows],
            v.translation + v.moved,
        )
        hands = []
        for k, hand in enumerate(given.hands):
            theta, shape, place = (value[k].double().cpu().numpy() for value in values)
            known = known_hand(hand.side, theta, shape, place, hand.hand_model, given.camera)
            hands.append(dataclasses.replace(known, confidence=hand.confidence))
        return dataclasses.replace(given, hands=tuple(hands))

    @torch.no_grad()
    def known_skin(self) -> list[KnownSkin]:
        """Per view the albedo of the flat hands' faces, and the light, for the texture fit."""
        from scipy.spatial import cKDTree

        u = self.unknowns
        hands = len(self.sides)
        flat = pose_points(
            self.prior.config,
            self.sides,
            torch.zeros(hands, 16, 3, device=self.device),
            self._shape(),
            torch.zeros(hands, 3, device=self.device),
            scene=range(hands),
        )
        albedo = self.network(flat, u.identity, u.bias).albedo
        linear = (srgb_to_linear(albedo) * u.gain).clamp(0, 1).cpu().numpy()
        topo = flat.topology
        if topo.level != LEVEL:
            model = load_hand_model(topo.hand_model, "right", LEVEL)
            centres = model.template[model.faces].mean(1)
            linear = linear[:, cKDTree(topo.rest_points).query(centres)[1]]
        linear = linear.astype(np.float64)
        return [
            KnownSkin(tuple(linear[k] for k in v.rows), v.light.double().cpu().numpy())
            for v in self.views
        ]

    def _shape(self) -> torch.Tensor:
        """(H, S) shape of each of the person's hands, that of the first view to show it."""
        rows = []
        for k in range(len(self.sides)):
            view = next(v for v in self.views if k in v.rows)
            rows.append(view.shape[view.rows.index(k)] + self.unknowns.shape[k])
        return torch.stack(rows)

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
    def avatar(self, name: str, camera: Camera, view: int = 0) -> Avatar:
        """Bake the fitted hands of a view into an avatar."""
        u, v = self.unknowns, self.views[view]
        source = SourceView(
            sides=v.sides,
            theta=v.theta + v.turned,
            shape=v.shape + u.shape[v.rows],
            translation=v.translation + v.moved,
            camera=v.camera,
            mask=v.mask,
            points=self.points(v),
        )
        return bake_avatar(
            self.network,
            source,
            u.identity[v.rows],
            u.bias,
            u.gain,
            v.light,
            camera=camera,
            provenance=self.provenance(name),
            extras=self.extras(),
        )

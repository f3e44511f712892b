"""The skin that a photo's splats show, its light, and what is put where nothing was seen."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ...avatar import SurfaceBinding, surface
from ...avatar.lighting import shade
from ...core.types import HandPose
from ...geometry.colour import linear_to_srgb, srgb_to_linear
from ...geometry.sh import C0
from ...geometry.surfaces import at_surface
from ...skin.complete import CompletedSkin
from ...skin.light import LUMINANCE, estimate_light, visibility
from ...skin.observe import Observation, smoothstep
from ...skin.template import complete_log_albedo, detail_log_albedo, template_log_albedo
from ...skin.uv_layout import LEVEL


@dataclass(frozen=True)
class KnownSkin:
    """What the learned prior says of the hands' skin; takes the place of the skin template.

    Attributes:
        albedo: per hand (F, 3) linear reflectance of the mesh's faces at ``LEVEL``.
        light: (9, 3), camera frame.
    """

    albedo: tuple[np.ndarray, ...]
    light: np.ndarray


@dataclass(frozen=True)
class CompleteSkin:
    """Per hand linear albedo and expected sRGB (N, 3) of every splat, and the light."""

    albedo: list[np.ndarray]
    baked: list[np.ndarray]
    light: np.ndarray


@dataclass(frozen=True)
class FittedSkin:
    """What the photo says about skin, per hand."""

    hands: tuple[HandPose, ...]
    bindings: list[SurfaceBinding]
    seen: list[Observation]
    template: list[np.ndarray]
    light: np.ndarray
    completed: list[CompletedSkin] | None = None
    invents: bool = False

    @classmethod
    def of(
        cls,
        hands: tuple[HandPose, ...],
        bindings: list[SurfaceBinding],
        seen: list[Observation],
        known: KnownSkin | None,
    ) -> FittedSkin:
        """Estimate the light, with the template that suits the tone, unless both are known."""
        if known is not None:
            template = [
                np.log(np.maximum(_on_splats(values, hand, binding), 5e-3))
                + detail_log_albedo(_uvs(hand, binding))
                for values, hand, binding in zip(known.albedo, hands, bindings)
            ]
            return cls(hands, bindings, seen, template, known.light)
        uvs = [_uvs(hand, binding) for hand, binding in zip(hands, bindings)]
        linear = [srgb_to_linear(o.color) for o in seen]
        luminance = 0.3
        for _ in range(2):
            template = [template_log_albedo(uv, luminance) for uv in uvs]
            light = estimate_light(
                np.concatenate(linear),
                np.concatenate(template),
                np.concatenate([o.normals for o in seen]),
                np.concatenate([o.openness for o in seen]),
                np.concatenate([o.evidence for o in seen]),
            )
            weight = np.concatenate([o.evidence for o in seen])
            albedo = np.concatenate([_albedo(x, o, light) for x, o in zip(linear, seen)])
            if weight.sum() > 1:
                luminance = float(np.average(albedo @ LUMINANCE, weights=weight))
        return cls(hands, bindings, seen, template, light)

    def complete(self) -> CompleteSkin:
        """Albedo and baked colour of every splat of every hand."""
        observed = [
            np.log(np.maximum(_albedo(srgb_to_linear(o.of_skin), o, self.light), 5e-3))
            for o in self.seen
        ]
        trust = [o.evidence for o in self.seen]
        if self.completed is not None and self.invents:
            return self._lit(self._believe(observed)[0])
        if self.completed is not None:
            observed = [
                log - skin.shade_at(_uvs(hand, binding))
                for log, skin, hand, binding in zip(
                    observed, self.completed, self.hands, self.bindings
                )
            ]
        if len(self.hands) == 2:
            observed, trust = _share(observed, trust, self.bindings)
        albedo = []
        for k, hand in enumerate(self.hands):
            model, binding = surface(hand.hand_model, hand.side, LEVEL), self.bindings[k]
            hidden = complete_log_albedo(
                observed[k],
                trust[k],
                self.template[k],
                model.faces[binding.triangle],
                binding.barycentric.astype(np.float64),
                model.faces,
            )
            blend = smoothstep(trust[k], 0.05, 0.6)[:, None]
            albedo.append(blend * observed[k] + (1 - blend) * hidden)
        return self._lit(albedo)

    def hidden(self, index: int) -> np.ndarray:
        """(N, 3) log albedo that one hand's splats would get if the photo showed none of them."""
        if self.completed is None:
            return self.template[index]
        none = np.zeros(len(self.bindings[index]))
        uv = _uvs(self.hands[index], self.bindings[index])
        return self.completed[index].compose_at(uv, np.zeros((len(none), 3)), none)[0]

    def believed(self) -> list[Observation]:
        """The observations with as much evidence as the network believes of them."""
        belief = self._believe([np.zeros_like(o.color) for o in self.seen])[1]
        return [
            dataclasses.replace(o, evidence=o.evidence * np.maximum(b, smoothstep(b, *BELIEVED)))
            for o, b in zip(self.seen, belief)
        ]

    def _believe(self, observed: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Log albedo (N, 3) and belief (N,) of every splat, as the network composes them."""
        pairs = []
        for k, skin in enumerate(self.completed or []):
            uv, known = _uvs(self.hands[k], self.bindings[k]), self.seen[k].evidence
            log, belief = skin.compose_at(uv, observed[k], smoothstep(known, 0.0, 0.12))
            pairs.append((log, belief))
        return [p[0] for p in pairs], [p[1] for p in pairs]

    def _lit(self, log_albedo: list[np.ndarray]) -> CompleteSkin:
        """Linear albedo, and the colour that it shows in the photo's light."""
        albedo = [np.exp(np.minimum(log, 0.0)) for log in log_albedo]
        baked = [linear_to_srgb(linear * self._shading(k)) for k, linear in enumerate(albedo)]
        return CompleteSkin(albedo, baked, self.light)

    def as_photographed(self, complete: CompleteSkin, shown: list[Observation]) -> list[np.ndarray]:
        """Per hand the sRGB colours (N, 3) that the photo's view shows.

        They are the photo's where it is believed; beside that its difference from the lit skin
        goes on, so that no pale or dark rim stays, and fades where skin turns away.

        Args:
            complete: the completed skin.
            shown: what the photo shows, with the evidence that it is believed with.
        """
        colors = []
        for k, (hand, seen, lit) in enumerate(zip(self.hands, shown, complete.baked)):
            model, binding = surface(hand.hand_model, hand.side, LEVEL), self.bindings[k]
            skin = np.log(np.maximum(srgb_to_linear(lit), FAINT))
            around = complete_log_albedo(
                np.log(np.maximum(srgb_to_linear(seen.color), FAINT)),
                np.maximum(seen.evidence, seen.pictured),
                skin,
                model.faces[binding.triangle],
                binding.barycentric.astype(np.float64),
                model.faces,
            )
            part = smoothstep(_facing(seen), *TOWARD)[:, None]
            colors.append(pictured(seen, linear_to_srgb(np.exp(skin + part * (around - skin)))))
        return colors

    def _shading(self, index: int) -> np.ndarray:
        """(N, 3) linear light on the splats of one hand as the photo shows it.

        Sides that turn away get its mean shading, not the darkness extrapolated there; those that
        it shows are also as obstructed and as shadowed as in the photo.
        """
        seen = self.seen[index]
        toward = smoothstep(_facing(seen), *TOWARD)[:, None]
        there = smoothstep(seen.shown, 0.0, 0.3)[:, None]
        direct = shade(self.light, seen.normals)
        own = photo_shading(seen, self.light)
        if self.completed is not None:
            uv = _uvs(self.hands[index], self.bindings[index])
            own = own * np.exp(self.completed[index].shade_at(uv))
        plain = (1 - toward) * gentle(direct, self.light) + toward * np.maximum(
            direct, 0.25 * self.light[0] * C0
        )
        lit: np.ndarray = (1 - there) * np.maximum(plain, 1e-3) + there * own
        return lit


BELIEVED = (0.15, 0.6)
"""The network's belief between which the photo's own colour comes to count in full, above belief
itself: it shows skin, if in another shade."""

TOWARD = (0.0, 0.4)
"""Cosine of the angle to the line of sight from which the photo tells the light."""


BRIGHTEST = 4.0
"""Linear albedo beyond which a colour is no skin in any light. It is above 1 in more light than was
estimated, whose shade is taken off later; cut at 1, red alone would be lost in warm light."""

FAINT = 2e-3
"""Least linear colour of which the logarithm is taken."""


def pictured(seen: Observation, completed: np.ndarray) -> np.ndarray:
    """(N, 3) sRGB for the photo's own view: the photo wherever it shows a hand, else completed.

    A pose that is a few pixels off puts another finger's skin or the shadow between two on a
    finger: no albedo of its own, but what is seen there, if not so dark and so coloured that an
    opened fist would show it as dirt.
    """
    own = smoothstep(seen.evidence, 0.05, 0.6)[:, None]
    there = np.maximum(own, seen.pictured[:, None])
    skin = np.log(np.maximum(srgb_to_linear(completed), FAINT))
    over = np.log(np.maximum(srgb_to_linear(seen.color), FAINT)) - skin
    grey = over.mean(axis=1, keepdims=True)
    over = np.clip(grey, -DIMMED, DIMMED) + np.clip(over - grey, -TINTED, TINTED)
    borrowed = linear_to_srgb(np.exp(skin + over))
    return own * seen.color + (there - own) * borrowed + (1 - there) * completed


DIMMED, TINTED = 0.9, 0.25
"""Log luminance, and hue beside it, by which the photo's own view may show skin off its albedo."""


def _facing(seen: Observation) -> np.ndarray:
    """(N,) cosine of the angle between normals and the line of sight."""
    away: np.ndarray = (seen.normals * seen.points).sum(1) / np.linalg.norm(seen.points, axis=1)
    return -away


def gentle(shading: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Shading compressed toward the light's mean, for normals the photo never showed."""
    mean = np.maximum(light[0] * C0, 1e-4)
    return mean * np.clip(shading / mean, 0.6, 1.3) ** 0.5


def photo_shading(seen: Observation, light: np.ndarray) -> np.ndarray:
    """(N, 3) linear light on every splat in the photo, not darker than a photo can tell."""
    shading = shade(light, seen.normals) * visibility(seen.openness)[:, None]
    floor = 0.25 * light[0] * C0
    return np.maximum(shading, np.maximum(floor, 1e-3))


def _albedo(linear: np.ndarray, seen: Observation, light: np.ndarray) -> np.ndarray:
    return np.clip(linear / photo_shading(seen, light), 0, BRIGHTEST)


def _share(
    observed: list[np.ndarray], trust: list[np.ndarray], bindings: list[SurfaceBinding]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Let each hand borrow, at less trust, what only the other one shows of the same skin."""
    if len(bindings[0]) != len(bindings[1]):
        return observed, trust
    out_o, out_t = [], []
    for k in (0, 1):
        other = 1 - k
        borrowed = 0.5 * trust[other] * (trust[k] < 0.05)
        take = borrowed > trust[k]
        out_o.append(np.where(take[:, None], observed[other], observed[k]))
        out_t.append(np.where(take, borrowed, trust[k]))
    return out_o, out_t


def _on_splats(values: np.ndarray, hand: HandPose, binding: SurfaceBinding) -> np.ndarray:
    """Values (F, C) of the mesh's faces, interpolated at the splats, (N, C)."""
    faces = surface(hand.hand_model, hand.side, LEVEL).faces
    corners = faces.ravel()
    count = np.maximum(np.bincount(corners), 1)
    at_vertices = np.stack(
        [np.bincount(corners, np.repeat(column, 3)) / count for column in values.T], axis=1
    )
    return at_surface(at_vertices, faces, binding.triangle, binding.barycentric)


def _uvs(hand: HandPose, binding: SurfaceBinding) -> np.ndarray:
    model = surface(hand.hand_model, hand.side, LEVEL)
    weights = binding.barycentric.astype(np.float64)
    return at_surface(model.uvs, model.uv_faces, binding.triangle, weights)

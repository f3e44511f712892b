"""The ``texture`` method: visible skin from the photo, hidden skin completed, light separated."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np

from ...avatar import Avatar, AvatarHand, SurfaceBinding, place, surface
from ...avatar.layout import lay_splats
from ...avatar.levels import thinned
from ...avatar.stump import closed, open_edges
from ...core.errors import InputError
from ...core.types import Camera, HandPose, Photo, PoseEstimate, Progress, Splats
from ...geometry.colour import linear_to_srgb, srgb_to_linear
from ...geometry.surfaces import at_surface, triangle_frames
from ...hand_model import rest_hand
from ...render import render
from ...skin.crop import Crop, crop_to_hands
from ...skin.light import light_of_albedo, soften_unseen
from ...skin.noise import without_noise
from ...skin.observe import (
    Observation,
    PosedSurface,
    background_distance,
    like_background,
    observe,
    pose_surfaces,
    sample,
    shows_background,
    smoothstep,
    unlike,
)
from ...skin.own_detail import person_of
from ...skin.uv_layout import LEVEL
from .completion import complete_hands
from .fitted_skin import FittedSkin, KnownSkin, pictured
from .optimize import OptimizeConfig, Refined, optimize

COMPLETIONS = ("belief", "network", "membrane")


@dataclass(frozen=True)
class TextureConfig:
    """Options of the texture fit.

    Attributes:
        splats_per_face: 1, 4 or 16 splats on each of the mesh's 12,784 triangles.
        max_size: the photo is fitted at this size of the hands' box at most, pixels.
        optimize: the refinement.
        completion: "network", what to believe and what lies hidden as the completion network
            says; "belief", only what to believe and which shade to take off, while hidden skin is
            a template moved to the person's tone; or "membrane", that without the network.
        trust: 0 to 1, see :meth:`hand_toolkit.skin.complete.CompletedSkin.trusted`.
        own_detail: draw one person's lines on hidden skin; else they are people's mean.
        person: seed of whose lines; None: it follows from the photo.
    """

    splats_per_face: int = 16
    max_size: int = 640
    optimize: OptimizeConfig = field(default_factory=OptimizeConfig)
    completion: str = "network"
    trust: float = 0.5
    own_detail: bool = True
    person: int | None = None

    def __post_init__(self) -> None:
        if self.completion not in COMPLETIONS:
            raise InputError(
                f"unknown completion {self.completion!r}; accepted are: {', '.join(COMPLETIONS)}"
            )
        if not 0 <= self.trust <= 1:
            raise InputError(f"trust is {self.trust}; accepted is 0 to 1")
        if self.completion == "membrane" and self.trust != 0.5:
            raise InputError(
                "trust moves what the completion network believes, which the completion 'membrane' "
                "does not ask; fit with 'network' or 'belief'"
            )

    def person_in(self, pixels: np.ndarray) -> int | None:
        """The seed of whom a photo (H, W, 3) shows; None where nobody's lines are drawn."""
        if not self.own_detail:
            return None
        return person_of(pixels) if self.person is None else self.person


@dataclass(frozen=True)
class FittedView:
    """What one view says of the hands that it shows.

    Attributes:
        skin: the hands, their splats as laid out, what the view shows of each, and its light.
        refined: per hand the splats after the refinement.
    """

    skin: FittedSkin
    refined: list[Refined]


def fit_texture(
    photo: Photo,
    mask: np.ndarray,
    labels: np.ndarray,
    estimate: PoseEstimate,
    config: TextureConfig,
    device: str = "cpu",
    progress: Progress = lambda fraction, message: None,
    known: KnownSkin | None = None,
) -> Avatar:
    """Make an avatar of the hands in a photo.

    Args:
        photo: the picture.
        mask: (H, W) in [0, 1], the hands.
        labels: (H, W) int32, which hand of ``estimate`` each mask pixel shows.
        estimate: the hands' poses and the camera.
        config: options.
        device: torch device for the refinement.
        progress: called with the part done and a message; may raise to stop.
        known: the skin from which hidden parts are completed, and the light; by default a
            population template, and the light that suits it.

    Returns:
        An avatar with both hands; one that the photo lacks is the mirror image of the other.
    """
    crop = crop_to_hands(photo.pixels, mask, labels, estimate, config.max_size)
    fitted = fit_view(crop, estimate.hands, config, device, progress, known)
    return assemble(fitted, estimate.camera, photo.name, known=known is not None)


def fit_view(
    crop: Crop,
    hands: tuple[HandPose, ...],
    config: TextureConfig,
    device: str = "cpu",
    progress: Progress = lambda fraction, message: None,
    known: KnownSkin | None = None,
) -> FittedView:
    """Lay splats on the hands of one view and match them to it; arguments as above."""
    progress(0.02, "laying splats on the hand")
    surfaces = pose_surfaces(hands, LEVEL)
    bindings = [lay_on_hand(hand, config.splats_per_face) for hand in hands]
    masks = [crop.mask * (crop.labels == k) for k in range(len(hands))]
    progress(0.08, "finding visible skin")
    seen, rim = observe(surfaces, bindings, crop.pixels, masks, crop.camera)
    calm = without_noise(crop.pixels, crop.mask)
    for k, (hand, o, b) in enumerate(zip(hands, seen, bindings)):
        part = _from_cut(hand, b) * _undoubted(crop, o)
        seen[k] = dataclasses.replace(
            o,
            evidence=o.evidence * part,
            pictured=o.pictured * part,
            calm=None if calm is None else sample(calm, o.pixel),
        )
    progress(0.2, "separating light from skin")
    seen, trust, at_rim = _drop_background(crop, hands, surfaces, bindings, seen, rim, known)
    skin = FittedSkin.of(hands, bindings, seen, known)
    completed, invents = None, config.completion == "network"
    if config.completion != "membrane":
        completed = complete_hands(
            hands,
            surfaces,
            crop.pixels if calm is None else calm,
            masks,
            crop.camera,
            skin.light,
            trust=config.trust,
            doubt=crop.doubt,
            person=config.person_in(crop.pixels),
            calmed=calm is not None,
        )
        skin = dataclasses.replace(skin, completed=completed, invents=invents)
        seen = skin.believed()
        skin = dataclasses.replace(skin, seen=seen)
    complete = skin.complete()
    colors = [pictured(o, c) for o, c in zip(seen, complete.baked)]
    refined = optimize(
        surfaces,
        bindings,
        colors,
        [np.maximum(o.evidence, o.pictured) for o in seen],
        crop.pixels,
        trust,
        crop.camera,
        config.optimize,
        device,
        lambda fraction, message: progress(0.25 + 0.65 * fraction, message),
    )
    progress(0.92, "completing hidden skin")
    seen = [
        dataclasses.replace(
            o, color=r.color, evidence=o.evidence * (1 - at * unlike(r.color, c, 0.6))
        )
        for o, r, at, c in zip(seen, refined, at_rim, complete.baked)
    ]
    skin = FittedSkin.of(hands, bindings, seen, known)
    if completed is not None:
        # the network's answer belongs to the light that it was asked with
        skin = dataclasses.replace(skin, light=complete.light, completed=completed, invents=invents)
    return FittedView(skin, refined)


def assemble(
    fitted: FittedView,
    camera: Camera,
    name: str,
    own: list[np.ndarray] | None = None,
    known: bool = False,
) -> Avatar:
    """Complete what is hidden and make the avatar.

    Args:
        fitted: what is known of the splats.
        camera: of the whole photo whose light and poses the avatar takes.
        name: of that photo.
        own: per hand (N,) the part of each splat's evidence that is of that photo, whose colours
            are baked as they are; None: all of it.
        known: the light was known, not estimated from the photo alone.
    """
    skin = fitted.skin
    hands, seen = skin.hands, skin.seen
    complete = skin.complete()
    shown = seen
    if own is not None:
        shown = [
            dataclasses.replace(o, evidence=o.evidence * w, pictured=o.pictured * w)
            for o, w in zip(seen, own)
        ]
    parts = [
        closed(
            thinned(_assemble(hand, r, o, albedo, baked, hidden)),
            surface(hand.hand_model, hand.side, LEVEL),
        )
        for hand, r, o, albedo, baked, hidden in zip(
            hands,
            fitted.refined,
            seen,
            complete.albedo,
            skin.as_photographed(complete, shown),
            [skin.hidden(k) for k in range(len(hands))],
        )
    ]
    # the clean skin in the light that makes it look as the photo does, also where the network
    # took the photo's paler or darker skin for sheen or shade
    light = light_of_albedo(
        srgb_to_linear(np.concatenate([o.color for o in shown])),
        np.concatenate(complete.albedo),
        np.concatenate([o.normals for o in shown]),
        np.concatenate([o.pictured for o in shown]),
        complete.light,
    )
    if len(parts) == 1:
        parts.append(parts[0].mirrored().beside(parts[0]))
    return Avatar(
        hand_model=hands[0].hand_model,
        level=LEVEL,
        hands=tuple(parts),
        light=_softened(light, shown, known),
        camera=camera,
        provenance={"method": "texture", "photo": name},
    )


def _softened(light: np.ndarray, seen: list[Observation], known: bool) -> np.ndarray:
    normals = np.concatenate([o.normals for o in seen])
    return soften_unseen(light, normals, np.concatenate([o.evidence for o in seen]), known)


def _drop_background(
    crop: Crop,
    hands: tuple[HandPose, ...],
    surfaces: list[PosedSurface],
    bindings: list[SurfaceBinding],
    seen: list[Observation],
    rim: np.ndarray,
    known: KnownSkin | None,
) -> tuple[list[Observation], np.ndarray, list[np.ndarray]]:
    """Take evidence from splats and pixels near outlines that look like background, not skin.

    What skin should look like there is completed from the skin away from outlines.

    Returns:
        The observations with less evidence; (H, W) trust: the mask less what was dropped; and
        (N,) per hand how likely each splat shows background or another finger.
    """
    from scipy.ndimage import distance_transform_edt

    at_rim = [sample(rim[..., None], o.pixel)[:, 0] for o in seen]
    core = [
        dataclasses.replace(o, evidence=o.evidence * (1 - 0.9 * np.maximum(r, o.beside)))
        for o, r in zip(seen, at_rim)
    ]
    expected = FittedSkin.of(hands, bindings, core, known).complete().baked
    distance = background_distance(crop.pixels, crop.mask, rim > 0)
    at_splats = [sample(distance[..., None], o.pixel)[:, 0] for o in seen]
    kept = []
    for o, r, d, e in zip(seen, at_rim, at_splats, expected):
        background = r * shows_background(d, o.color, e)
        wrong = np.maximum(background, o.beside * unlike(o.color, e))
        kept.append(
            dataclasses.replace(
                o, evidence=o.evidence * (1 - wrong), pictured=o.pictured * (1 - background)
            )
        )
    at_rim = [
        np.maximum(r * like_background(d), o.beside) for r, d, o in zip(at_rim, at_splats, seen)
    ]
    parts = []
    for posed, binding, color in zip(surfaces, bindings, expected):
        _, area = triangle_frames(posed.vertices, posed.faces)
        means, quats, scales = place(binding, posed.vertices, posed.faces, area)
        parts.append((means, quats, scales, np.full(len(means), 0.98), color))
    drawn = render(
        Splats(*(np.concatenate(p).astype(np.float32) for p in zip(*parts))), crop.camera
    )
    covered = drawn.alpha > 0.5
    shown = drawn.color / np.maximum(drawn.alpha, 1e-3)[..., None]
    if not covered.any():
        return kept, crop.mask, at_rim
    rows, columns = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    skin = shown[rows, columns]
    trust = crop.mask * (1 - rim * shows_background(distance, crop.pixels, skin))
    return kept, trust, at_rim


def _assemble(
    hand: HandPose,
    refined: Refined,
    seen: Observation,
    albedo: np.ndarray,
    baked: np.ndarray,
    hidden: np.ndarray,
) -> AvatarHand:
    return AvatarHand(
        side=hand.side,
        shape=hand.shape,
        binding=refined.binding,
        opacity=refined.opacity,
        color=baked,
        albedo=linear_to_srgb(albedo),
        evidence=seen.evidence,
        source_theta=hand.theta,
        source_translation=hand.translation,
        hidden=linear_to_srgb(np.exp(np.minimum(hidden, 0.0))),
    )


def lay_on_hand(hand: HandPose, per_face: int) -> SurfaceBinding:
    """Splats on the rest mesh; the left's are the mirrored right's, splat for splat."""
    right = surface(hand.hand_model, "right", LEVEL)
    binding = lay_splats(rest_hand(right, hand.shape)[0], right.faces, per_face)
    if hand.side == "right":
        return binding
    return SurfaceBinding(
        binding.triangle,
        binding.barycentric[:, [1, 0, 2]],
        binding.offset,
        binding.quat * [1, 1, -1, -1],
        binding.scale,
    )


def _undoubted(crop: Crop, seen: Observation) -> np.ndarray:
    """(N,) 0 where the photo is not to be believed ... 1 elsewhere."""
    if crop.doubt is None:
        return np.ones(len(seen.evidence))
    return 1 - sample(crop.doubt[..., None], seen.pixel)[:, 0]


CUT_M = (0.002, 0.009)
"""Skin is trusted from this far from the wrist's cut: there the mesh ends, the arm goes on, and
normals turn inward, so that its light is misjudged."""


def _from_cut(hand: HandPose, binding: SurfaceBinding) -> np.ndarray:
    """(N,) 0 at the open end of the mesh ... 1 on the hand."""
    from scipy.spatial import cKDTree

    model = surface(hand.hand_model, hand.side, LEVEL)
    rim = np.unique(open_edges(model.faces))
    if not len(rim):
        return np.ones(len(binding))
    distance = cKDTree(model.template[rim]).query(model.template)[0]
    at_splats = at_surface(distance, model.faces, binding.triangle, binding.barycentric)
    return smoothstep(at_splats, *CUT_M)

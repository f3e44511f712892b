"""Asking the completion network about every hand of a photo."""

from __future__ import annotations

import dataclasses

import numpy as np

from ...core.types import Camera, HandPose
from ...skin.complete import COMPOSE_SIZE, CompletedSkin, complete_skin
from ...skin.completion_weights import Completion, load_completion
from ...skin.light import LUMINANCE
from ...skin.observe import PosedSurface, openness_of
from ...skin.template import template_log_albedo
from ...skin.tones import gains_to_one_tone, person_s_tone
from ...skin.uv_layout import uv_layout
from ...skin.uv_observation import observe_uv, scene_of, weighted_median


def complete_hands(
    hands: tuple[HandPose, ...],
    surfaces: list[PosedSurface],
    pixels: np.ndarray,
    masks: list[np.ndarray],
    camera: Camera,
    light: np.ndarray | None = None,
    completion: Completion | None = None,
    trust: float = 0.5,
    doubt: np.ndarray | None = None,
    person: int | None = None,
    calmed: bool = False,
) -> list[CompletedSkin]:
    """The skin of each hand, on the layout of its model.

    Args:
        hands: as they were found; surfaces: their posed meshes.
        pixels: (H, W, 3) sRGB in [0, 1].
        masks: per hand (H, W) in [0, 1].
        camera: the photo's.
        light: (9, 3) where it is known; else each hand's own estimate is taken off it.
        completion: the network; the shipped one by default.
        doubt: (H, W) in [0, 1], 1 where the photo is not to be believed at all.
        person: seed of whose lines invented skin gets; None: nobody's.
        calmed: ``pixels`` are without the photo's noise.
        trust: in the photo, see :meth:`hand_toolkit.skin.complete.CompletedSkin.trusted`.
    """
    completion = completion or load_completion()
    vertices = np.concatenate([s.vertices for s in surfaces])
    starts = np.cumsum([0] + [len(s.vertices) for s in surfaces])
    faces = np.concatenate([s.faces + k for s, k in zip(surfaces, starts)])
    normals = np.concatenate([s.normals for s in surfaces])
    scene = scene_of(pixels, vertices, faces, camera)
    free = openness_of(vertices, normals, faces)
    result, seen = [], []
    for k, (hand, posed, mask) in enumerate(zip(hands, surfaces, masks)):
        layout = uv_layout(hand.hand_model, COMPOSE_SIZE)
        own = free[starts[k] : starts[k + 1]]
        shown = observe_uv(
            scene, mask, layout, posed.side, posed.vertices, posed.normals, own, light, doubt=doubt
        )
        result.append(
            complete_skin(shown, layout, completion, person=person, calmed=calmed).trusted(trust)
        )
        seen.append(shown.log_albedo)
    if len(result) == 2 and result[0].layout is result[1].layout:
        return _of_one_person(result, seen)
    return result


def _of_one_person(skins: list[CompletedSkin], seen: list[np.ndarray]) -> list[CompletedSkin]:
    """Two hands of one tone that tell each other what they show, if they may be one person's.

    Args:
        skins: of both.
        seen: (N, 3) the log albedo that was observed of each.
    """
    clean = [skin.compose(log) for skin, log in zip(skins, seen)]
    belief = [skin.belief[:, 0] for skin in skins]
    weights = [float(b.sum()) for b in belief]
    if min(weights) < 1:
        return skins
    middle = weighted_median(np.concatenate(clean), np.concatenate(belief) + 1e-9)
    template = template_log_albedo(skins[0].layout.uv, float(np.exp(middle) @ LUMINANCE))
    tones = [person_s_tone(log, b, template) for log, b in zip(clean, belief)]
    gains = gains_to_one_tone(tones, weights)
    if gains is None:
        return skins
    skins = [skin.moved(gain) for skin, gain in zip(skins, gains)]
    clean = [log + gain for log, gain in zip(clean, gains)]
    return [_told(skins[k], skins[1 - k], clean[1 - k]) for k in (0, 1)]


TOLD = 0.8
"""Share of what the other hand shows that goes into a hand's hidden skin."""


def _told(own: CompletedSkin, other: CompletedSkin, clean: np.ndarray) -> CompletedSkin:
    """A hand whose hidden skin is what the other hand shows of the same place."""
    share = TOLD * other.belief * (1 - own.belief)
    return dataclasses.replace(own, hidden=own.hidden + share * (clean - own.hidden))

"""Several photos of the same hands: each refined in its own light, then joined splat by splat."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ...avatar import Avatar, SurfaceBinding
from ...core.conventions import SIDES
from ...core.errors import InputError
from ...core.types import Progress
from ...geometry.colour import linear_to_srgb, srgb_to_linear
from ...media.viewset import ViewSet
from ...skin.crop import Crop, crop_view
from .fitted_skin import FittedSkin, KnownSkin, photo_shading
from .one_photo import FittedView, TextureConfig, assemble, fit_view
from .optimize import Refined

FIRST_CHOICE = 4
"""Power of a view's evidence in its share of a splat: the view that shows it best has nearly all.
A plain mean of views, each off by a pixel or two, would blur creases and nails away."""

ALIKE = 200.0
"""Splats' worth of common evidence from which two views' exposure and white are compared."""

FAINT = 1e-3
"""Least linear albedo of which the logarithm is taken."""


def fit_texture_views(
    views: ViewSet,
    config: TextureConfig,
    device: str = "cpu",
    progress: Progress = lambda fraction, message: None,
    known: Sequence[KnownSkin] | None = None,
    crops: Sequence[Crop] | None = None,
) -> Avatar:
    """Make an avatar of the hands in one or more photos.

    Args:
        views: photos of one person's hands, outlined.
        config: options.
        device: torch device for the refinement.
        progress: called with the part done and a message; may raise to stop.
        known: per view the skin from which hidden parts are completed, and that view's light; by
            default a population template, and the light that suits it.
        crops: per view its hands at working size, where they were cut out before.

    Returns:
        An avatar with both hands, in the light, pose and camera of the view that shows most; a
        hand that no view shows is the mirror image of the other.

    Raises:
        InputError: a view is not outlined or shows no hand.
    """
    empty = [view.name for view in views if not view.hands]
    if empty:
        raise InputError(
            f"'{empty[0]}' shows no hand; leave it out (ViewSet.with_hands does that for all)"
        )
    part = 0.9 / len(views)
    fitted = []
    cut = list(crops) if crops is not None else [crop_view(v, config.max_size) for v in views]
    # one person, whichever view a hand's hidden skin is of
    config = dataclasses.replace(config, person=config.person_in(cut[views.reference].pixels))
    for k, (view, crop) in enumerate(zip(views, cut)):

        def tell(fraction: float, message: str, done: int = k, name: str = view.name) -> None:
            text = message if len(views) == 1 else f"{message}: {name}"
            progress(part * (done + fraction), text)

        skin = known[k] if known is not None else None
        fitted.append(fit_view(crop, view.hands, config, device, tell, skin))
    progress(0.92, "completing hidden skin")
    reference = views.reference
    view = views[reference]
    if len(views) == 1:
        return assemble(fitted[0], view.camera, view.name, known=known is not None)
    joined, own = join_views(fitted, reference)
    avatar = assemble(joined, view.camera, view.name, own, known is not None)
    others = ", ".join(v.name for k, v in enumerate(views) if k != reference)
    return dataclasses.replace(avatar, provenance={**avatar.provenance, "further_photos": others})


def join_views(fitted: Sequence[FittedView], reference: int) -> tuple[FittedView, list[np.ndarray]]:
    """One set of splats from those of several views, in the light of the reference view.

    Each view's colours are divided by its own light; exposure and white balance are then made
    equal over the splats that two views show. Of every splat the view that shows it best counts
    nearly alone, in colour as in place, size and opacity.

    Args:
        fitted: the views, refined.
        reference: index of the view whose light the colours are put back in.

    Returns:
        The joined hands, and per hand the part (N,) of each splat that is the reference's own.
    """
    skins = [f.skin for f in fitted]
    light = skins[reference].light
    gains = _gains(skins, reference)
    hands, bindings, seen, refined, template, own = [], [], [], [], [], []
    for side in SIDES:
        order = sorted(range(len(fitted)), key=lambda v: v != reference)
        shown = [(v, k) for v in order if (k := _index(skins[v], side)) is not None]
        if not shown:
            continue
        evidence = np.stack([skins[v].seen[k].evidence for v, k in shown])
        share = np.maximum(evidence, 1e-6) ** FIRST_CHOICE
        share /= share.sum(axis=0)
        albedo = np.stack([_log_albedo(skins[v], k) + gains[v] for v, k in shown])
        linear = np.exp((share[..., None] * albedo).sum(axis=0))
        first, at = shown[0]
        base = skins[first].seen[at]
        color = linear_to_srgb(linear * photo_shading(base, light))
        hands.append(skins[first].hands[at])
        bindings.append(skins[first].bindings[at])
        template.append(skins[first].hidden(at) + gains[first])
        seen.append(dataclasses.replace(base, color=color, evidence=evidence.max(axis=0)))
        refined.append(_best([fitted[v].refined[k] for v, k in shown], share.argmax(axis=0)))
        own.append(share[0] if first == reference else np.zeros(len(base.evidence)))
    skin = FittedSkin(tuple(hands), bindings, seen, template, light)
    return FittedView(skin, refined), own


def _gains(skins: Sequence[FittedSkin], reference: int) -> list[np.ndarray]:
    """(3,) to add to each view's log albedo, so that all agree where they show the same skin.

    Views are joined on to the reference one after the other, the one that shares most first.
    """
    gains: dict[int, np.ndarray] = {reference: np.zeros(3)}
    while len(gains) < len(skins):
        best: tuple[float, int, np.ndarray] = (-1.0, -1, np.zeros(3))
        for v in (k for k in range(len(skins)) if k not in gains):
            weight, total = 0.0, np.zeros(3)
            for w, gain in gains.items():
                for k, hand in enumerate(skins[v].hands):
                    j = _index(skins[w], hand.side)
                    if j is None:
                        continue
                    both = skins[v].seen[k].evidence * skins[w].seen[j].evidence
                    step = _log_albedo(skins[w], j) + gain - _log_albedo(skins[v], k)
                    total += (both[:, None] * step).sum(axis=0)
                    weight += float(both.sum())
            if weight > best[0]:
                # few common splats say little: the two lights were then found well enough alone
                best = weight, v, total / (weight + ALIKE)
        gains[best[1]] = best[2]
    return [gains[v] for v in range(len(skins))]


def _log_albedo(skin: FittedSkin, index: int) -> np.ndarray:
    """(N, 3) of one hand, unclipped: an exposure that is off is mended later."""
    seen = skin.seen[index]
    linear = np.maximum(srgb_to_linear(seen.color), FAINT)
    return np.log(linear / photo_shading(seen, skin.light))


def _best(parts: Sequence[Refined], winner: np.ndarray) -> Refined:
    """Splat by splat the refined one of the view that shows it best."""
    rows = np.arange(len(winner))

    def pick(arrays: list[np.ndarray]) -> np.ndarray:
        return np.stack(arrays)[winner, rows]

    first = parts[0].binding
    return Refined(
        SurfaceBinding(
            first.triangle,
            first.barycentric,
            pick([p.binding.offset for p in parts]),
            first.quat,
            pick([p.binding.scale for p in parts]),
        ),
        pick([p.opacity for p in parts]),
        pick([p.color for p in parts]),
    )


def _index(skin: FittedSkin, side: str) -> int | None:
    return next((k for k, hand in enumerate(skin.hands) if hand.side == side), None)

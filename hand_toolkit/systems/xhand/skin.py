"""Albedo of every texel of the hand's layout from all views, and how many of them saw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...avatar import surface
from ...avatar.lighting import shade
from ...core.types import HandPose
from ...hand_model import HandModel
from ...skin.complete import COMPOSE_SIZE, CompletedSkin, complete_skin
from ...skin.completion_weights import load_completion
from ...skin.light import LUMINANCE, visibility
from ...skin.observe import openness_of, pose_surfaces, smoothstep
from ...skin.own_detail import person_of
from ...skin.template import complete_log_albedo, template_log_albedo
from ...skin.uv_layout import LEVEL, UVLayout, uv_layout, weld
from ...skin.uv_observation import CHANNELS, UVObservation, observe_uv, scene_of
from .evidence import Shown

FIRST_CHOICE = 2.0
"""Power of a view's evidence in its share of a texel: more keeps creases of the best view, less
averages what the views' lights leave over."""

SURE = 0.25
"""Evidence from which a view counts as having seen a texel."""

OFF = 0.25
"""Log albedo by which a view may differ from what most say before its share falls."""


@dataclass(frozen=True, eq=False)
class Skin:
    """One hand's skin at the N texels of its layout.

    Attributes:
        layout: the texels.
        log_albedo: (N, 3) completed: seen where views saw it, the completion network's elsewhere.
        evidence: (N,) 0 invented ... 1 seen well.
        views: (N,) how many views saw each texel.
    """

    layout: UVLayout
    log_albedo: np.ndarray
    evidence: np.ndarray
    views: np.ndarray

    def at(self, values: np.ndarray, uv: np.ndarray) -> np.ndarray:
        """(M, C) of texel values (N, C) at places (M, 2) of the layout."""
        return self.layout.look_up(self.layout.image(values), uv)

    def at_vertices(self, model: HandModel, values: np.ndarray) -> np.ndarray:
        """(V, C) of texel values at a mesh's vertices."""
        return self.at(values, vertex_uvs(model))


def vertex_uvs(model: HandModel) -> np.ndarray:
    """(V, 2) a place on the layout for every vertex; at a cut the first of its places."""
    corner, first = np.unique(model.faces.ravel(), return_index=True)
    uv = np.zeros((len(model.template), 2))
    uv[corner] = model.uvs[model.uv_faces.ravel()[first]]
    return uv


def gather_skin(
    shown: Sequence[Shown],
    hands: Sequence[tuple[HandPose, ...]],
    reference: int,
    earlier: Gathered | None = None,
) -> Gathered:
    """What all views say of each hand's skin.

    Args:
        shown: the views.
        hands: per view the hands as they were placed.
        reference: number of the view from which hidden skin is completed, and whose bytes say
            which lines a person has where no view shows any.
        earlier: of the same views with hands nearly there; what is hidden and how open each place
            is are taken from it, which is most of the work.
    """
    seen: dict[str, list[_Seen]] = {}
    completion = load_completion()
    person = person_of(shown[reference].crop.pixels)
    for t, (s, own) in enumerate(zip(shown, hands)):
        surfaces = pose_surfaces(own, 1)
        starts = np.cumsum([0, *(len(x.vertices) for x in surfaces)])
        vertices = np.concatenate([x.vertices for x in surfaces])
        faces = np.concatenate([x.faces + k for x, k in zip(surfaces, starts)])
        before = earlier.of_view(t) if earlier else {}
        if any(hand.side not in before for hand in own):
            free = openness_of(vertices, np.concatenate([x.normals for x in surfaces]), faces)
        scene = scene_of(s.crop.pixels, vertices, faces, s.crop.camera)
        for k, (hand, posed) in enumerate(zip(own, surfaces)):
            layout = uv_layout(hand.hand_model, COMPOSE_SIZE)
            mask = s.crop.mask * (s.crop.labels == k)
            kept = before.get(hand.side)
            part = kept.openness if kept else free[starts[k] : starts[k + 1]]
            made = observe_uv(scene, mask, layout, hand.side, posed.vertices, posed.normals, part)
            completed = (
                kept.completed if kept else complete_skin(made, layout, completion, person=person)
            )
            sure = made.sure * completed.belief[:, 0] * s.weight
            seen.setdefault(hand.side, []).append(_Seen(t, made, completed, sure, part))
    return join_skin(seen, len(shown), reference)


def join_skin(seen: dict[str, list[_Seen]], count: int, reference: int) -> Gathered:
    """What :func:`gather_skin` returns, of what ``count`` views observed."""
    gains = _gains(seen, count)
    skins = {}
    for side, found in seen.items():
        best = [n for n, v in enumerate(found) if v.view == reference]
        skins[side] = _joined(found, gains, best[0] if best else None)
    lights: list[np.ndarray] = [np.zeros((9, 3))] * count
    for found in seen.values():
        for v in found:
            lights[v.view] = v.made.light * np.exp(-gains[v.view])
    return Gathered(skins, lights, seen)


@dataclass(frozen=True, eq=False)
class _Seen:
    """One hand in one view: what was observed, the completion's word on it, (N,) how far each
    texel is believed, and (V,) the vertices' openness."""

    view: int
    made: UVObservation
    completed: CompletedSkin
    sure: np.ndarray
    openness: np.ndarray


@dataclass(frozen=True, eq=False)
class Gathered:
    """Skins of all views.

    Attributes:
        skins: side -> skin.
        lights: per view (9, 3), camera axes, its exposure and white such that all views agree on
            the skin that they share.
        seen: side -> what each view said.
    """

    skins: dict[str, Skin]
    lights: list[np.ndarray]
    seen: dict[str, list[_Seen]]

    def of_view(self, view: int) -> dict[str, _Seen]:
        """side -> what one view said."""
        return {s: v for s, found in self.seen.items() for v in found if v.view == view}


def _gains(seen: dict[str, list[_Seen]], count: int) -> np.ndarray:
    """(T, 3) to add to each view's log albedo, so that all agree where they show the same skin.

    Their mean is zero: skin has the mean tone of what the views say by themselves. A view that
    shares little with the others, such as the only one of the back, is brought to the tone that
    such skin has on a person whose skin is as the others show it.
    """
    told, amount = _off_the_template(seen, count)
    gains = np.zeros((count, 3))
    for _ in range(12):
        step, weight = np.zeros((count, 3)), np.full((count, 1), 1e-6)
        off = told + gains
        off -= np.average(off, axis=0, weights=amount)
        for found in seen.values():
            sure = np.stack([v.sure for v in found])[..., None]
            log = np.stack([v.made.log_albedo + gains[v.view] for v in found])
            total = sure.sum(0)
            mean = (sure * log).sum(0) / np.maximum(total, 1e-9)
            for n, v in enumerate(found):
                both = sure[n] * (total - sure[n]) / np.maximum(total, 1e-9)
                step[v.view] += (both * (mean - log[n])).sum(0) - LONELY * off[v.view]
                weight[v.view] += both.sum() + LONELY
        gains += step / weight
        gains -= gains.mean(0)
    return gains


LONELY = 300.0
"""Texels' worth of shared evidence that the template's word on a view's tone counts."""


def _off_the_template(seen: dict[str, list[_Seen]], count: int) -> tuple[np.ndarray, np.ndarray]:
    """How much lighter each of ``count`` views shows its skin than the template of all has it.

    Returns:
        (T, 3) log albedo, and (T,) how much skin tells it.
    """
    views = [v for found in seen.values() for v in found]
    sure = np.array([v.sure.sum() for v in views]) + 1e-9
    shown = [
        np.average(v.made.log_albedo - v.completed.shade, axis=0, weights=v.sure + 1e-9)
        for v in views
    ]
    luminance = float(np.exp(np.average(shown, axis=0, weights=sure)) @ LUMINANCE)
    off, amount = np.zeros((count, 3)), np.full(count, 1e-9)
    for v, mean, some in zip(views, shown, sure):
        template = template_log_albedo(v.completed.layout.uv, luminance)
        off[v.view] += some * (mean - np.average(template, axis=0, weights=v.sure + 1e-9))
        amount[v.view] += some
    return off / amount[:, None], amount


def _joined(found: Sequence[_Seen], gains: np.ndarray, best: int | None) -> Skin:
    sure = np.stack([v.sure for v in found])
    log = np.stack([v.made.log_albedo + gains[v.view] - v.completed.shade for v in found])
    share = np.maximum(sure, 1e-6) ** FIRST_CHOICE
    for _ in range(3):
        mean = (share[..., None] * log).sum(0) / share.sum(0)[:, None]
        off = np.abs(log - mean).mean(-1)
        share = np.maximum(sure, 1e-6) ** FIRST_CHOICE / (1 + (off / OFF) ** 2)
    if best is None:
        best = int(sure.sum(1).argmax())
    chosen = found[best]
    evidence = smoothstep(sure.max(0), 0.03, 0.35)
    evidence = evidence * _away_from_unseen(evidence, chosen.completed.layout)
    # the completion's tone is the best view's; bring it to that of all
    both = evidence * smoothstep(chosen.sure, 0.2, 0.6)
    step = gains[chosen.view]
    if both.sum() > 50:
        own = chosen.completed.compose(chosen.made.log_albedo)
        step = np.average(mean - own, axis=0, weights=both)
    layout = chosen.completed.layout
    hidden = chosen.completed.hidden + chosen.completed.step + step
    model = surface(layout.hand_model, "right", LEVEL)
    hidden = complete_log_albedo(
        mean, evidence, hidden, layout.corners, layout.barycentric, model.faces
    )
    mean = mean + _best_detail(found, log, sure, layout) if len(found) > 1 else mean
    whole = hidden + evidence[:, None] * (mean - hidden)
    return Skin(layout, weld(whole, evidence, layout), evidence, (sure > SURE).sum(0))


FEATHER_TEXELS = 6.0
"""Over which seen skin gives way to completed skin: 5 mm. More takes nails and fingertips, too."""


def _away_from_unseen(evidence: np.ndarray, layout: UVLayout) -> np.ndarray:
    """(N,) 0 where nothing was seen ... 1 half a centimetre from there, so that no border shows."""
    from scipy.ndimage import distance_transform_edt

    unseen = np.zeros(layout.size * layout.size, bool)
    unseen[layout.index] = evidence < 0.1
    away = distance_transform_edt(~unseen.reshape(layout.size, layout.size))
    return smoothstep(away.ravel()[layout.index], 0.0, FEATHER_TEXELS)


DETAIL_TEXELS = 4.0
"""Standard deviation of the window beyond which views are averaged: 3 mm."""

DETAIL_CHOICE = 16.0


def _best_detail(
    found: Sequence[_Seen], log: np.ndarray, sure: np.ndarray, layout: UVLayout
) -> np.ndarray:
    """(N, 3) fine detail of the view that shows each texel best, less the mean's own.

    Views whose hands are a pixel off each other average creases away; their coarse colours, which
    their lights tint, are what averaging is for.
    """
    facing, finer = (
        np.stack([v.made.inputs[:, CHANNELS.index(name)] for v in found])
        for name in ("facing", "resolution")
    )
    good = sure * np.clip(facing, 0, 1) * np.exp(finer - finer.max())
    share = np.maximum(good / np.maximum(good.max(0), 1e-9), 1e-3) ** DETAIL_CHOICE
    share = share / share.sum(0)
    wide = np.maximum(sure, 1e-6) ** FIRST_CHOICE
    wide = wide / wide.sum(0)
    total = np.zeros(log.shape[1:])
    for one, fine, mean in zip(log, share, wide):
        part = np.flatnonzero((fine > 1e-3) | (mean > 1e-3))
        if not len(part):
            continue
        weight = np.maximum(fine, mean)
        total += (fine - mean)[:, None] * (one - _smoothed(one, weight, layout))
    return total


def _smoothed(values: np.ndarray, weight: np.ndarray, layout: UVLayout) -> np.ndarray:
    """(N, 3) of texel values, blurred where they have weight."""
    import cv2

    grid = np.zeros((layout.size * layout.size, 4), np.float32)
    grid[layout.index, :3] = values * weight[:, None]
    grid[layout.index, 3] = weight
    made = cv2.GaussianBlur(grid.reshape(layout.size, layout.size, 4), (0, 0), DETAIL_TEXELS)
    made = made.reshape(-1, 4)[layout.index]
    result: np.ndarray = made[:, :3] / np.maximum(made[:, 3:], 1e-6)
    return result


def visible_part(
    hands: Sequence[HandPose], vertices: Sequence[np.ndarray], normals: Sequence[np.ndarray],
    faces: Sequence[np.ndarray],
) -> list[np.ndarray]:  # fmt: skip
    """Per hand (V,) the factor by which what obstructs the light dims each vertex."""
    starts = np.cumsum([0, *(len(v) for v in vertices)])
    every = np.concatenate([f + k for f, k in zip(faces, starts)])
    free = openness_of(np.concatenate(list(vertices)), np.concatenate(list(normals)), every)
    return np.split(visibility(free), starts[1:-1])


def shaded(light: np.ndarray, normals: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """(V, 3) linear light on vertices."""
    ambient = np.maximum(shade(light, normals), 0.05 * np.abs(light[0]))
    return ambient * visible[:, None]

"""Lines, wrinkles, veins and mottle of a hand's skin, drawn in coordinates of the rest surface.

No two people's are alike: courses, strands and strengths come from a seed. Depths are 0 to 1, a
palm's deepest line 1; what they do to colour and relief is the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .noise import noise
from .texels import SkinPlaces

PALM_METRIC = np.array([0.095, 0.036])
"""Metres that a unit of each palm coordinate spans."""

WEB = 1.18
"""Palm coordinate at which the palm ends between the fingers."""

STEP_M = 3e-4
"""Distance of the points by which a curve is known."""

SKIRT, SKIRT_WIDTH = 0.22, 3.2
"""Part of a line's depth that its sides have, and how much wider they are than its bottom."""

FLUSH = {
    "blotch": np.array([0.035, -0.075, -0.065]),
    "speckle": np.array([0.01, -0.045, -0.045]),
    "grain": np.array([0.030, 0.045, 0.050]),
}
"""Log linear colour of a unit of each scale of mottle: blood is red, pores are dark."""


@dataclass(frozen=True)
class Curve:
    """A line on the skin.

    Attributes:
        path: (k, 2) metres, ``STEP_M`` apart at most.
        strength: (k,) depth there, 0 to 1.
        width: (k,) metres at which the depth has fallen to 1/e.
    """

    path: np.ndarray
    strength: np.ndarray
    width: np.ndarray


def mottle(position: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """(n,) noise of three scales about 0: blotches of 2 cm, speckles of 6 mm, grain of 2 mm."""
    return {
        "blotch": noise(position, 45, seed + 1, 3),
        "speckle": noise(position, 160, seed + 3, 2),
        "grain": noise(position, 420, seed + 2, 3, 0.7),
    }


def uneven(position: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n,) noise of 1 cm, 4 mm and 2 mm about 0: pads, dents and pores."""
    pads = noise(position, 95, seed + 61, 2)
    dents = noise(position + 0.002 * pads[:, None], 240, seed + 62, 1)
    return pads, dents, noise(position, 520, seed + 63, 2, 0.8)


def palmar_share(places: SkinPlaces) -> np.ndarray:
    """0 on the back to 1 on the palm and the pads, smooth."""
    dorsal = places.back.copy()
    for f in range(5):
        share = places.finger_weight[:, f]
        dorsal = dorsal * (1 - share) + places.dorsal[:, f] * share
    forearm = np.clip(-places.palm[:, 0] / 0.25, 0, 1)
    return np.clip(0.5 - 1.6 * (dorsal + 0.1), 0, 1) * (1 - forearm)


def blood(places: SkinPlaces) -> np.ndarray:
    """(n,) 0 to 1.2, how red skin is: knuckles, fingertips, the balls of the hand."""
    out = np.zeros(len(places.position))
    for f in range(5):
        along, dorsal, palmar = _finger_frame(places, f)
        reach = places.bones[f].sum()
        joints = np.cumsum(places.bones[f])
        out += 0.8 * dorsal * np.exp(-(((along - joints[0]) / 0.008) ** 2))
        out += 0.5 * dorsal * np.exp(-(((along - joints[1]) / 0.006) ** 2))
        out += palmar * np.clip((along - 0.72 * reach) / (0.2 * reach), 0, 1)
        knuckle = np.exp(-((along / 0.011) ** 2) - (places.lateral[:, f] / 0.010) ** 2)
        if f:
            out += 0.7 * knuckle * np.clip(places.back * 1.5, 0, 1)
    u, v = places.palm.T
    palm = np.clip(-places.back * 1.5, 0, 1) * (places.finger == 0)
    out += palm * 0.7 * np.exp(-(((u - 0.25) / 0.3) ** 2) - ((np.abs(v) - 0.75) / 0.45) ** 2)
    return np.clip(out, 0, 1.2)


def knuckle_wrinkles(places: SkinPlaces, seed: int) -> np.ndarray:
    """(n,) depth of wrinkles across the backs of the finger joints, and faintly of the knuckles."""
    rng = np.random.default_rng([seed, 20])
    warp = noise(places.position, 170, seed + 20, 2) * 0.0011
    breaks = np.clip(0.85 + 0.6 * noise(places.position, 260, seed + 21, 2), 0.15, 1)
    depth = np.zeros(len(places.position))
    for f in range(5):
        along, dorsal, _ = _finger_frame(places, f)
        own = np.flatnonzero(dorsal > 0.01)
        lateral = places.lateral[own, f]
        for joint, (spread, count, amount) in enumerate(((0.0060, 7, 1.0), (0.0036, 4, 0.7))):
            centre = places.bones[f][: joint + 1].sum() - 0.001
            at = along[own] - centre + warp[own]
            drawn = _arcs(at, lateral, spread, count, 0.0055, rng)
            depth[own] = np.maximum(depth[own], amount * drawn * dorsal[own])
        if f:  # where the finger leaves the hand skin is loose, its wrinkles wide and faint
            near = np.flatnonzero(
                (np.abs(places.along[:, f]) < 0.014) & (np.abs(places.lateral[:, f]) < 0.014)
            )
            at, lateral = places.along[near, f] + 1.5 * warp[near], places.lateral[near, f]
            drawn = _arcs(at, lateral, 0.0085, 6, 0.008, rng)
            back = np.clip(places.back[near] * 1.5, 0, 1)
            depth[near] = np.maximum(depth[near], 0.45 * drawn * back)
    return np.clip(depth * breaks, 0, 1)


def _arcs(
    along: np.ndarray,
    lateral: np.ndarray,
    spread: float,
    count: int,
    reach: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """(n,) depth of lines across a joint that bulge away from its middle, of uneven length.

    Args:
        along, lateral: (n,) metres from the joint.
        spread: half the length over which the lines lie; reach: half their own, metres.
        count: how many, on the mean.
    """
    depth = np.zeros(len(along))
    count = max(2, count + int(rng.integers(-1, 2)))
    bulge = rng.uniform(6, 13)
    for k in range(count):
        offset = (k - (count - 1) / 2) / count * 2 * spread + rng.normal() * 0.12 * spread
        curve = np.sign(offset + 1e-9) * bulge * lateral**2 + rng.normal() * 0.05 * lateral
        width = rng.uniform(0.00055, 0.0009)
        middle, half = rng.normal() * 0.3 * reach, reach * rng.uniform(0.5, 1.2)
        ends = np.exp(-(np.abs((lateral - middle) / half) ** 3))
        envelope = np.exp(-((offset / (1.1 * spread)) ** 2)) * rng.uniform(0.6, 1.0)
        depth = np.maximum(depth, envelope * ends * _profile(along - offset - curve, width))
    return depth


def creases(places: SkinPlaces, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(n,) depth of the lines of palm, wrist and fingers, and (n,) of the fine ones between."""
    rng = np.random.default_rng([seed, 30])
    warp = noise(places.position, 120, seed + 30, 2) * 0.0013
    breaks = np.clip(0.95 + 0.4 * noise(places.position, 210, seed + 31, 2), 0.6, 1)
    palm = np.clip(-places.back * 2.0 + 0.1, 0, 1)
    palm = palm * np.clip((WEB - places.palm[:, 0]) / 0.08, 0, 1)
    own = np.flatnonzero(palm > 0.01)
    plane = places.palm[own] * PALM_METRIC + warp[own, None] * [0.7, 0.5]
    depth = _flexion_creases(places, warp, rng)
    main = _palm_lines(rng)
    for curve in main:
        depth[own] = np.maximum(depth[own], palm[own] * _drawn(plane, [curve]))
    branches = [b for curve in main[:3] for b in _branches(curve, rng)]
    depth[own] = np.maximum(depth[own], palm[own] * _drawn(plane, branches))
    fine = np.zeros(len(depth))
    fine[own] = palm[own] * _drawn(plane, _fine_lines(rng))
    fine = np.maximum(fine, _striations(places, seed))
    return np.clip(depth * breaks, 0, 1), np.clip(fine, 0, 1)


def _flexion_creases(places: SkinPlaces, warp: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n,) depth of the creases across the fingers: strands of uneven length at every joint."""
    depth = np.zeros(len(places.position))
    for f in range(5):
        along, _, palmar = _finger_frame(places, f)
        own = np.flatnonzero(palmar > 0.01)
        along, palmar, lateral = along[own], palmar[own], places.lateral[own, f]
        first, second = places.bones[f][0], places.bones[f][:2].sum()
        joints = ((0.45 * first, 0.65, 2), (first + 0.0005, 0.95, 3), (second, 0.8, 2))
        for centre, amount, strands in joints[1 if f == 0 else 0 :]:
            strength = amount * rng.uniform(0.65, 1.1)
            for k in range(strands):
                apart = (k - (strands - 1) / 2) * 0.0019 + rng.normal() * 0.0005
                course = rng.normal() * 0.06 * lateral + rng.normal() * 5.0 * lateral**2
                whole = k == strands // 2
                middle = 0.0 if whole else rng.normal() * 0.003
                half = 0.02 if whole else rng.uniform(0.003, 0.009)
                ends = np.exp(-(np.abs((lateral - middle) / half) ** 3))
                width = rng.uniform(0.00042, 0.00065)
                line = _profile(along - centre - apart - course + warp[own], width)
                part = strength if whole else strength * rng.uniform(0.35, 0.85)
                depth[own] = np.maximum(depth[own], part * line * ends * palmar)
    return depth


def _palm_lines(rng: np.random.Generator) -> list[Curve]:
    """Heart, head and life line first, then those that not everybody has, and the wrist's."""
    heart, fork = rng.normal(0.69, 0.045), rng.normal(0.70, 0.045)
    reach, slope, arc = rng.uniform(0.15, 0.85), rng.uniform(0.05, 0.3), rng.normal(0, 0.13)
    length, apart = rng.uniform(0.4, 1.0), max(0.0, rng.normal(0.01, 0.025))
    lines = [
        ([[heart, -1.4], [heart + 0.09, -0.75], [heart + 0.17, -0.15],
          [heart + 0.24 + 0.1 * reach, reach]], rng.uniform(0.75, 1.0)),
        ([[fork, 1.35], [fork - 0.05, 0.7], [fork - 0.11 - 0.45 * slope, 0.0],
          [fork - 0.15 - slope, -0.1 - length]], rng.uniform(0.65, 1.0)),
        ([[fork - apart, 1.4], [fork - 0.08 - apart, 0.8 + 0.5 * arc], [0.43, 0.28 + arc],
          [0.22, 0.1 + arc], [0.03, 0.2 + arc]], rng.uniform(0.8, 1.0)),
    ]  # fmt: skip
    if rng.random() < 0.65:
        side = rng.normal(0, 0.08)
        start = rng.uniform(0.08, 0.35)
        lines.append(
            ([[start, -0.08 + side], [0.5, side], [rng.uniform(0.7, 0.88), 0.05 + side]],
             rng.uniform(0.15, 0.5))
        )  # fmt: skip
    if rng.random() < 0.5:
        side = rng.normal(-0.45, 0.06)
        lines.append(([[0.55, side - 0.05], [0.7, side], [0.86, side]], rng.uniform(0.12, 0.35)))
    for place, strength in ((0.0, 0.7), (-0.055, 0.5))[: int(rng.integers(1, 3))]:
        bow = rng.normal(0.02, 0.012)
        lines.append(([[place, 1.1], [place - bow, 0.0], [place, -1.1]], strength))
    curves = []
    for points, strength in lines:
        moved = np.array(points) + rng.normal(size=np.shape(points)) * [0.02, 0.05]
        curves.append(_curve(moved * PALM_METRIC, strength, rng.uniform(5e-4, 8e-4), rng))
    return curves


def _curve(points: np.ndarray, strength: float, width: float, rng: np.random.Generator) -> Curve:
    """A smooth line through points (k, 2) in metres."""
    rough = smooth_curve(points, 60)
    steps = np.r_[0, np.cumsum(np.linalg.norm(np.diff(rough, axis=0), axis=1))]
    at = np.linspace(0, steps[-1], max(4, int(steps[-1] / STEP_M)))
    path = np.stack([np.interp(at, steps, rough[:, k]) for k in range(2)], 1)
    return _stroke(path, strength, width, rng)


def _stroke(path: np.ndarray, strength: float, width: float, rng: np.random.Generator) -> Curve:
    """A line that tapers and is of uneven strength along points (k, 2), ``STEP_M`` apart."""
    t = np.linspace(0, 1, len(path))
    knots = np.linspace(0, 1, max(3, int(len(path) * STEP_M / 0.007)))
    uneven = np.interp(t, knots, rng.uniform(0.75, 1.1, len(knots)))
    taper = np.clip(t / 0.1 + 0.3, 0, 1) * np.clip((1 - t) / 0.3, 0, 1) ** 0.7
    thick = np.interp(t, knots, rng.uniform(0.75, 1.2, len(knots))) * (0.6 + 0.4 * taper)
    return Curve(path, strength * uneven * taper, width * thick)


def _branches(curve: Curve, rng: np.random.Generator) -> list[Curve]:
    """Short lines that leave a long one at a sharp angle."""
    out = []
    for _ in range(int(rng.poisson(4))):
        k = int(rng.integers(5, len(curve.path) - 5))
        ahead = curve.path[k + 4] - curve.path[k - 4]
        ahead = ahead / np.linalg.norm(ahead) * rng.choice([-1, 1], p=[0.2, 0.8])
        turn = np.radians(rng.uniform(14, 40)) * rng.choice([-1, 1])
        out.append(_short(curve.path[k], ahead, turn, rng.uniform(0.005, 0.016),
                          curve.strength[k] * rng.uniform(0.25, 0.6), rng))  # fmt: skip
    return out


def _short(
    start: np.ndarray,
    ahead: np.ndarray,
    turn: float,
    length: float,
    strength: float,
    rng: np.random.Generator,
) -> Curve:
    """A slightly bent line of a length in metres from ``start``, turned off a unit direction."""
    way = np.arctan2(ahead[1], ahead[0]) + turn
    angle = way + rng.normal() * 0.25 * np.linspace(0, 1, max(4, int(length / STEP_M)))
    path = start + STEP_M * np.cumsum(np.stack([np.cos(angle), np.sin(angle)], axis=1), axis=0)
    return _stroke(path, strength, rng.uniform(3.2e-4, 4.8e-4), rng)


def _fine_lines(rng: np.random.Generator) -> list[Curve]:
    """The net between a palm's main lines: along the hand in its middle, across on its balls."""
    out = []
    for _ in range(int(rng.integers(80, 160))):
        u, v = rng.uniform(-0.03, 1.1), rng.uniform(-1.4, 1.4)
        ball = v > 0.35 and u < 0.6
        way = 0.9 if ball else 0.35 * np.sign(v) if abs(v) > 0.5 else 0.0
        turn = way + rng.normal() * 0.3 + (rng.random() < 0.3) * rng.choice([-1.1, 1.1])
        length, strength = rng.lognormal(np.log(0.010), 0.4), rng.beta(1.3, 3.0)
        start = np.array([u, v]) * PALM_METRIC
        out.append(_short(start, np.array([1.0, 0.0]), turn, length, strength, rng))
    return out


def _striations(places: SkinPlaces, seed: int) -> np.ndarray:
    """(n,) depth of the faint lines along the fingers' pads and across their segments."""
    depth = np.zeros(len(places.position))
    for f in range(5):
        along, _, palmar = _finger_frame(places, f)
        own = np.flatnonzero(palmar > 0.05)
        at = np.stack([places.lateral[own, f], along[own], np.full(len(own), 0.1 * f)], axis=1)
        lines = [
            np.clip(1 - 5 * np.abs(noise(at * stretch, 420, seed + 35 + k, 1)), 0, 1)
            for k, stretch in enumerate(([1.0, 0.22, 1.0], [0.2, 1.0, 1.0]))
        ]
        where = np.clip(noise(at, 90, seed + 37, 1) + 0.35, 0, 1)
        depth[own] = np.maximum(depth[own], 0.4 * palmar[own] * where * np.maximum(*lines))
    return depth


def skin_lines(places: SkinPlaces, seed: int) -> np.ndarray:
    """(n,) depth, 0 to 1, of the back's fine net, whose cells are 2 mm and longer across."""
    back = 1 - palmar_share(places)
    own = np.flatnonzero(back > 0.01)
    along, up, across = places.position[own].T
    warp = 0.002 * noise(places.position[own], 60, seed + 50, 1)
    depth = np.zeros(len(back))
    for k, tilt in enumerate((0.6, -0.6)):
        c, s = np.cos(tilt), np.sin(tilt)
        at = np.stack([c * along - s * across + warp, 0.3 * (s * along + c * across), 0.4 * up], 1)
        line = np.clip(1 - 4 * np.abs(noise(at, 330, seed + 51 + k, 1)), 0, 1)
        depth[own] = np.maximum(depth[own], line)
    return depth * back


def veins(places: SkinPlaces, seed: int) -> np.ndarray:
    """(n,) 0 to 1 on the veins of the back of the hand."""
    rng = np.random.default_rng([seed, 40])
    u, v = places.palm.T
    warp = np.stack(
        [noise(places.position, 30, seed + 40, 2), noise(places.position, 30, seed + 41, 2)], 1
    )
    plane = np.stack([u, v], 1) * PALM_METRIC + warp * 0.004
    back = np.clip((places.back - 0.25) * 2.0, 0, 1) * (places.finger_weight.sum(1) < 0.6)
    own = np.flatnonzero(back > 0)
    trunks = []
    for start in (-0.78, -0.12, 0.45, 0.95):
        end = 0.55 * start + rng.normal() * 0.3
        middle = start + rng.normal(size=3) * 0.16
        points = [
            [0.93, start],
            [0.66, middle[0]],
            [0.36, 0.8 * middle[1]],
            [0.0, end],
            [-0.9, end],
        ]
        trunks.append(smooth_curve(np.array(points)) * PALM_METRIC)
    joints = [np.array([trunks[i][14 + 6 * i], trunks[i + 1][6 + 9 * i]]) for i in range(3)]
    out = np.zeros(len(u))
    for path, width in [(t, rng.uniform(0.0011, 0.0019)) for t in trunks] + [
        (j, 0.0010) for j in joints
    ]:
        line = np.exp(-((polyline_distance(plane[own], path, 0.006) / width) ** 2))
        out[own] = np.maximum(out[own], line * rng.uniform(0.5, 1.0))
    fade = np.clip(0.75 + 0.8 * noise(places.position, 25, seed + 42, 1), 0, 1)
    return out * back * fade


def tendons(places: SkinPlaces, width: float = 0.075, seed: int | None = None) -> np.ndarray:
    """(n,) 0 to 1 on the tendons that run to the knuckles.

    Args:
        places: on the skin.
        width: in palm coordinates.
        seed: of one person's, which differ in course, width and strength, and fade in and out;
            None: all alike.
    """
    u, v = places.palm.T
    rng = np.random.default_rng([seed or 0, 60])
    out = np.zeros(len(u))
    for k, end in enumerate((0.85, 0.25, -0.32, -0.85)):
        line, own, strength = 0.30 * end * (1 - u) + end * u, width, np.ones(len(u))
        if seed is not None:
            bent = noise(places.position, 35, seed + 60 + k, 1)
            line = line + 0.1 * rng.normal() * (1 - u) + 0.12 * bent * u * (1 - u)
            own = width * rng.uniform(0.7, 1.5)
            fade = 0.5 + 1.2 * noise(places.position, 22, seed + 70 + k, 1)
            strength = rng.uniform(0.1, 1.0) * np.clip(fade, 0, 1)
        out = np.maximum(out, strength * np.exp(-(((v - line) / own) ** 2)))
    back = np.clip((places.back - 0.3) * 2, 0, 1) * (places.finger_weight.sum(1) < 0.5)
    return out * back * np.clip((u - 0.1) / 0.3, 0, 1) * np.clip((0.98 - u) / 0.15, 0, 1)


def smooth_curve(points: np.ndarray, count: int = 40) -> np.ndarray:
    """(count, 2) cubic curve through (k, 2) points."""
    from scipy.interpolate import CubicSpline

    knots = np.linspace(0, 1, len(points))
    return CubicSpline(knots, points)(np.linspace(0, 1, count))


def polyline_distance(points: np.ndarray, path: np.ndarray, cutoff: float) -> np.ndarray:
    """(n,) distance of points (n, 2) from a polyline (k, 2); infinite beyond ``cutoff``."""
    from scipy.spatial import cKDTree

    steps = np.linspace(0, len(path) - 1, 12 * len(path))
    dense = np.stack([np.interp(steps, np.arange(len(path)), path[:, k]) for k in range(2)], 1)
    out = np.full(len(points), np.inf)
    low, high = dense.min(0) - cutoff, dense.max(0) + cutoff
    near = np.flatnonzero(((points > low) & (points < high)).all(1))
    out[near] = cKDTree(dense).query(points[near], distance_upper_bound=cutoff)[0]
    return out


def _drawn(points: np.ndarray, curves: list[Curve], cutoff: float = 0.0035) -> np.ndarray:
    """(n,) depth of curves at points (n, 2) in metres; each point knows the nearest alone."""
    from scipy.spatial import cKDTree

    out = np.zeros(len(points))
    if not curves:
        return out
    path, strength, width = (
        np.concatenate([getattr(c, name) for c in curves]) for name in ("path", "strength", "width")
    )
    near = np.flatnonzero(
        ((points > path.min(0) - cutoff) & (points < path.max(0) + cutoff)).all(1)
    )
    gap, which = cKDTree(path).query(points[near], distance_upper_bound=cutoff)
    there = np.isfinite(gap)
    near, gap, which = near[there], gap[there], which[there]
    out[near] = strength[which] * _profile(gap, width[which])
    return out


def _profile(gap: np.ndarray, width: np.ndarray | float) -> np.ndarray:
    """(n,) depth across a line, 1 in its middle: a narrow bottom with soft sides."""
    narrow = np.exp(-((gap / width) ** 2))
    result: np.ndarray = (1 - SKIRT) * narrow + SKIRT * np.exp(
        -((gap / (SKIRT_WIDTH * width)) ** 2)
    )
    return result


def _finger_frame(places: SkinPlaces, f: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance along finger ``f`` and the masks (dorsal, palmar) of its points."""
    own = np.clip(places.finger_weight[:, f] * 1.5, 0, 1)
    angle = places.dorsal[:, f]
    return (
        places.along[:, f],
        own * np.clip(angle * 1.5, 0, 1),
        own * np.clip(-angle * 1.4 + 0.15, 0, 1),
    )

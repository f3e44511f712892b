"""The photo's light: spherical harmonics times openness, separated from albedo.

One photo cannot tell a bright hand in dim light from the reverse, nor a tinted light from
tinted skin, so two priors decide: skin's luminance and chromaticity vary around those of
``SKIN_LINEAR`` about as much as light does. The shape of the light (bands 1 and up) comes from
the photo: how the colour, divided by the skin template's, changes with the normal.
"""

from __future__ import annotations

import numpy as np

from ..avatar.lighting import shade
from ..geometry.colour import srgb_to_linear
from ..geometry.sh import C0, bands, sh_basis
from .observe import sphere_directions

SKIN_LINEAR = np.array([0.44, 0.265, 0.20])
"""Mean linear skin albedo around which the priors are centred."""
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
CLOSED = 0.35
"""Shading that a fully obstructed point still gets, from interreflection."""


def visibility(openness: np.ndarray) -> np.ndarray:
    """The factor by which obstruction dims a point, (N,)."""
    return CLOSED + (1 - CLOSED) * openness


def estimate_light(
    linear: np.ndarray,
    template: np.ndarray,
    normals: np.ndarray,
    openness: np.ndarray,
    evidence: np.ndarray,
    count: int = 9,
) -> np.ndarray:
    """Shading SH (count, 3) of the photo's light.

    Args:
        linear: (N, 3) observed linear colour.
        template: (N, 3) log albedo of the skin template relative to its median.
        normals: (N, 3) unit normals, camera axes.
        openness: (N,) from :class:`Observation`.
        evidence: (N,) weights.
        count: 1, 4 or 9 coefficients.

    Returns:
        The light; ambient of the photo's exposure where nothing was seen.
    """
    light = np.zeros((count, 3))
    seen = evidence > 0.05
    if seen.sum() < 50:
        light[0] = 1 / C0
        return light
    weight = evidence[seen]
    color = np.maximum(linear[seen], 1e-4)
    mean = np.exp(np.average(np.log(color), axis=0, weights=weight))
    shape = _intensity(
        (color @ LUMINANCE) / np.exp(template[seen] @ LUMINANCE),
        normals[seen],
        visibility(openness[seen]),
        weight,
        count,
    )
    # half of the deviation from mean skin is put down to the light, half to the skin
    tone = np.exp(0.5 * (np.log(mean) - np.log(SKIN_LINEAR)))
    return shape[:, None] * tone


def _intensity(
    target: np.ndarray, normals: np.ndarray, visible: np.ndarray, weight: np.ndarray, count: int
) -> np.ndarray:
    """Monochrome SH (count,) with weighted mean shading 1, by robust ridge regression."""
    target = target / np.average(target, weights=weight)
    basis = sh_basis(normals, count) * visible[:, None]
    band = bands(count)
    # relative to one fully weighted sample each: bands above 0 must earn their keep
    ridge = np.where(band == 0, 1e-6, np.where(band == 1, 0.02, 0.08)) * weight.sum()
    robust = np.ones(len(target))
    for _ in range(5):
        w = weight * robust
        matrix = (basis * w[:, None]).T @ basis + np.diag(ridge)
        solution = np.linalg.solve(matrix, (basis * w[:, None]).T @ target)
        residual = target - basis @ solution
        scale = 1.4826 * np.median(np.abs(residual)) + 1e-6
        robust = 1 / np.maximum(1, np.abs(residual) / (2 * scale))
    shading = np.maximum(basis @ solution, 0.05)
    return solution / np.average(shading, weights=weight)


HELD_LIGHT = 0.02
"""Weight of the light so far against samples that are all fully seen, growing with the band."""

ODD_LIGHT = 0.35
"""Log difference from which a sample counts less: it may show no skin, or a shadow."""


def light_of_albedo(
    linear: np.ndarray,
    albedo: np.ndarray,
    normals: np.ndarray,
    weight: np.ndarray,
    light: np.ndarray,
) -> np.ndarray:
    """The light (K, 3) in which skin of a known albedo looks as it was photographed.

    Each channel by itself, since a window and a lamp differ in colour; drawn skin is shaded by its
    normals alone, and so is this. What no sample tells stays as it was.

    Args:
        linear: (N, 3) observed linear colour.
        albedo: (N, 3) linear.
        normals: (N, 3) unit normals.
        weight: (N,) how well each is seen.
        light: (K, 3) the light so far.
    """
    seen = weight > 0.05
    if seen.sum() < 50:
        return light
    basis, kept = sh_basis(normals[seen], len(light)), weight[seen]
    ridge = HELD_LIGHT * kept.sum() * (1.0 + bands(len(light)))
    result = light.copy()
    for channel in range(3):
        skin = np.maximum(albedo[seen, channel], 1e-3)
        rows = basis * skin[:, None]
        target, scale = linear[seen, channel], float(np.average(skin, weights=kept))
        held = ridge * scale**2
        solution = result[:, channel]
        for _ in range(4):
            off = np.abs(np.log(np.maximum(target, 1e-4) / np.maximum(rows @ solution, 1e-4)))
            robust = kept / np.maximum(1.0, off / ODD_LIGHT)
            matrix = (rows * robust[:, None]).T @ rows + np.diag(held)
            right = (rows * robust[:, None]).T @ target + held * light[:, channel]
            solution = np.linalg.solve(matrix, right)
        result[:, channel] = solution
    return result


def soften_unseen(
    light: np.ndarray, normals: np.ndarray, weight: np.ndarray, known: bool = False
) -> np.ndarray:
    """The light (K, 3) without the extremes that it has only where no normal was seen.

    Spherical harmonics fitted to half a sphere say anything of the other half; unseen sides would
    show it as dark or coloured blotches. There shading is compressed toward the mean, and the
    light is fitted again to both.

    Args:
        light: (K, 3) shading SH.
        normals: (N, 3) unit normals that the light was estimated from.
        weight: (N,) their evidence.
        known: the light was known before all of it was refitted; only extremes are taken from it.
    """
    directions = sphere_directions(160)
    some = np.flatnonzero(weight > 0.05)
    if not len(some):
        return light
    some = some[:: -(-len(some) // 4000)]
    near = np.exp(NEAR_SHARPNESS * (directions @ normals[some].T - 1)) @ weight[some]
    seen = np.clip(near / (SEEN_SHARE * near.max()), 0, 1)[:, None]
    mean = np.maximum(light[0] * C0, 1e-4)
    sharp = shade(light, directions)
    ratio = sharp / mean
    even = mean * (np.clip(ratio, *EXTREME) if known else np.clip(ratio, 0.6, 1.3) ** 0.5)
    target = seen * sharp + (1 - seen) * even
    basis = sh_basis(directions, len(light))
    share = 0.15 + seen
    softened: np.ndarray = np.linalg.solve((basis * share).T @ basis, (basis * share).T @ target)
    return softened


EXTREME = (0.5, 1.5)
"""Shading over the mean that a known light may have where no normal was seen."""

NEAR_SHARPNESS = 12.0
"""Concentration of the lobe in which a seen normal vouches for its neighbours: about 25 degrees."""

SEEN_SHARE = 0.15
"""Directions with this share of the best seen one's evidence count as seen."""


DIM, BLOWN, BLOWN_SHARE = 0.035, 0.97, 0.35
"""Median linear luminance of a hand below which its colour is a guess; middle sRGB channel from
which a pixel is overexposed, and the share of such pixels from which the hand is."""


def exposure_doubts(pixels: np.ndarray, mask: np.ndarray) -> list[str]:
    """A sentence where a photo is too dark or too light to tell the skin's colour, or none.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        mask: (H, W) in [0, 1], the hands.
    """
    hand = pixels[mask > 0.5] / 255.0
    if not len(hand):
        return []
    if float(np.median(srgb_to_linear(hand) @ LUMINANCE)) < DIM:
        return [
            "the hand is in the dark in the photo, so its skin comes out dark: take a photo with "
            "light on the hand, or give it a tone with 'hand-toolkit edit --tone'"
        ]
    blown = float((np.median(hand, axis=1) > BLOWN).mean())
    if blown > BLOWN_SHARE:
        return [
            f"{100 * blown:.0f} % of the hand are overexposed in the photo, so the colour of its "
            "skin is a guess: take a photo in softer light"
        ]
    return []

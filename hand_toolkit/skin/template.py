"""A population template of skin albedo over the hand, and completion of unseen skin.

What the photo does not show is taken from the template, shifted to the person's own tone:
in log albedo, the difference between person and template is observed on visible skin and
continued over the surface as the smoothest function that agrees with it (the membrane of
Perez et al. 2003, on the mesh). Nails, creases and knuckles come from the template, tone and
its slow changes from the person.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

TEMPLATE_FILE = Path(__file__).with_name("skin_template.npz")
SIZE = 384
RANGE = 1.6
DETAIL_SIZE = 640
DETAIL_RANGE = 0.8
LIGHT_SKIN, DARK_SKIN = 0.42, 0.10
"""Linear luminance of albedo at which the light and the dark template apply alone."""


@lru_cache(maxsize=1)
def _maps() -> tuple[np.ndarray, np.ndarray]:
    with np.load(TEMPLATE_FILE, allow_pickle=False) as data:
        light, dark = ((data[k].astype(np.float64) / 127.5 - 1) * RANGE for k in ("light", "dark"))
    return light, dark


@lru_cache(maxsize=1)
def _detail() -> np.ndarray:
    with np.load(TEMPLATE_FILE, allow_pickle=False) as data:
        return (data["detail"].astype(np.float64) / 127.5 - 1) * DETAIL_RANGE


def _sampled(picture: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Bilinear values (N, C) of a square picture at uv (N, 2), origin lower left."""
    from scipy.ndimage import map_coordinates

    size = len(picture)
    at = [(1 - uv[:, 1]) * size - 0.5, uv[:, 0] * size - 0.5]
    channels = [
        map_coordinates(picture[..., c], at, order=1, mode="nearest")
        for c in range(picture.shape[2])
    ]
    return np.stack(channels, axis=1)


def detail_log_albedo(uv: np.ndarray) -> np.ndarray:
    """Nails, folds and creases of a typical hand, log albedo relative to the skin around.

    Args:
        uv: (N, 2) on the default hand's layout.

    Returns:
        (N, 3).
    """
    return _sampled(_detail(), uv)


def template_log_albedo(uv: np.ndarray, luminance: float) -> np.ndarray:
    """Log linear albedo relative to the hand's median, of skin of a given luminance.

    Args:
        uv: (N, 2) on the default hand's layout.
        luminance: linear luminance of the person's albedo, in [0, 1].

    Returns:
        (N, 3).
    """
    span = np.log(LIGHT_SKIN) - np.log(DARK_SKIN)
    darkness = (np.log(LIGHT_SKIN) - np.log(max(luminance, 1e-4))) / span
    darkness = float(np.clip(darkness, 0, 1))
    light, dark = _maps()
    blend = light * (1 - darkness) + dark * darkness
    return _sampled(blend, uv)


RESIDUAL = 0.25
"""Log colour off the template from which a place counts less: it may show a shadow or a nail."""

PLACES, UNSURE = 30.0, 0.3
"""Places of a hand that differ independently from the template, and standard deviation of people's
darkness, light 0 and dark 1, from what the luminance of one photo says of it."""


LIGHTER = 0.1
"""Darkness by which skin may be darker than its luminance says."""


def pigment_luminance(
    log_albedo: np.ndarray, belief: np.ndarray, uv: np.ndarray, luminance: float
) -> float:
    """The luminance that suits how much seen skin differs from place to place.

    How light skin is in one photo depends on its light; how much darker the sides of fingers and
    the wrist are than the palm does not: it tells dark skin from light skin in little light.

    Args:
        log_albedo: (N, 3), to any factor.
        belief: (N,) 0 to 1.
        uv: (N, 2) on the default hand's layout.
        luminance: linear luminance of the skin as it was estimated, which decides where seen skin
            is alike all over.

    Returns:
        Linear luminance between ``DARK_SKIN`` and ``LIGHT_SKIN``, for
        :func:`template_log_albedo`.
    """
    span = np.log(LIGHT_SKIN) - np.log(DARK_SKIN)
    first = float(np.clip((np.log(LIGHT_SKIN) - np.log(max(luminance, 1e-4))) / span, 0, 1))
    light = template_log_albedo(uv, LIGHT_SKIN)
    slope, target = template_log_albedo(uv, DARK_SKIN) - light, log_albedo - light
    darkness, robust = first, np.ones(len(belief))
    for _ in range(6):
        weight = belief**2 * robust
        weight = weight[:, None] / max(float(weight.sum()), 1e-9)
        apart, off = slope - (weight * slope).sum(0), target - (weight * target).sum(0)
        spread, left = (weight * apart**2).sum(), off - darkness * apart
        variance = max(float((weight * left**2).sum()) / 3, 1e-4)
        told, guess = PLACES * spread / variance, UNSURE**-2
        fitted = (weight * apart * off).sum() / max(spread, 1e-9)
        darkness = float(np.clip((told * fitted + guess * first) / (told + guess), 0, 1))
        robust = 1 / np.maximum(1, np.abs(left).max(axis=1) / RESIDUAL)
    # a photo makes light skin dark, hardly dark skin light
    darkness = min(darkness, first + LIGHTER)
    return float(np.exp(np.log(LIGHT_SKIN) - darkness * span))


def complete_log_albedo(
    observed: np.ndarray,
    evidence: np.ndarray,
    template: np.ndarray,
    corners: np.ndarray,
    barycentric: np.ndarray,
    faces: np.ndarray,
    smoothness: float = 4.0,
) -> np.ndarray:
    """Log albedo of every splat: the template plus the person's smooth difference from it.

    Args:
        observed: (N, 3) log albedo; only used where ``evidence`` is positive.
        evidence: (N,) weight of each observation, 0 to 1.
        template: (N, 3) log albedo of the template at the splats.
        corners: (N, 3) vertices of each splat's triangle.
        barycentric: (N, 3).
        faces: (F, 3) of the mesh.
        smoothness: weight of the membrane against one fully observed splat.

    Returns:
        (N, 3). A hand without any evidence gets the template as it is.
    """
    import scipy.sparse as sparse
    from scipy.sparse.linalg import splu

    seen = evidence > 0.02
    if not seen.any():
        return template
    difference = observed[seen] - template[seen]
    middle = np.median(difference, axis=0)
    # rings, paint and misjudged background must not tint the rest of the hand
    odd = np.linalg.norm(difference - middle, axis=1) / 0.4
    evidence = evidence[seen] / (1 + odd**4)
    vertices = int(faces.max()) + 1
    rows = np.repeat(np.arange(int(seen.sum())), 3)
    sample = sparse.csr_matrix(
        (barycentric[seen].ravel(), (rows, corners[seen].ravel())), (int(seen.sum()), vertices)
    )
    weight = sparse.diags(evidence**2)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    ones = np.ones(len(edges))
    adjacency = sparse.csr_matrix((ones, (edges[:, 0], edges[:, 1])), (vertices, vertices))
    adjacency = adjacency.maximum(adjacency.T)
    degree = np.asarray(adjacency.sum(1)).ravel()
    laplacian = sparse.diags(degree) - adjacency
    anchor = 1e-4 * sparse.identity(vertices)
    matrix = sample.T @ weight @ sample + smoothness * laplacian + anchor
    right = sample.T @ (weight @ (difference - middle))
    field = splu(matrix.tocsc()).solve(right) + middle
    return template + np.einsum("nk,nkc->nc", barycentric, field[corners])

"""What a photo's light leaves on skin: shade with the photo's edges, and the light's colours."""

from __future__ import annotations

import numpy as np

from .observe import smoothstep
from .own_detail import TEXEL_M
from .uv_layout import UVLayout

EDGE_M, EVEN = 0.0035, 0.015
"""Standard deviation of the windows in which shade follows the photo, metres, and the variance of
log luminance below which it does not."""

BROAD_M = 0.008
"""Standard deviation of the blur, metres, beyond which one hand's skin differs little in hue."""

CAST, CAST_HUE = 0.25, 0.15
"""Log luminance, and hue beside it, of light that is left after the network's shade; more is taken
for the skin's own: paint, ink and pale patches."""

ODD = (0.3, 0.6)
"""Log luminance off hidden skin from which a place is such."""

TAKEN, TAKEN_HUE = 0.5, 0.8
"""Part of each that is taken off."""


def _mean(values: np.ndarray, weight: np.ndarray, layout: UVLayout, metres: float) -> np.ndarray:
    """(N, C) means of values (N, C) around every texel, weighted by (N,)."""
    from scipy.ndimage import gaussian_filter

    sigma = metres / TEXEL_M * layout.size / 512
    columns = np.concatenate([values * weight[:, None], weight[:, None]], axis=1)
    wide = gaussian_filter(layout.image(columns), (sigma, sigma, 0))
    flat = wide.reshape(-1, columns.shape[1])[layout.index]
    result: np.ndarray = flat[:, :-1] / np.maximum(flat[:, -1:], 1e-4)
    return result


def with_edges(
    shade: np.ndarray, observed: np.ndarray, seen: np.ndarray, layout: UVLayout
) -> np.ndarray:
    """(N, 3) shade whose edges lie where the photo has them.

    The network says shade on a coarse grid: beside a cast shadow's sharp edge it takes off too
    little on one side and too much on the other, which leaves a dark line and a pale one. Shade
    becomes a local linear function of the photo (the guided filter of He et al. 2013).

    Args:
        shade: (N, 3) log shade of the network.
        observed: (N, 3) log albedo with the shade still in it.
        seen: (N,) 0 to 1.
        layout: of all of them.
    """
    guide, grey = observed.mean(axis=1), shade.mean(axis=1)
    pair = np.stack([guide, grey, guide * grey, guide * guide], axis=1)
    g, s, gs, gg = _mean(pair, seen, layout, EDGE_M).T
    slope = np.clip((gs - g * s) / (gg - g * g + EVEN), 0, 1)
    slope, offset = _mean(np.stack([slope, s - slope * g], axis=1), seen, layout, EDGE_M).T
    there = smoothstep(seen, 0.0, 0.3)
    sharp: np.ndarray = shade + (there * (slope * guide + offset - grey))[:, None]
    return sharp


def left_light(over: np.ndarray, belief: np.ndarray, layout: UVLayout) -> np.ndarray:
    """(N, 3) log shade of light that is still in believed skin.

    A lamp and what it reaches by way of other skin differ in colour, and cast shadows are taken off
    by halves; people's skin is much alike on one side of a hand, what is finer than a centimetre
    apart.

    Args:
        over: (N, 3) log albedo that was observed, without shade, over that of hidden skin.
        belief: (N,) 0 to 1.
        layout: of both.
    """
    grey = over.mean(axis=1, keepdims=True)
    weight = belief * (1 - smoothstep(np.abs(grey[:, 0]), *ODD))
    if weight.sum() < 1:
        return np.zeros(over.shape)
    over = over - np.average(over, axis=0, weights=weight)
    broad = _mean(over, weight, layout, BROAD_M)
    grey = broad.mean(axis=1, keepdims=True)
    light = TAKEN * np.clip(grey, -CAST, CAST)
    light = light + TAKEN_HUE * np.clip(broad - grey, -CAST_HUE, CAST_HUE)
    sure = _mean(weight[:, None], np.ones(len(weight)), layout, BROAD_M)
    return with_edges(light * smoothstep(sure, 0.05, 0.3), over, weight, layout)

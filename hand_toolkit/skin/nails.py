"""Lacquer: what of it a photo shows, and what is a shadow."""

from __future__ import annotations

import numpy as np

from .observe import smoothstep
from .uv_layout import UVLayout
from .uv_observation import CHANNELS, UVObservation

BARE, BARE_HUE = (-0.15, 0.35), 0.12
"""Log luminance of nails over the bank's, and hue beside it, that people's bare nails have."""

AROUND = 0.012
"""How far around a nail skin is compared with it, as part of the layout's side."""

NAIL_TEXELS = 1.5e-4
"""Part of the layout's square that must surely show nail, and as much skin around it."""


LIT = (-0.6, -0.25)
"""Log red over the tone from which a red nail may be painted: below it is in a shadow."""


def unseen_paint(
    nail_color: np.ndarray,
    seen: UVObservation,
    photo: np.ndarray,
    belief: np.ndarray,
    nails: np.ndarray,
    bank: np.ndarray,
    layout: UVLayout,
) -> np.ndarray:
    """(3,) what is paint in the network's colour of nails, and no photo shows.

    Lacquer ends at the nail; a shadow, or a finger that the pose puts elsewhere, does not. So only
    as much of it is kept as the nails that are seen differ from the skin around them.

    Args:
        nail_color: (3,) the network's, over the bank's.
        seen: the photo; photo: (N, 3) its log albedo without shade, over the tone.
        belief: (N, 1); nails: (N,) 1 on nails; bank: (N, 3) mean skin.
        layout: of all of them.
    """
    from scipy.ndimage import maximum_filter

    paint = nail_color - _bare(nail_color)
    if np.abs(paint).max() < 1e-3:
        return paint
    side = 2 * round(AROUND * layout.size) + 1
    wide = maximum_filter(layout.image(nails[:, None])[..., 0], side).ravel()[layout.index]
    rim = seen.inputs[:, [CHANNELS.index("rim"), CHANNELS.index("beside")]].max(axis=1)
    sure = seen.seen * seen.inputs[:, CHANNELS.index("mask")] * (1 - rim) ** 2 * belief[:, 0]
    if paint.argmax() == 0:  # the gap between fingers is red, too, but dark in red itself
        sure = sure * smoothstep(photo[:, 0], *LIT)
    on, around = sure * (nails > 0.7), sure * (wide > 0.5) * (nails < 0.05)
    if min(on.sum(), around.sum()) < NAIL_TEXELS * layout.size**2:
        return paint
    over = photo - bank
    shown = np.average(over, axis=0, weights=on) - np.average(over, axis=0, weights=around)
    there = float((shown - _bare(shown)) @ paint / (paint @ paint))
    return paint * (1 - np.clip(there, 0, 1))


PAINTED, ALIKE = 0.7, 0.45
"""Hue of a fingertip, log over its mean, from which it is paint, and how far tips of one lacquer
differ in it. Skin in a warm shadow is as red as red lacquer, which is left to the network."""

PALER = 1.0
"""Log colour over the tone from which it is a window behind a dark hand."""

ELSEWHERE = 0.3
"""Strong hue beside the fingertips, as part of that on them, from which it is a wall's: a mask that
spills over a wall does so along the whole hand. Measured: .03 with lacquer, 4 with a wall."""

LIKE = (0.6, 1.4)
"""Log colour between which a texel of a nail ceases to be of the lacquer."""


def seen_lacquer(
    seen: UVObservation, nails: np.ndarray, layout: UVLayout
) -> tuple[np.ndarray, np.ndarray] | None:
    """Lacquer that two fingertips or more show, and many of those seen; None without.

    In small photos every texel of a nail is near the outline, where the network expects a wall, and
    a pose may be a nail's length off. But walls, shadows and neighbours do not show one strong hue
    within the mask on several fingertips and nowhere else.

    Args:
        seen: the photo.
        nails: (N,) 1 on nails.
        layout: of both.

    Returns:
        (3,) its log albedo over the tone, and (N,) 1 where the photo shows it or may.
    """
    from scipy.ndimage import label, maximum_filter

    wide = maximum_filter(layout.image(nails[:, None])[..., 0], 4 * round(AROUND * layout.size) + 1)
    owner = label(wide > 0.5)[0].ravel()[layout.index]
    color = seen.log_albedo - seen.tone
    hue = color - color.mean(axis=1, keepdims=True)
    shown = (seen.seen > 0.3) & (seen.inputs[:, CHANNELS.index("mask")] > 0.8)
    strong = shown & (np.abs(hue).max(axis=1) > PAINTED) & (hue.argmax(axis=1) != 0)
    strong &= color.mean(axis=1) < PALER
    if (strong & (owner == 0)).sum() > ELSEWHERE * (strong & (owner > 0)).sum():
        return None
    least = NAIL_TEXELS * layout.size**2
    tips = [k for k in range(1, owner.max() + 1) if (shown & (owner == k)).sum() > least]
    painted = [k for k in tips if (strong & (owner == k)).sum() > least]
    if len(painted) < 2 or len(painted) < 0.4 * len(tips):
        return None
    hues = np.array([np.median(hue[strong & (owner == k)], axis=0) for k in painted])
    if np.abs(hues - np.median(hues, axis=0)).max() > ALIKE:
        return None
    found: np.ndarray = np.median(color[strong & np.isin(owner, painted)], axis=0)
    like = 1 - smoothstep(np.abs(color - found).max(axis=1), *LIKE)
    return found, like * (owner > 0)


def _bare(color: np.ndarray) -> np.ndarray:
    """The nearest colour (3,) of bare nails, over the bank's."""
    grey = color.mean()
    bare: np.ndarray = np.clip(grey, *BARE) + np.clip(color - grey, -BARE_HUE, BARE_HUE)
    return bare

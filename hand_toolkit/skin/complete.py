"""One photo's hand to clean skin all over: the network's answer, composed and welded in UV."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from .completion_weights import Completion
from .grid import GRID, shrink, spread
from .light import LUMINANCE
from .observe import smoothstep
from .template import template_log_albedo
from .uv_layout import UVLayout, weld
from .uv_observation import CHANNELS, UVObservation

COMPOSE_SIZE = 512
"""Texels of the layout's side at which skin is composed."""

LEAST_BELIEF = 0.05
"""Part of the network's belief that stays when the photo is not trusted at all."""


@dataclass(frozen=True)
class CompletedSkin:
    """What to make of a photo of one hand, at the N texels of a layout.

    Attributes:
        layout: the texels.
        hidden: (N, 3) log albedo of the skin that would be there if nothing were seen.
        belief: (N, 1) 0 to 1, how far to believe the photo.
        shade: (N, 3) log shade to take off the photo's albedo.
        step: (N, 3) what welding adds to the sum.
    """

    layout: UVLayout
    hidden: np.ndarray
    belief: np.ndarray
    shade: np.ndarray
    step: np.ndarray

    def trusted(self, trust: float) -> CompletedSkin:
        """The same with belief moved up or down.

        Args:
            trust: 0.5 is as the network says; towards 0 belief shrinks to ``LEAST_BELIEF`` of that,
                which still tells the skin's tone, towards 1 it grows to 1 wherever anything is
                seen.
        """
        if trust == 0.5:
            return self
        if trust < 0.5:
            belief = self.belief * max(2 * trust, LEAST_BELIEF)
        else:
            belief = np.where(self.belief > 0, 1 - (1 - self.belief) * 2 * (1 - trust), 0.0)
        return dataclasses.replace(self, belief=belief)

    def compose(self, observed: np.ndarray) -> np.ndarray:
        """(N, 3) log albedo, where ``observed`` (N, 3) is the photo's over the estimated light."""
        return _mixed(observed, self.hidden, self.belief, self.shade, self.step)

    def shade_at(self, uv: np.ndarray) -> np.ndarray:
        """(M, 3) log shade to take off the photo at other places (M, 2) of the layout."""
        return self.layout.look_up(self.layout.image(self.shade), uv)

    def compose_at(
        self, uv: np.ndarray, observed: np.ndarray, known: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same at other places of the layout.

        Args:
            uv: (M, 2) places.
            observed: (M, 3) log albedo that was observed there.
            known: (M,) 0 where it was not observed ... 1 where it was.

        Returns:
            (M, 3) log albedo and (M,) the belief that it rests on.
        """
        columns = np.concatenate([self.hidden, self.belief, self.shade, self.step], axis=1)
        at = self.layout.look_up(self.layout.image(columns), uv)
        belief = at[:, 3:4] * known[:, None]
        return _mixed(observed, at[:, :3], belief, at[:, 4:7], at[:, 7:]), belief[:, 0]


def _mixed(
    observed: np.ndarray,
    hidden: np.ndarray,
    belief: np.ndarray,
    shade: np.ndarray,
    step: np.ndarray,
) -> np.ndarray:
    return hidden + belief * (observed - shade - hidden) + step


LIGHTEST = 0.6
"""Luminance of albedo that invented skin hardly passes: that of the palest people's palms. An
overexposed photo's skin may be paler; then it is the limit."""


def _too_light(log_albedo: np.ndarray, tone: np.ndarray) -> np.ndarray:
    """(N, 1) log luminance of skin (N, 3) over what skin can have beside a seen tone (3,)."""
    limit = max(np.log(LIGHTEST), float(np.log(np.exp(tone) @ LUMINANCE)))
    over = np.log(np.exp(log_albedo) @ LUMINANCE) - limit
    soft: np.ndarray = SOFT * np.logaddexp(0, over / SOFT)
    return soft[:, None]


SOFT = 0.06
"""Log luminance over which the limit sets in."""


AWAY = 0.3
"""Log luminance that invented skin may lie off the template moved to believed skin's tone: a palm
in the light says little of the back, and the network sometimes takes it for a dark hand's."""


def _off_the_template(
    hidden: np.ndarray, albedo: np.ndarray, belief: np.ndarray, template: np.ndarray
) -> np.ndarray:
    """How far invented skin is paler than the template and believed skin allow.

    Args:
        hidden, albedo: (N, 3) log albedo of invented and of composed skin.
        belief: (N,) 0 to 1.
        template: (N, 3) log albedo, to any factor.

    Returns:
        (N, 1) log luminance to take off hidden skin; negative where it is too dark.
    """
    if belief.sum() < 1:
        return np.zeros((len(belief), 1))
    invented, seen = (
        np.log(np.exp(skin) @ LUMINANCE) - np.log(np.exp(template) @ LUMINANCE)
        for skin in (hidden, albedo)
    )
    apart = invented - np.average(seen, weights=belief)
    off: np.ndarray = apart - np.clip(apart, -AWAY, AWAY)
    return off[:, None]


STEP, STEP_HUE = 0.3, 0.1
"""Log luminance, and hue beside it, that welding may add: more is background on one side."""


def _of_skin(step: np.ndarray) -> np.ndarray:
    """Steps (N, 3) across a cut, no larger than skin's own may be."""
    grey = step.mean(axis=1, keepdims=True)
    limited: np.ndarray = np.clip(grey, -STEP, STEP) + np.clip(step - grey, -STEP_HUE, STEP_HUE)
    return limited


BARE, BARE_HUE = (-0.15, 0.35), 0.12
"""Log luminance of nails over the bank's, and hue beside it, that people's bare nails have."""

AROUND = 0.012
"""How far around a nail skin is compared with it, as part of the layout's side."""

NAIL_TEXELS = 1.5e-4
"""Part of the layout's square that must surely show nail, and as much skin around it."""


def _unseen_paint(
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


def _lacquer(
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


SHADE, SHADE_HUE = 0.9, 0.12
"""Log luminance, and hue beside it, that shade may take off: light between fingers is a little
redder, and no more; taking off a wall's green would leave pink skin."""


MORE = (0.05, 0.3)
"""Shade over those limits at which the photo is doubted: it shows more than skin in a shadow."""


def _of_light(shade: np.ndarray) -> np.ndarray:
    """Shade (N, 3), no larger and no more coloured than light on skin."""
    grey = shade.mean(axis=1, keepdims=True)
    limited: np.ndarray = np.clip(grey, -SHADE, SHADE) + np.clip(
        shade - grey, -SHADE_HUE, SHADE_HUE
    )
    return limited


def complete_skin(
    seen: UVObservation, layout: UVLayout, completion: Completion, without: str = ""
) -> CompletedSkin:
    """Ask the network.

    Args:
        seen: the photo at the layout's texels.
        layout: of :func:`observe_uv`; any size.
        completion: the trained network.
        without: "belief", "shade" or "mixture" leaves that head out, to measure its worth.
    """
    import torch

    from .network import SEEN, compose

    grid = torch.tensor(shrink(seen.inputs, layout, GRID)).permute(2, 0, 1)[None].float()
    maps, nail = completion.bank.at(layout)
    nail_at_grid = completion.bank.nail_at_grid()
    full = torch.tensor(spread(seen.inputs[:, : SEEN + 1], layout)).permute(2, 0, 1)[None]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a small network: more threads cost more in waiting than they save
    try:
        with torch.no_grad():
            tone = torch.tensor(seen.tone, dtype=torch.float32)[None]
            heads = completion.network(grid, tone, nail_at_grid)
            if without == "belief":
                heads.belief.fill_(9.0)
            elif without == "shade":
                heads.shade.zero_()
            elif without == "mixture":
                heads.mix.zero_()
                heads.slow.zero_()
                heads.nails.zero_()
            albedo, hidden, belief, shade = (
                t[0].flatten(1)[:, torch.tensor(layout.index)].T.double().numpy()
                for t in compose(full[:, :3], full[:, SEEN : SEEN + 1], heads, maps, nail)
            )
    finally:
        torch.set_num_threads(threads)
    asked, shade = shade, _of_light(shade)
    nails = nail[0].flatten()[torch.tensor(layout.index)].numpy()
    lacquer = _lacquer(seen, nails, layout)
    if lacquer is None:
        bank = maps[0].flatten(1)[:, torch.tensor(layout.index)].T.double().numpy()
        unshaded = seen.log_albedo - seen.tone - shade
        painted = heads.nails[0].double().numpy()
        paint = _unseen_paint(painted, seen, unshaded, belief, nails, bank, layout)
        hidden = hidden - nails[:, None] * paint
    else:
        hidden = hidden + nails[:, None] * (lacquer[0] - hidden)
    over = smoothstep(np.abs(asked - shade).max(axis=1, keepdims=True), *MORE)
    belief = belief * (1 - (1 - LEAST_BELIEF) * over)
    if lacquer is not None:
        # nails are painted where they are; what is seen of it beside them the pose has misplaced
        part = (nails * seen.seen * lacquer[1])[:, None]
        belief = part + belief * (1 - np.maximum(nails, lacquer[1]))[:, None]
        shade = shade * (1 - part)
    albedo = hidden + belief * (np.clip(seen.log_albedo - seen.tone, -4, 4) - shade - hidden)
    template = template_log_albedo(layout.uv, float(np.exp(seen.tone) @ LUMINANCE))
    away = _off_the_template(hidden, albedo, belief[:, 0], template)
    dimmer = (away + _too_light(hidden - away + seen.tone, seen.tone)) * (1 - nails[:, None])
    hidden, albedo = hidden - dimmer, albedo - (1 - belief) * dimmer
    welded = weld(albedo, belief[:, 0], layout)
    step = _of_skin(welded - albedo)
    return CompletedSkin(layout, hidden + seen.tone, belief, shade, step)

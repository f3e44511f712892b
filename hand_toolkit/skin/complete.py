"""One photo's hand to clean skin all over: the network's answer, composed and welded in UV."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from .completion_weights import Completion
from .folds import contact_shadow, continued_tone, cuff, spilt_light
from .grid import GRID, shrink, spread
from .light import LUMINANCE
from .nails import seen_lacquer, unseen_paint
from .observe import smoothstep
from .own_detail import TEXEL_M, Person, clarity, own_detail
from .shading import left_light, with_edges
from .template import pigment_luminance, template_log_albedo
from .tones import off_the_template, overexposed, too_light
from .uv_layout import UVLayout, weld
from .uv_observation import UVObservation, from_cut

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

    def moved(self, gain: np.ndarray) -> CompletedSkin:
        """The same with ``gain`` (3,) more log albedo all over; the photo keeps its colours."""
        return dataclasses.replace(self, hidden=self.hidden + gain, shade=self.shade - gain)

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


STEP, STEP_HUE = 0.3, 0.1
"""Log luminance, and hue beside it, that welding may add: more is background on one side."""


def _of_skin(step: np.ndarray) -> np.ndarray:
    """Steps (N, 3) across a cut, no larger than skin's own may be."""
    grey = step.mean(axis=1, keepdims=True)
    limited: np.ndarray = np.clip(grey, -STEP, STEP) + np.clip(step - grey, -STEP_HUE, STEP_HUE)
    return limited


FINE_M, CRISP = 0.004, 1.8
"""Invented detail finer than this is made so much stronger: the bank's maps are means of people,
whose creases and pores are not in the same places, so that they keep little more than half."""


MEAN_FINE = 0.45
"""The same where one person's own detail is drawn: folds that all hands have remain."""


def _broad(values: np.ndarray, layout: UVLayout) -> np.ndarray:
    """(N, C) values without what is finer than ``FINE_M``."""
    from scipy.ndimage import gaussian_filter

    sigma = FINE_M / TEXEL_M * layout.size / COMPOSE_SIZE
    wide = gaussian_filter(layout.image(values), (sigma, sigma, 0))
    return np.asarray(wide.reshape(-1, values.shape[1])[layout.index])


PLAIN_M = (0.004, 0.007)
"""Metres from the wrist's end up to which no detail is invented, and from which all of it is."""


def _finer(
    hidden: np.ndarray, layout: UVLayout, crisp: float = CRISP, own: np.ndarray | float = 0.0
) -> np.ndarray:
    """(N, 3) to add to invented skin (N, 3): its detail ``crisp`` times as strong, and ``own``.

    At the wrist's end there is none: pictures that the bank was learned from end where the mesh
    does, which left a line around every wrist, and drawn wrist lines would end in the cut.
    """
    detail, on_hand = hidden - _broad(hidden, layout), from_cut(layout, PLAIN_M)[:, None]
    added: np.ndarray = on_hand * (crisp * detail + own) - detail
    return added


SHADE, SHADE_HUE = 0.9, 0.12
"""Log luminance, and hue beside it, that shade may take off: light between fingers is a little
redder, and no more; taking off a wall's green would leave pink skin."""


BESIDE = (0.5, 0.9)
"""Nearness of believed skin from which the template's limits of tone come to say nothing."""


CLIPPED = 0.6
"""Part of belief that is lost where the photo is clipped: hue and detail are gone there."""

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
    seen: UVObservation,
    layout: UVLayout,
    completion: Completion,
    without: str = "",
    person: int | None = None,
    calmed: bool = False,
) -> CompletedSkin:
    """Ask the network.

    Args:
        seen: the photo at the layout's texels.
        layout: of :func:`observe_uv`; any size.
        completion: the trained network.
        without: "belief", "shade" or "mixture" leaves that head out, to measure its worth.
        person: seed of whose detail invented skin gets (:mod:`.own_detail`); None: the bank's mean.
        calmed: the photo's noise was taken off, and fine lines with it: seen skin gets them, too.
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
    over = smoothstep(np.abs(asked - shade).max(axis=1, keepdims=True), *MORE)
    shade = with_edges(shade, seen.log_albedo - seen.tone, seen.seen, layout)
    nails = nail[0].flatten()[torch.tensor(layout.index)].numpy()
    lacquer = seen_lacquer(seen, nails, layout)
    if lacquer is None:
        bank = maps[0].flatten(1)[:, torch.tensor(layout.index)].T.double().numpy()
        unshaded = seen.log_albedo - seen.tone - shade
        painted = heads.nails[0].double().numpy()
        paint = unseen_paint(painted, seen, unshaded, belief, nails, bank, layout)
        hidden = hidden - nails[:, None] * paint
    else:
        hidden = hidden + nails[:, None] * (lacquer[0] - hidden)
    belief = belief * (1 - (1 - LEAST_BELIEF) * np.maximum(over, CLIPPED * seen.clipped[:, None]))
    if lacquer is not None:
        # nails are painted where they are; what is seen of it beside them the pose has misplaced
        part = (nails * seen.seen * lacquer[1])[:, None]
        belief = part + belief * (1 - np.maximum(nails, lacquer[1]))[:, None]
        shade = shade * (1 - part)
    over = np.clip(seen.log_albedo - seen.tone, -4, 4) - shade - hidden
    # red that is at its end makes skin greenish: green and blue are not believed above it
    pale = np.maximum(over - over[:, :1], 0) * seen.full_red[:, None]
    shade, over = shade + pale, over - pale
    odd = np.maximum.reduce([contact_shadow(seen, over), spilt_light(over), cuff(over, layout)])
    belief = belief * (1 - (1 - LEAST_BELIEF) * odd[:, None])
    left = left_light(over, belief[:, 0], layout) * (1 - nails[:, None])
    shade, over = shade + left, over - left
    goes_on, near = continued_tone(over, belief[:, 0], layout)
    goes_on = goes_on * (1 - nails[:, None])
    glare = overexposed(seen.tone)
    skin_tone = seen.tone - glare
    luminance = pigment_luminance(
        hidden + belief * over, belief[:, 0], layout.uv, float(np.exp(skin_tone) @ LUMINANCE)
    )
    own = np.zeros(hidden.shape)
    if person is None:
        fine = _finer(hidden, layout)
    else:
        shown = clarity(seen, shade, belief[:, 0], layout)
        own = own_detail(Person.of(person), luminance, layout, shown)
        fine = _finer(hidden, layout, MEAN_FINE, own)
    added = goes_on + fine * (1 - nails[:, None])
    hidden, over = hidden + added, over - added
    albedo = hidden + belief * over
    template = template_log_albedo(layout.uv, luminance)
    # beside seen skin that is the better witness
    away = off_the_template(hidden, albedo, belief[:, 0], template)
    away = away * (1 - smoothstep(near, *BESIDE))
    away = (away + too_light(hidden - away + skin_tone)) * (1 - nails[:, None])
    away = _broad(away, layout)  # limits of tone are not to flatten lines
    hidden, albedo = hidden - away, albedo - (1 - belief) * away
    welded = weld(albedo, belief[:, 0], layout)
    step = _of_skin(welded - albedo)
    shade = shade - calmed * own * (1 - nails[:, None])
    return CompletedSkin(layout, hidden + skin_tone, belief, shade + glare, step)

"""Samples on the network's grid as files: what was seen, and whose skin it was.

A record keeps apart what the photo adds (light, gloss, noise, background) and the skin that was
worn, so that training can dress the same photo in any other skin
(:mod:`hand_toolkit.skin.training.dressing`).
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from ..grid import GRID, shrink
from ..uv_layout import UVLayout, uv_layout
from ..uv_observation import CHANNELS
from .photos import OBSERVED_SIZE, Sample, make_sample
from .subjects import Mixer, load_subjects

PLAIN = 0.75
"""Share of the photos whose subject wears skin without detail, to be dressed by the training."""

COLUMNS = (*CHANNELS, *(f"target_{c}" for c in "rgb"), "right", "move_u", "move_v", "shows",
           *(f"worn_{c}" for c in "rgb"))  # fmt: skip
"""Of a record's values, per covered texel of the grid. ``move`` leads to the place of the layout
whose skin is shown, ``shows`` is the part of a texel that shows skin, ``worn`` the mean log albedo
of it."""

log = logging.getLogger(__name__)


def record_of(sample: Sample) -> np.ndarray:
    """(K, len(COLUMNS)) float16 on the K covered texels of the grid."""
    layout = uv_layout("default", OBSERVED_SIZE)
    shows = (sample.shown[:, :1] < 2).astype(np.float64)
    seen = sample.observation
    means = [seen.inputs, sample.target, sample.right[:, None], shows, sample.worn * shows]
    grid = shrink(np.concatenate(means, axis=1), layout, GRID)[covered(layout)]
    count = len(CHANNELS) + 4
    worn = grid[:, count + 1 :] / np.maximum(grid[:, count : count + 1], 1e-3)
    # places do not average across the layout's islands: one texel of each four speaks
    move = np.where(shows > 0, sample.shown - layout.uv, 0.0)
    step = OBSERVED_SIZE // GRID
    some = layout.image(move)[::step, ::step][covered(layout)]
    shown = layout.image(shows)[::step, ::step, 0][covered(layout)]
    columns = [grid[:, :count], some, shown[:, None], worn]
    return np.concatenate(columns, axis=1).astype(np.float16)


def covered(layout: UVLayout) -> np.ndarray:
    """(GRID, GRID) bool: the texels that a record lists."""
    return shrink(np.ones((len(layout.index), 1)), layout, GRID)[..., 0] > 0


def write_photos(
    folder: Path, seed: int, first: int, count: int, families: tuple[str, ...] = ()
) -> None:
    """Write records ``photos/NNNNN.npz`` of a folder's training subjects, one at a time.

    Each holds ``values`` of :func:`record_of`, the ``tone``, and whether the subject is
    ``plain``; it depends on the seed and its number only.

    Args:
        folder: with ``train.npz``.
        seed, first, count: of the numbers first ... first + count - 1.
        families: of the subjects that are photographed; all of the file by default.
    """
    import cv2

    cv2.setNumThreads(1)  # generators share a machine
    mixer, out = Mixer(load_subjects(folder / "train.npz", families)), folder / "photos"
    out.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        rng = np.random.default_rng([seed, number])
        plain = bool(rng.random() < PLAIN)
        try:
            sample = make_sample(rng, *mixer.draw(rng, plain))
        except (ValueError, IndexError, np.linalg.LinAlgError) as error:
            log.warning("sample %d shows no hand: %s", number, error)
            continue
        if sample.observation.seen.mean() < 0.04 or sample.right.mean() < 0.03:
            continue
        path = out / f"{number:05d}.npz"
        np.savez(
            path.with_suffix(".tmp.npz"),
            values=record_of(sample),
            tone=sample.observation.tone.astype(np.float32),
            plain=plain,
        )
        path.with_suffix(".tmp.npz").replace(path)

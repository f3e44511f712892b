"""Who is rendered: shape, look and split of each subject, from the seed alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..hand_model import load_hand_model
from .appearance import SKINS, Appearance, sample_appearance
from .config import SynthConfig

HELD_OUT = ("young_lightskinned_female_diffuse3", "middleage_darkskinned_male_diffuse")
"""Skins that only test subjects wear, so the test also asks about unknown skins."""

SHAPE_SPREAD = 0.8
SHAPE_LIMIT = 1.8
"""Shapes are normal with this share of the model's sigmas, cut at this many sigmas."""


@dataclass(frozen=True)
class Subject:
    """One rendered person.

    Attributes:
        name: folder name, "s000" on.
        index: place in the data set's list of subjects.
        split: "train" or "test".
        look: appearance.
        shape: (S,) shape parameters of the default hand.
        unusual: has tattoos, lacquer or rings, outside the usual distribution.
        unseen_skin: wears a skin that no train subject has.
    """

    name: str
    index: int
    split: str
    look: Appearance
    shape: np.ndarray
    unusual: bool
    unseen_skin: bool

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "name": self.name,
            "split": self.split,
            "unusual": self.unusual,
            "unseen_skin": self.unseen_skin,
            "shape": [round(float(v), 6) for v in self.shape],
            "appearance": self.look.to_json(),
        }


def find_skins(folder: str | None) -> dict[str, Path]:
    """Skin pictures by file stem; empty without a folder.

    Raises:
        InputError: the folder holds no picture.
    """
    if folder is None:
        return {}
    found = {
        path.stem: path
        for path in sorted(Path(folder).iterdir())
        if path.suffix.lower() in (".png", ".jpg", ".jpeg")
    }
    if not found:
        raise InputError(f"no PNG or JPEG skins in {folder}; expected files such as {SKINS[0]}.png")
    return found


def make_subjects(config: SynthConfig, seed: int) -> list[Subject]:
    """All subjects, train first; each depends on the seed and its own number only."""
    skins = find_skins(config.skins)
    held = [name for name in HELD_OUT if name in skins] if len(skins) > len(HELD_OUT) else []
    common = [name for name in skins if name not in held]
    model = load_hand_model("default", "right")
    subjects = []
    for index in range(config.train_subjects + config.test_subjects):
        test = index >= config.train_subjects
        rank = index - config.train_subjects if test else index
        rng = np.random.default_rng([seed, 1, index])
        # A quarter of the test and a fifth of the train subjects are out of the ordinary.
        unusual = rank % 4 == 3 if test else rank % 5 == 4
        unseen = bool(test and held and rank % 2 == 0)
        skin: str | None
        if unseen:
            skin = held[(rank // 2) % len(held)]
        elif common and not (not test and rank % 8 == 5):
            skin = common[int(rng.integers(len(common)))] if test else common[rank % len(common)]
        else:
            skin = None
        look = sample_appearance(rng, skin, unusual)
        draw = np.clip(rng.normal(size=len(model.shape_names)), -SHAPE_LIMIT, SHAPE_LIMIT)
        shape = draw * model.shape_sigmas * SHAPE_SPREAD
        subjects.append(
            Subject(
                name=f"s{index:03d}",
                index=index,
                split="test" if test else "train",
                look=look,
                shape=np.round(shape, 6),
                unusual=unusual,
                unseen_skin=unseen,
            )
        )
    return subjects

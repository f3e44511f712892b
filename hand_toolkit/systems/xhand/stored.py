"""A fitted person in an avatar's extras, and read back from there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from ...avatar import Avatar
from ...core.errors import FileFormatError, InputError
from .config import XHandConfig
from .person import Person

PREFIX = "xhand."
_SWITCHES = ("level", "displacement", "weights", "pose_albedo")


def to_extras(people: Mapping[str, Person], config: XHandConfig) -> dict[str, np.ndarray]:
    """Arrays by name: every parameter in half precision, and which there are."""
    extras = {f"{PREFIX}{name}": np.array(int(getattr(config, name))) for name in _SWITCHES}
    extras[f"{PREFIX}vertex_decoder"] = np.array(int(config.decoder == "vertex"))
    for side, person in people.items():
        for name, value in person.state_dict().items():
            array = value.detach().cpu().numpy()
            kind = np.float32 if name == "shape" else np.float16
            extras[f"{PREFIX}{side}.{name}"] = array.astype(kind)
    return extras


def from_extras(avatar: Avatar) -> dict[str, Person]:
    """side -> person, of an avatar that ``xhand`` made.

    Raises:
        InputError: it made another one.
        FileFormatError: the arrays are not those of its hands.
    """
    extras = avatar.extras
    if f"{PREFIX}level" not in extras:
        raise InputError(
            "the avatar was not fitted with the method 'xhand', so it has no personal mesh; fit "
            "the pictures with --method xhand"
        )
    try:
        given = {name: int(np.asarray(extras[PREFIX + name]).item()) for name in _SWITCHES}
        decoder = "vertex" if np.asarray(extras[f"{PREFIX}vertex_decoder"]).item() else "factored"
        config = XHandConfig(
            level=given["level"],
            displacement=bool(given["displacement"]),
            weights=bool(given["weights"]),
            pose_albedo=bool(given["pose_albedo"]),
            decoder=decoder,
        )
        people = {}
        for hand in avatar.hands:
            own = f"{PREFIX}{hand.side}."
            state = {
                name.removeprefix(own): torch.from_numpy(np.asarray(value, np.float32))
                for name, value in extras.items()
                if name.startswith(own)
            }
            if not state:
                continue
            person = Person(avatar.hand_model, hand.side, hand.shape, torch.zeros(3), config)
            person.load_state_dict(state)
            people[hand.side] = person.eval().requires_grad_(False)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"the avatar's personal mesh is damaged ({str(error).splitlines()[0]}); fit it again"
        ) from error
    return people

"""A fit that was interrupted, and goes on: what each stage found, in one file.

A stage is only kept when it is whole, and what follows it is computed from it and the pictures
alone, so a fit that went on gives the bytes of one that was never interrupted.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from ...core.errors import FileFormatError, InputError
from ...core.files import atomic_write
from .config import XHandConfig
from .evidence import Shown
from .person import Person
from .place import Places

log = logging.getLogger(__name__)

KEY = "key"
MOVED = ("angles", "turns", "shifts", "light")


class Stages:
    """What the stages of one fit found.

    Attributes:
        path: of the file, or None to keep nothing.
    """

    def __init__(self, path: Path | None, key: str) -> None:
        """Read what an interrupted fit left.

        Args:
            path: of the file; need not exist.
            key: of :func:`key_of`.

        Raises:
            InputError: the file is another fit's, or cannot be written.
            FileFormatError: it is not such a file.
        """
        self.path, self._key = path, key
        self._kept: dict[str, np.ndarray] = {}
        if path is None:
            return
        if not path.exists():
            self._write()  # a place that cannot be written is said before the work, not after
            return
        try:
            with np.load(path, allow_pickle=False) as data:
                kept = {name: data[name] for name in data.files}
            found = str(kept.pop(KEY))
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise FileFormatError(
                f"'{path}' does not hold an interrupted fit; delete it or give another file"
            ) from error
        if found != key:
            raise InputError(
                f"'{path}' holds a fit of other pictures or settings; finish that one, delete the "
                "file or give another"
            )
        self._kept = kept
        if stages := sorted({name.split("/", 1)[0] for name in kept}):
            log.info("going on after: %s", ", ".join(stages))

    def get(self, stage: str) -> dict[str, np.ndarray] | None:
        """Arrays of a stage, or None where it has not been reached."""
        found = {
            name.split("/", 1)[1]: value
            for name, value in self._kept.items()
            if name.startswith(f"{stage}/")
        }
        return found or None

    def keep(self, stage: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write a stage that is whole."""
        if self.path is not None:
            self._kept |= {f"{stage}/{name}": np.asarray(value) for name, value in arrays.items()}
            self._write()

    def finish(self) -> None:
        """The fit is done: nothing is left to go on with."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _write(self) -> None:
        assert self.path is not None
        stream = io.BytesIO()
        np.savez(stream, **{KEY: np.array(self._key)}, **self._kept)  # type: ignore[arg-type]
        atomic_write(self.path, stream.getvalue())


def key_of(shown: Sequence[Shown], config: XHandConfig, refine_poses: bool) -> str:
    """Digest of everything that a fit's result depends on."""
    digest = hashlib.sha256(repr((config, refine_poses)).encode())
    for s in shown:
        digest.update(f"{s.view.name} {s.weight} {s.view.time_s}".encode())
        for array in (s.crop.pixels, s.crop.mask, s.crop.labels):
            digest.update(np.ascontiguousarray(array).tobytes())
        for hand in s.view.hands:
            digest.update(f"{hand.side} {hand.hand_model}".encode())
            for array in (hand.theta, hand.shape, hand.translation):
                digest.update(np.ascontiguousarray(array, np.float64).tobytes())
    return digest.hexdigest()


def state_of(places: Places, people: Mapping[str, Person]) -> dict[str, np.ndarray]:
    """Everything that a fit moves, as arrays by name."""
    state = {f"places.{name}": getattr(places, name).detach().numpy().copy() for name in MOVED}
    for side, person in people.items():
        for name, value in person.state_dict().items():
            state[f"{side}.{name}"] = value.detach().numpy().copy()
    return state


def restore(state: Mapping[str, np.ndarray], places: Places, people: Mapping[str, Person]) -> None:
    """Put back what :func:`state_of` gave."""
    for name in MOVED:
        getattr(places, name).data = torch.tensor(state[f"places.{name}"])
    for side, person in people.items():
        own = f"{side}."
        person.load_state_dict(
            {
                name.removeprefix(own): torch.from_numpy(value)
                for name, value in state.items()
                if name.startswith(own)
            }
        )

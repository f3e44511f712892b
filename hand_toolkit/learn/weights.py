"""Networks in files: out of a training's checkpoint, and shipped weights that are read once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from ..core.errors import PARSER_FAULTS, FileFormatError, InputError, first_line
from .checkpoint import AVERAGE, MODEL, read_tensors, write_weights
from .config import from_mapping

N = TypeVar("N", bound=Any)
VERSION = 1
PREFIX = "network."
"""How trainings name the network whose weights are shipped."""


@dataclass(frozen=True)
class NetworkFile(Generic[N]):
    """What a system's weights files hold.

    Attributes:
        what: for messages, e.g. "hand diffusion network".
        config: dataclass of the network's sizes.
        network: makes the network of such a config; it keeps it as ``config``.
        shipped: the file that comes with the toolkit.
        without: what to do where that is missing.
    """

    what: str
    config: type
    network: Callable[[Any], N]
    shipped: Path
    without: str

    def write(self, network: N, notes: Mapping[str, Any], path: Path) -> Path:
        """Write weights as fp16 safetensors, with a JSON file beside them.

        Args:
            network: the network.
            notes: step, command, scores: what a reader needs to judge the weights.
            path: the ``.safetensors`` file; the JSON gets the same name.
        """
        header = {
            "version": VERSION,
            "config": dataclasses.asdict(network.config),
            "notes": dict(notes),
        }
        return write_weights(network, header, path)

    def read(self, path: Path) -> tuple[N, dict[str, Any]]:
        """Network (float32, CPU, frozen, eval) and notes of a weights file.

        Raises:
            InputError: no such file.
            FileFormatError: it is damaged, of a newer version or of another network.
        """
        tensors, header = read_tensors(path)
        if header.get("version") != VERSION:
            raise FileFormatError(
                f"{path.name} has version {header.get('version')}; this toolkit reads {VERSION}; "
                "update one of the two"
            )
        found = {name: value.float() for name, value in tensors.items()}
        network = self._made(path, header, found)
        return network.eval().requires_grad_(False), dict(header.get("notes", {}))

    def of_checkpoint(self, path: Path) -> tuple[N, dict[str, Any]]:
        """The network of a training's checkpoint, averaged where it has an average, and its state.

        Raises:
            InputError: no such file.
            FileFormatError: it is damaged, or no checkpoint of this network.
        """
        tensors, state = read_tensors(path)
        if "progress" not in state:
            raise FileFormatError(f"{path.name} is no training checkpoint")
        found: dict[str, Any] = {}
        # an average follows what is trained; the rest is in the model alone
        for kind in (MODEL + PREFIX, AVERAGE + PREFIX):
            found |= {n[len(kind) :]: v.float() for n, v in tensors.items() if n.startswith(kind)}
        return self._made(path, state, found), state

    def export(self, checkpoint: Path, out: Path, notes: Mapping[str, Any]) -> Path:
        """Write the averaged network of a training's checkpoint.

        Args:
            checkpoint: of ``hand-toolkit train``.
            out: the ``.safetensors`` file.
            notes: command, scores: what a reader needs to judge the weights; step and settings
                are added.

        Raises:
            InputError: no such file.
            FileFormatError: it is damaged, or no checkpoint of this network.
        """
        network, state = self.of_checkpoint(checkpoint)
        settings = dict(state["settings"])
        if settings.get("start"):
            settings["start"] = Path(settings["start"]).name
        known = {"step": state["progress"]["step"], "settings": settings}
        if "images" in state:
            known["images"] = state["images"]
        return self.write(network, {**known, **notes}, out)

    def _made(self, path: Path, header: Mapping[str, Any], tensors: Mapping[str, Any]) -> N:
        try:
            network = self.network(from_mapping(self.config, header["config"]))
            network.load_state_dict(dict(tensors))
        except PARSER_FAULTS as error:
            said = first_line(error)
            raise FileFormatError(f"{path.name} holds no {self.what}: {said}") from error
        return network

    def load(self, path: Path | None = None) -> N:
        """The network of a file, the shipped one by default; kept after the first call.

        Raises:
            InputError: no weights are shipped with this installation, or no such file.
            FileFormatError: the file is damaged or of another version.
        """
        self.check(path)
        return _kept(self, self.shipped if path is None else Path(path))

    def check(self, path: Path | None) -> None:
        """Refuse None where no weights came with the toolkit.

        Raises:
            InputError: it is so.
        """
        if path is None and not self.shipped.is_file():
            raise InputError(f"this installation has no {self.what}; {self.without}")


@lru_cache(maxsize=8)  # a few more than there are systems
def _kept(file: NetworkFile[N], path: Path) -> N:
    return file.read(path)[0]

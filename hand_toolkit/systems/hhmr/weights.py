"""The trained network: where its weights lie, how they are written and loaded once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import PARSER_FAULTS, FileFormatError, InputError
from .config import HhmrConfig

if TYPE_CHECKING:
    from .network import HhmrNetwork

SHIPPED = Path(__file__).with_name("weights") / "hhmr.safetensors"
VERSION = 1
PREFIX = "network."


def export_weights(checkpoint: Path, out: Path, notes: Mapping[str, Any]) -> Path:
    """Write a checkpoint's averaged network as fp16 safetensors with a JSON beside it.

    Args:
        checkpoint: of ``hand-toolkit train --system hhmr``.
        out: the ``.safetensors`` file.
        notes: command, scores: what a reader needs to judge the weights.
    """
    from ...learn.checkpoint import AVERAGE, MODEL, read_tensors, write_weights
    from ...learn.config import from_mapping
    from .network import HhmrNetwork

    tensors, state = read_tensors(checkpoint)
    config = from_mapping(HhmrConfig, state["config"])
    kind = AVERAGE if any(n.startswith(AVERAGE) for n in tensors) else MODEL
    begin = kind + PREFIX
    network = HhmrNetwork(config)
    network.load_state_dict({n[len(begin) :]: v for n, v in tensors.items() if n.startswith(begin)})
    header = {
        "version": VERSION,
        "config": dataclasses.asdict(config),
        "notes": {
            "step": state["progress"]["step"],
            "settings": state["settings"],
            "images": state.get("images", 0),
            **notes,
        },
    }
    return write_weights(network, header, out)


def read_network(path: Path) -> tuple[HhmrNetwork, dict[str, Any]]:
    """Network (float32, CPU, frozen, eval) and notes of a weights file.

    Raises:
        InputError: no such file.
        FileFormatError: it is damaged, of a newer version or of another network.
    """
    from ...learn.checkpoint import read_tensors
    from ...learn.config import from_mapping
    from .network import HhmrNetwork

    tensors, header = read_tensors(path)
    if header.get("version") != VERSION:
        raise FileFormatError(
            f"{path.name} has version {header.get('version')}; this toolkit reads {VERSION}; "
            "update one of the two"
        )
    try:
        network = HhmrNetwork(from_mapping(HhmrConfig, header["config"]))
        network.load_state_dict({n: v.float() for n, v in tensors.items()})
    except PARSER_FAULTS as error:
        raise FileFormatError(f"{path.name} holds no hand diffusion network: {error}") from error
    return network.eval().requires_grad_(False), dict(header.get("notes", {}))


def load_network(path: Path | None = None) -> HhmrNetwork:
    """The network of a weights file, the shipped one by default; kept after the first call.

    Raises:
        InputError: no weights are shipped with this installation, or no such file.
        FileFormatError: the file is damaged or of another version.
    """
    if path is None and not SHIPPED.is_file():
        raise InputError(
            "this installation has no hand diffusion weights; run "
            "'hand-toolkit train DATA -o OUT --system hhmr', or install hand-toolkit again"
        )
    return _load(SHIPPED if path is None else Path(path))


@lru_cache(maxsize=2)
def _load(path: Path) -> HhmrNetwork:
    return read_network(path)[0]


if __name__ == "__main__":
    import sys

    print(export_weights(Path(sys.argv[1]), Path(sys.argv[2]), {"command": " ".join(sys.argv[3:])}))

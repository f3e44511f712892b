"""The trained networks: where their weights lie, how they are written and loaded once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import FileFormatError, InputError
from .config import Im2HandsConfig

if TYPE_CHECKING:
    from .network import Im2HandsNetwork

SHIPPED = Path(__file__).with_name("weights") / "im2hands.safetensors"
VERSION = 1
PREFIX = "network."


def checkpoint_network(checkpoint: Path) -> tuple[Im2HandsNetwork, dict[str, Any]]:
    """The (averaged) network of a training's checkpoint, and the checkpoint's state.

    Raises:
        InputError: no such file.
        FileFormatError: it is no checkpoint of this training.
    """
    from ...learn.checkpoint import AVERAGE, MODEL, read_tensors
    from ...learn.config import from_mapping
    from .network import Im2HandsNetwork

    tensors, state = read_tensors(checkpoint)
    if "progress" not in state or "config" not in state:
        raise FileFormatError(f"{checkpoint.name} is no training checkpoint")
    network = Im2HandsNetwork(from_mapping(Im2HandsConfig, state["config"]))
    kind = AVERAGE if any(n.startswith(AVERAGE) for n in tensors) else MODEL
    begin = kind + PREFIX
    found = {n[len(begin) :]: v.float() for n, v in tensors.items() if n.startswith(begin)}
    # an average follows what is trained; the rest is in the model alone
    for name, value in tensors.items():
        if name.startswith(MODEL + PREFIX):
            found.setdefault(name[len(MODEL + PREFIX) :], value.float())
    network.load_state_dict(found)
    return network, state


def export_weights(checkpoint: Path, out: Path, notes: Mapping[str, Any]) -> Path:
    """Write a checkpoint's networks as fp16 safetensors with a JSON beside it.

    Args:
        checkpoint: of ``hand-toolkit train --system im2hands``.
        out: the ``.safetensors`` file.
        notes: command, scores: what a reader needs to judge the weights.
    """
    from ...learn.checkpoint import write_weights

    network, state = checkpoint_network(checkpoint)
    settings = {**state["settings"], "start": Path(state["settings"]["start"]).name}
    header = {
        "version": VERSION,
        "config": dataclasses.asdict(network.config),
        "notes": {"step": state["progress"]["step"], "settings": settings, **notes},
    }
    return write_weights(network, header, out)


def read_network(path: Path) -> tuple[Im2HandsNetwork, dict[str, Any]]:
    """Network (float32, CPU, frozen, eval) and notes of a weights file.

    Raises:
        InputError: no such file.
        FileFormatError: it is damaged, of a newer version or of another network.
    """
    from ...learn.checkpoint import read_tensors
    from ...learn.config import from_mapping
    from .network import Im2HandsNetwork

    tensors, header = read_tensors(path)
    if header.get("version") != VERSION:
        raise FileFormatError(
            f"{path.name} has version {header.get('version')}; this toolkit reads {VERSION}; "
            "update one of the two"
        )
    try:
        network = Im2HandsNetwork(from_mapping(Im2HandsConfig, header["config"]))
        network.load_state_dict({n: v.float() for n, v in tensors.items()})
    except (KeyError, TypeError, RuntimeError, InputError) as error:
        raise FileFormatError(f"{path.name} holds no two-hand network: {error}") from error
    return network.eval().requires_grad_(False), dict(header.get("notes", {}))


def load_network(path: Path | None = None) -> Im2HandsNetwork:
    """The network of a weights file, the shipped one by default; kept after the first call.

    Raises:
        InputError: no weights are shipped with this installation, or no such file.
        FileFormatError: the file is damaged or of another version.
    """
    if path is None and not SHIPPED.is_file():
        raise InputError(
            "this installation has no two-hand weights; run "
            "'hand-toolkit train DATA -o OUT --system im2hands', or install hand-toolkit again"
        )
    return _load(SHIPPED if path is None else Path(path))


@lru_cache(maxsize=2)
def _load(path: Path) -> Im2HandsNetwork:
    return read_network(path)[0]


if __name__ == "__main__":
    import sys

    print(export_weights(Path(sys.argv[1]), Path(sys.argv[2]), {"command": " ".join(sys.argv[3:])}))

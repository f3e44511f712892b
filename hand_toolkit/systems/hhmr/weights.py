"""The trained network: where its weights lie, how they are written and loaded once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...learn.weights import NetworkFile
from .config import HhmrConfig

if TYPE_CHECKING:
    from .network import HhmrNetwork

SHIPPED = Path(__file__).with_name("weights") / "hhmr.safetensors"


def _network(config: HhmrConfig) -> HhmrNetwork:
    from .network import HhmrNetwork

    return HhmrNetwork(config)


FILE = NetworkFile(
    "hand diffusion network",
    HhmrConfig,
    _network,
    SHIPPED,
    "run 'hand-toolkit train DATA -o OUT --system hhmr', or install hand-toolkit again",
)
read_network, load_network = FILE.read, FILE.load


def export_weights(checkpoint: Path, out: Path, notes: Mapping[str, Any]) -> Path:
    """Write the averaged network of a checkpoint of ``hand-toolkit train --system hhmr``.

    Args:
        checkpoint: of the training.
        out: the ``.safetensors`` file.
        notes: command, scores: what a reader needs to judge the weights.
    """
    network, state = FILE.of_checkpoint(checkpoint)
    known = {
        "step": state["progress"]["step"],
        "settings": state["settings"],
        "images": state.get("images", 0),
    }
    return FILE.write(network, {**known, **notes}, out)


if __name__ == "__main__":
    import sys

    print(export_weights(Path(sys.argv[1]), Path(sys.argv[2]), {"command": " ".join(sys.argv[3:])}))

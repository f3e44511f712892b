"""The trained network: where its weights lie, how they are written and loaded once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
export_weights = FILE.export


if __name__ == "__main__":
    import sys

    print(export_weights(Path(sys.argv[1]), Path(sys.argv[2]), {"command": " ".join(sys.argv[3:])}))

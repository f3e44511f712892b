"""The trained networks: where their weights lie, how they are written and loaded once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...learn.weights import NetworkFile
from .config import Im2HandsConfig

if TYPE_CHECKING:
    from .network import Im2HandsNetwork

SHIPPED = Path(__file__).with_name("weights") / "im2hands.safetensors"


def _network(config: Im2HandsConfig) -> Im2HandsNetwork:
    from .network import Im2HandsNetwork

    return Im2HandsNetwork(config)


FILE = NetworkFile(
    "two-hand network",
    Im2HandsConfig,
    _network,
    SHIPPED,
    "run 'hand-toolkit train DATA -o OUT --system im2hands', or install hand-toolkit again",
)
read_network, load_network, checkpoint_network = FILE.read, FILE.load, FILE.of_checkpoint
export_weights = FILE.export


if __name__ == "__main__":
    import sys

    print(export_weights(Path(sys.argv[1]), Path(sys.argv[2]), {"command": " ".join(sys.argv[3:])}))

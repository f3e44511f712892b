"""The trained prior: where its weights lie and how they are loaded once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ...learn.weights import NetworkFile
from .config import PriorConfig

if TYPE_CHECKING:
    from .network import PriorNetwork

SHIPPED = Path(__file__).with_name("weights") / "small.safetensors"


@dataclass(frozen=True, eq=False)
class Prior:
    """A frozen network with its config.

    Attributes:
        network: on the CPU, float32, without gradients.
        config: its sizes.
        name: file stem and step, for provenance.
        notes: what was written beside the weights (step, seed, command, metrics).
    """

    network: PriorNetwork
    config: PriorConfig
    name: str
    notes: dict[str, object]


def _network(config: PriorConfig) -> PriorNetwork:
    from .network import PriorNetwork

    return PriorNetwork(config)


FILE = NetworkFile(
    "trained prior",
    PriorConfig,
    _network,
    SHIPPED,
    "run 'hand-toolkit train', or fit with the method 'texture'",
)


def load_prior(path: Path | None = None) -> Prior:
    """The prior of a weights file, the shipped one by default; kept after the first call.

    Raises:
        InputError: no weights are shipped with this installation, or no such file.
        FileFormatError: the file is damaged or of another version.
    """
    FILE.check(path)
    return _load(SHIPPED if path is None else Path(path))


@lru_cache(maxsize=2)
def _load(path: Path) -> Prior:
    network, notes = FILE.read(path)
    return Prior(network, network.config, f"{path.stem} step {notes.get('step', '?')}", notes)

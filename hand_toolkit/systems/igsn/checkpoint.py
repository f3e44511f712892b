"""The prior's weights and training checkpoints, to and from files of :mod:`hand_toolkit.learn`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...core.errors import PARSER_FAULTS, FileFormatError
from ...learn.checkpoint import load_checkpoint, read_header, read_tensors, write_weights
from ...learn.config import from_mapping
from .config import PriorConfig, TrainConfig

WEIGHTS_VERSION = 1


def export_weights(
    network: torch.nn.Module, config: PriorConfig, notes: Mapping[str, Any], path: Path
) -> Path:
    """Write the network's weights as fp16 safetensors, with a JSON file beside them.

    Args:
        network: a :class:`PriorNetwork`.
        config: its sizes.
        notes: step, data seed, command, metrics: what a reader needs to judge the weights.
        path: the ``.safetensors`` file; the JSON gets the same name.
    """
    header = {
        "version": WEIGHTS_VERSION,
        "config": dataclasses.asdict(config),
        "notes": dict(notes),
    }
    return write_weights(network, header, path)


def load_weights(path: Path) -> tuple[Any, PriorConfig, dict[str, Any]]:
    """Network (float32, CPU, frozen, eval), config and notes of exported weights.

    Raises:
        FileFormatError: the file is damaged, of a newer version or not a prior.
    """
    from .network import PriorNetwork

    tensors, header = read_tensors(path)
    if header.get("version") != WEIGHTS_VERSION:
        raise FileFormatError(
            f"{path.name} has version {header.get('version')}; this toolkit reads "
            f"{WEIGHTS_VERSION}; update one of the two"
        )
    try:
        config = from_mapping(PriorConfig, header["config"])
        network = PriorNetwork(config)
        network.load_state_dict({n: v.float() for n, v in tensors.items()})
    except PARSER_FAULTS as error:
        raise FileFormatError(f"{path.name} holds no prior of this version: {error}") from error
    return network.eval().requires_grad_(False), config, dict(header.get("notes", {}))


def load_model(path: Path) -> tuple[Any, dict[str, Any]]:
    """The :class:`PriorModel` of a training checkpoint, for scoring and export, and its state.

    Raises:
        FileFormatError: the file is damaged or of another network.
    """
    from ...learn.losses import gradient_loss
    from .model import PriorModel

    state = read_header(path)
    try:
        config = from_mapping(PriorConfig, state["config"])
        # checkpoints keep settings that have gone since; they say nothing of the network
        known = {f.name for f in dataclasses.fields(TrainConfig)}
        values = {k: v for k, v in state["settings"].items() if k in known}
        settings = from_mapping(TrainConfig, values)
    except PARSER_FAULTS as error:
        raise FileFormatError(f"{path.name} is no training checkpoint: {error}") from error
    model = PriorModel(config, settings, gradient_loss)
    load_checkpoint(path, model, keeps=lambda name: not name.startswith("identities."))
    return model.eval().requires_grad_(False), state

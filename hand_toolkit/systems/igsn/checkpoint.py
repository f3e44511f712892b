"""The prior's training checkpoints, from files of :mod:`hand_toolkit.learn`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ...core.errors import PARSER_FAULTS, FileFormatError
from ...learn.checkpoint import load_checkpoint, read_header
from ...learn.config import from_mapping
from .config import PriorConfig, TrainConfig


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

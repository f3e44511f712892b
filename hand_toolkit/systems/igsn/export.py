"""Turns a training checkpoint into the weights that ``fit`` loads.

``python -m hand_toolkit.systems.igsn.export CHECKPOINT WEIGHTS [--data FOLDER...]``
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...core.errors import HandToolkitError

log = logging.getLogger(__name__)


def export(
    checkpoint: Path, weights: Path, data: Sequence[Path] = (), command: str = ""
) -> dict[str, Any]:
    """Write fp16 weights and their JSON; returns the notes written beside them.

    Args:
        checkpoint: of ``train``.
        weights: the ``.safetensors`` file.
        data: folders whose held-out poses are scored for the notes.
        command: how the checkpoint was trained, for the notes.

    Raises:
        FileFormatError: the checkpoint is damaged.
        InputError: a folder is missing.
    """
    from .checkpoint import load_model
    from .dataset import RenderedSet
    from .evaluate import training_pictures
    from .weights import FILE

    model, state = load_model(checkpoint)
    progress = state["progress"]
    notes: dict[str, Any] = {
        "step": progress["step"],
        "subjects": len(progress["slots"]),
        "perceptual": state["perceptual"],
        "settings": state["settings"],
        "command": command,
    }
    if data:
        source = RenderedSet(list(data), model.config)
        slots = progress["slots"]
        held = [s for s in source.scan("held-out") if s.subject in slots]
        notes["held_out_scenes"] = len(held)
        notes["held_out"] = training_pictures(model, source, held, slots)[0]
    FILE.write(model.network, notes, weights)
    return notes


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m hand_toolkit.systems.igsn.export``."""
    parser = argparse.ArgumentParser(prog="hand_toolkit.systems.igsn.export", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="scored for the notes")
    parser.add_argument("--command", default="", help="how it was trained, for the notes")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        notes = export(options.checkpoint, options.weights, options.data, options.command)
    except HandToolkitError as error:
        parser.exit(error.exit_code, f"error: {error}\n")
    log.info("%s", json.dumps(notes, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

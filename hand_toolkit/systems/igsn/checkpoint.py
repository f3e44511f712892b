"""Checkpoints and weights: safetensors with JSON in the header, written atomically."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...core.errors import FileFormatError, InputError
from ...core.files import atomic_path, atomic_write
from .config import PriorConfig, from_mapping

HEADER = "hand_toolkit"
WEIGHTS_VERSION = 1
MAX_WEIGHTS_BYTES = 4 << 30


def save_checkpoint(
    path: Path,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    state: Mapping[str, Any],
    used: set[int],
) -> None:
    """Write model, optimizer and ``state`` so that training can go on from here exactly.

    Args:
        path: the file, replaced in one step.
        model: a :class:`PriorModel`.
        optimizer: its Adam.
        state: JSON-able counters, order and configs.
        used: identity slots in use; the others still hold what the seed gave them.
    """
    from safetensors.torch import save_file

    tensors = {}
    for name, value in model.state_dict().items():
        if name.startswith("identities.") and int(name.split(".")[1]) not in used:
            continue
        tensors[f"model.{name}"] = value.detach().cpu().contiguous()
    names = [n for n, _ in model.named_parameters()]
    parameters = dict(model.named_parameters())
    for name in names:
        for key, value in optimizer.state.get(parameters[name], {}).items():
            tensors[f"adam.{key}.{name}"] = torch.as_tensor(value).detach().cpu().contiguous()
    with atomic_path(path) as temporary:
        save_file(tensors, str(temporary), metadata={HEADER: json.dumps(dict(state))})


def load_checkpoint(
    path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Restore what :func:`save_checkpoint` wrote and return its ``state``.

    Raises:
        FileFormatError: the file is damaged or of another network.
    """
    tensors, state = _read(path)
    weights = {n[6:]: v for n, v in tensors.items() if n.startswith("model.")}
    try:
        missing, unexpected = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise FileFormatError(f"{path.name} is of a network of other sizes: {error}") from error
    missing = [n for n in missing if not n.startswith("identities.")]
    if missing or unexpected:
        raise FileFormatError(
            f"{path.name} is of another network; it lacks {missing[:3]} and has {unexpected[:3]}"
        )
    parameters = dict(model.named_parameters())
    for name, value in tensors.items():
        if name.startswith("adam."):
            _, key, parameter = name.split(".", 2)
            optimizer.state[parameters[parameter]][key] = (
                value if key == "step" else value.to(parameters[parameter].device)
            )
    return state


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise InputError(f"{path} does not exist; check the path")
    if path.stat().st_size > MAX_WEIGHTS_BYTES:
        raise FileFormatError(f"{path.name} has {path.stat().st_size} bytes; accepted is 4 GiB")
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            header = json.loads((file.metadata() or {})[HEADER])
            names = list(file.keys())
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise FileFormatError(
            f"{path.name} is no file of the prior ({error}); give one that 'hand-toolkit train' "
            "wrote"
        ) from error
    if not isinstance(header, dict):
        raise FileFormatError(f"{path.name} has a damaged header; write it anew")
    return tensors, header


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
    import dataclasses

    from safetensors.torch import save_file

    header = {
        "version": WEIGHTS_VERSION,
        "config": dataclasses.asdict(config),
        "notes": dict(notes),
    }
    tensors = {n: v.detach().half().cpu().contiguous() for n, v in network.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, str(temporary), metadata={HEADER: json.dumps(header)})
    atomic_write(path.with_suffix(".json"), json.dumps(header, indent=1) + "\n")
    return path


def load_weights(path: Path) -> tuple[Any, PriorConfig, dict[str, Any]]:
    """Network (float32, CPU, frozen, eval), config and notes of exported weights.

    Raises:
        FileFormatError: the file is damaged, of a newer version or not a prior.
    """
    from .network import PriorNetwork

    tensors, header = _read(path)
    if header.get("version") != WEIGHTS_VERSION:
        raise FileFormatError(
            f"{path.name} has version {header.get('version')}; this toolkit reads "
            f"{WEIGHTS_VERSION}; update one of the two"
        )
    try:
        config = from_mapping(PriorConfig, header["config"])
        network = PriorNetwork(config)
        network.load_state_dict({n: v.float() for n, v in tensors.items()})
    except (KeyError, TypeError, RuntimeError, InputError) as error:
        raise FileFormatError(f"{path.name} holds no prior of this version: {error}") from error
    return network.eval().requires_grad_(False), config, dict(header.get("notes", {}))


def load_model(path: Path) -> tuple[Any, dict[str, Any]]:
    """The :class:`PriorModel` of a training checkpoint, for scoring and export, and its state.

    Raises:
        FileFormatError: the file is damaged or of another network.
    """
    from .config import TrainConfig
    from .losses import gradient_loss
    from .model import PriorModel

    _, state = _read(path)
    try:
        config = from_mapping(PriorConfig, state["config"])
        settings = from_mapping(TrainConfig, state["settings"])
    except (KeyError, TypeError) as error:
        raise FileFormatError(f"{path.name} is no training checkpoint: {error}") from error
    model = PriorModel(config, settings, gradient_loss)
    optimizer = torch.optim.Adam(model.parameters())
    load_checkpoint(path, model, optimizer)
    return model.eval().requires_grad_(False), state

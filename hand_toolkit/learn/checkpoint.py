"""Checkpoints and weights: safetensors with JSON in the header, written atomically."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import PARSER_FAULTS, FileFormatError, InputError, first_line
from ..core.files import atomic_path, atomic_write

if TYPE_CHECKING:
    import torch

CHECKPOINT = "checkpoint.safetensors"
HEADER = "hand_toolkit"
MAX_BYTES = 4 << 30

MODEL, OPTIMIZER, AVERAGE = "model.", "adam.", "mean."
"""What names of tensors begin with."""


def save_checkpoint(
    path: Path,
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    state: Mapping[str, Any],
    keeps: Callable[[str], bool] = lambda name: True,
    average: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write module, optimizer and ``state`` so that training can go on from here exactly.

    Args:
        path: the file, replaced in one step.
        module: its whole state, buffers too.
        optimizer: Adam, or another whose state is tensors by parameter.
        state: JSON values.
        keeps: which tensors of the module are written; the others still hold what the seed
            gave them.
        average: of the module's state over the steps, where there is one.

    Raises:
        InputError: the file cannot be written.
    """
    from safetensors.torch import save_file

    tensors = {
        AVERAGE + name: value.detach().cpu().contiguous()
        for name, value in (average or {}).items()
        if keeps(name)
    }
    tensors |= {
        MODEL + name: value.detach().cpu().contiguous()
        for name, value in module.state_dict().items()
        if keeps(name)
    }
    for name, parameter in module.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{OPTIMIZER}{key}.{name}"] = _tensor(value)
    with atomic_path(path) as temporary:
        save_file(tensors, str(temporary), metadata={HEADER: json.dumps(dict(state))})


def load_checkpoint(
    path: Path,
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    keeps: Callable[[str], bool] = lambda name: True,
) -> dict[str, Any]:
    """Restore what :func:`save_checkpoint` wrote and return its ``state``.

    Args:
        path: the file.
        module: of the same sizes.
        optimizer: of the same parameters; None restores the module only.
        keeps: tensors of the module that the file has to have.

    Raises:
        FileFormatError: the file is damaged or of another network.
    """
    tensors, state = read_tensors(path)
    weights = {n[len(MODEL) :]: v for n, v in tensors.items() if n.startswith(MODEL)}
    try:
        missing, unexpected = module.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise FileFormatError(f"{path.name} is of a network of other sizes: {error}") from error
    missing = [n for n in missing if keeps(n)]
    if missing or unexpected:
        raise FileFormatError(
            f"{path.name} is of another network; it lacks {missing[:3]} and has {unexpected[:3]}"
        )
    if optimizer is None:
        return state
    parameters = dict(module.named_parameters())
    for name, value in tensors.items():
        if name.startswith(OPTIMIZER):
            _, key, owner = name.split(".", 2)
            if owner not in parameters:
                raise FileFormatError(f"{path.name} has optimizer state of an unknown {owner}")
            optimizer.state[parameters[owner]][key] = (
                value if key == "step" else value.to(parameters[owner].device)
            )
    return state


def read_average(path: Path) -> dict[str, torch.Tensor]:
    """The moving average of the module's state; empty where none was kept.

    Raises:
        FileFormatError: the file is damaged.
    """
    tensors, _ = read_tensors(path)
    return {n[len(AVERAGE) :]: v for n, v in tensors.items() if n.startswith(AVERAGE)}


def read_header(path: Path) -> dict[str, Any]:
    """The JSON of a file that :func:`save_checkpoint` or :func:`write_weights` wrote.

    Raises:
        InputError: no such file.
        FileFormatError: the file is damaged.
    """
    return _read(path, lambda file: None)[1]


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors (on the CPU) and JSON of such a file.

    Raises:
        InputError: no such file.
        FileFormatError: the file is damaged, or has more than 4 GiB.
    """
    return _read(path, lambda file: _tensors(file))


def write_weights(module: torch.nn.Module, header: Mapping[str, Any], path: Path) -> Path:
    """Write a network's weights as fp16 safetensors, with a JSON file beside them.

    Args:
        module: the network.
        header: JSON values: version, config, and what a reader needs to judge the weights.
        path: the ``.safetensors`` file; the JSON gets the same name.

    Raises:
        InputError: a file cannot be written.
    """
    from safetensors.torch import save_file

    tensors = {
        name: (value.half() if value.is_floating_point() else value).detach().cpu().contiguous()
        for name, value in module.state_dict().items()
    }
    with atomic_path(path) as temporary:
        save_file(tensors, str(temporary), metadata={HEADER: json.dumps(dict(header))})
    atomic_write(path.with_suffix(".json"), json.dumps(dict(header), indent=1) + "\n")
    return path


def _tensor(value: Any) -> torch.Tensor:
    import torch

    return torch.as_tensor(value).detach().cpu().contiguous()


def _tensors(file: Any) -> dict[str, torch.Tensor]:
    names = list(file.keys())  # the file itself cannot be iterated over
    return {name: file.get_tensor(name) for name in names}


def _read(path: Path, take: Callable[[Any], Any]) -> tuple[Any, dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise InputError(f"{path} does not exist; check the path")
    if path.stat().st_size > MAX_BYTES:
        raise FileFormatError(f"{path.name} has {path.stat().st_size} bytes; accepted is 4 GiB")
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            header = json.loads((file.metadata() or {})[HEADER])
            taken = take(file)
    except (SafetensorError, *PARSER_FAULTS) as error:
        raise FileFormatError(
            f"{path.name} is no checkpoint and no weights of the toolkit ({first_line(error)}); "
            "give a file that 'hand-toolkit train' wrote"
        ) from error
    if not isinstance(header, dict):
        raise FileFormatError(f"{path.name} has a damaged header; write it anew")
    return taken, header

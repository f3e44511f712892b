"""The completion network's file: its weights and the bank of detail maps that it mixes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import PARSER_FAULTS, FileFormatError, InputError
from .grid import GRID, shrink, spread
from .uv_layout import UVLayout, uv_layout

if TYPE_CHECKING:
    import torch

    from .network import CompletionNetwork
    from .training.subjects import Mixer

SHIPPED = Path(__file__).with_name("weights") / "completion.safetensors"
BANK_SIZE = 512
PRINCIPAL_MAPS = 12


@dataclass(frozen=True, eq=False)
class Bank:
    """Detail maps on the layout of ``BANK_SIZE``, relative log albedo.

    Attributes:
        maps: (K, N, 3): mean, common fine detail, principal maps.
        nail: (N, 1) 1 on nails.
    """

    maps: np.ndarray
    nail: np.ndarray

    def at(self, layout: UVLayout) -> tuple[torch.Tensor, torch.Tensor]:
        """(K, 3, S, S) and (1, S, S) on another layout."""
        import torch

        own = uv_layout("default", BANK_SIZE)
        values = np.concatenate([*self.maps, self.nail], axis=1)
        if layout.size != own.size or layout.hand_model != own.hand_model:
            values = own.look_up(own.image(values), layout.uv)
        return self._split(torch.tensor(spread(values, layout)))

    def at_grid(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(K, 3, GRID, GRID) and (1, GRID, GRID)."""
        import torch

        own = uv_layout("default", BANK_SIZE)
        values = np.concatenate([*self.maps, self.nail], axis=1)
        return self._split(torch.tensor(shrink(values, own, GRID), dtype=torch.float32))

    def nail_at_grid(self) -> torch.Tensor:
        """(1, GRID, GRID) alone."""
        import torch

        nail = shrink(self.nail, uv_layout("default", BANK_SIZE), GRID)
        return torch.tensor(nail, dtype=torch.float32).permute(2, 0, 1)

    def _split(self, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        channels = picture.permute(2, 0, 1).contiguous()
        return channels[:-1].unflatten(0, (len(self.maps), 3)), channels[-1:]


@dataclass(frozen=True, eq=False)
class Completion:
    """A trained network with its bank.

    Attributes:
        network: on the CPU, float32, without gradients.
        bank: the maps that it mixes.
        notes: what stands beside the weights: command, seed, step, scores.
    """

    network: CompletionNetwork
    bank: Bank
    notes: dict[str, object]


def make_bank(mixer: Mixer, nail: np.ndarray) -> Bank:
    """Mean of the subjects' canonical skins, their common fine detail, and principal maps.

    Args:
        mixer: of the training subjects.
        nail: (N, 1) 1 on nails.
    """
    fine = np.stack([canonical for canonical, _ in mixer.fine])
    data = np.stack(mixer.slow) + fine
    data = data - np.median(data, axis=1, keepdims=True)
    mean, common = (np.einsum("s,snc->nc", mixer.share, part) for part in (data, fine))
    spread = ((data - mean) * np.sqrt(mixer.share)[:, None, None]).reshape(len(data), -1)
    _, strength, basis = np.linalg.svd(spread, full_matrices=False)
    count = min(PRINCIPAL_MAPS, len(data) - 1)
    principal = basis[:count] * strength[:count, None]
    maps = [mean[None], common[None], principal.reshape(count, *mean.shape)]
    return Bank(np.concatenate(maps).astype(np.float32), nail.astype(np.float32))


def save_completion(
    path: Path, state: dict[str, torch.Tensor], bank: Bank, notes: dict[str, object]
) -> None:
    """Write float16 weights, the bank in bytes, and the notes beside them."""
    import torch
    from safetensors.torch import save_file

    scale = np.abs(bank.maps).max((1, 2), keepdims=True) / 127
    tensors = {f"network.{k}": v.detach().half().cpu().contiguous() for k, v in state.items()}
    tensors["bank.maps"] = torch.tensor(np.round(bank.maps / scale).astype(np.int8))
    tensors["bank.scale"] = torch.tensor(scale.astype(np.float32))
    # the mean is shown as it is: eight bits would show steps
    tensors["bank.mean"] = torch.tensor(bank.maps[0].astype(np.float16))
    tensors["bank.nail"] = torch.tensor(np.round(bank.nail * 255).astype(np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata={"format": "hand-toolkit completion 1"})
    path.with_suffix(".json").write_text(json.dumps(notes, indent=1) + "\n", encoding="utf-8")


@lru_cache(maxsize=2)
def load_completion(path: Path | None = None) -> Completion:
    """The network of a weights file, the shipped one by default; kept after the first call.

    Raises:
        InputError: no such file.
        FileFormatError: the file is damaged or of another version.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from .network import CompletionNetwork

    path = SHIPPED if path is None else Path(path)
    if not path.is_file():
        raise InputError(
            f"no completion network at {path.name}; train one with 'python -m "
            "hand_toolkit.skin.training', or fit with the completion 'membrane'"
        )
    try:
        tensors = load_file(path)
        maps = tensors["bank.maps"].float() * tensors["bank.scale"]
        maps[0] = tensors["bank.mean"].float()
        state = {k[8:]: v.float() for k, v in tensors.items() if k.startswith("network.")}
        steps = ("lift0.weight", "lift1.weight", "lift2.weight", "lift2.weight")
        widths = tuple(state[name].shape[k > 2] for k, name in enumerate(steps))
        network = CompletionNetwork(len(maps), widths)
        network.load_state_dict(state, strict="seen_nails.inner.weight" in state)
        nail = tensors["bank.nail"].float().numpy() / 255
        notes = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (SafetensorError, *PARSER_FAULTS) as error:
        raise FileFormatError(
            f"cannot read the completion network {path.name}: {error}; reinstall hand-toolkit or "
            "train one anew"
        ) from None
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return Completion(network.eval(), Bank(maps.numpy(), nail), notes)

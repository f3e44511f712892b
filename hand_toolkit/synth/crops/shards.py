"""Crops on disk: folders of NPY files that training maps into memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...core.errors import InputError
from .render import Crop, CropAssets, render_crop

SHARD = 256
"""Crops of a shard."""

FIELDS = ("rgba", "labels", "keypoints", "depth", "theta", "own")


def render_shard(
    folder: Path, seed: int, number: int, assets: CropAssets, count: int = SHARD
) -> Path:
    """Render one shard; a shard that is there is left alone.

    Args:
        folder: of shards.
        seed, number: decide every crop of the shard, given the assets.
        assets: what scenes draw from.
        count: crops of the shard.

    Returns:
        The shard's folder.
    """
    target = folder / f"{seed:04d}_{number:05d}"
    if target.is_dir():
        return target
    rng = np.random.default_rng([seed, number, 31])
    crops = [render_crop(rng, assets) for _ in range(count)]
    scratch = folder / f".{target.name}-{os.getpid()}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for name in FIELDS:
        np.save(scratch / f"{name}.npy", np.stack([getattr(crop, name) for crop in crops]))
    scratch.rename(target)
    return target


def read_shard(path: Path) -> dict[str, np.ndarray]:
    """All of a shard's arrays by ``FIELDS``, in memory; rows are crops."""
    return {name: np.load(path / f"{name}.npy", allow_pickle=False) for name in FIELDS}


@dataclass
class CropShards:
    """All shards of a folder, mapped into memory.

    Attributes:
        folder: of shards; more may be written while it is read.
    """

    folder: Path

    def __post_init__(self) -> None:
        self._shards: dict[str, dict[str, np.ndarray]] = {}
        self.refresh()

    def refresh(self) -> int:
        """Map new shards; returns how many crops there are."""
        for path in sorted(self.folder.glob("[0-9]*_[0-9]*")):
            if path.name not in self._shards:
                self._shards[path.name] = {
                    name: np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                    for name in FIELDS
                }
        self._order = list(self._shards.values())
        self._ends = np.cumsum([len(shard["own"]) for shard in self._order])
        return len(self)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: int) -> Crop:
        if not 0 <= index < len(self):
            raise IndexError(index)
        shard = int(np.searchsorted(self._ends, index, side="right"))
        row = index - (int(self._ends[shard - 1]) if shard else 0)
        data = self._order[shard]
        return Crop(
            rgba=np.asarray(data["rgba"][row]),
            labels=np.asarray(data["labels"][row]),
            keypoints=np.asarray(data["keypoints"][row]),
            depth=np.asarray(data["depth"][row]),
            theta=np.asarray(data["theta"][row]),
            own=bool(data["own"][row]),
        )

    def __iter__(self) -> Iterator[Crop]:
        return (self[index] for index in range(len(self)))


def open_shards(folder: Path) -> CropShards:
    """The crops of a folder.

    Raises:
        InputError: there are none.
    """
    shards = CropShards(folder)
    if not len(shards):
        raise InputError(
            f"{folder} holds no crops; render some with: python -m hand_toolkit.synth.crops render"
        )
    return shards

"""What keeps the pools of training pictures filled while a network is trained."""

from __future__ import annotations

import contextlib
import logging
import queue
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..core.errors import InputError
from .backdrops import SIZE, Backdrops
from .pools import Ring, crop_rows

log = logging.getLogger(__name__)

SHEET = 64
"""Backgrounds that a drawing process hands over at a time."""

FIRST_SHEETS = 4

EXCHANGE_SAMPLES = 1024
"""Samples after which a shard is exchanged for another, where they do not fit."""


class ShardFeed:
    """Fills a ring with a folder's shards and takes up new ones as they are written.

    Shards that do not fit are exchanged for each other in turn. A thread reads them.

    Args:
        folder: of shards.
        ring: to fill.
        used_up: delete shards that were taken up.

    Raises:
        InputError: there are no crops.
    """

    def __init__(self, folder: Path, ring: Ring, used_up: bool = False) -> None:
        self._folder, self._ring, self._used_up = folder, ring, used_up
        self._known: list[Path] = []
        self._ready: queue.Queue[dict[str, np.ndarray]] = queue.Queue(1)
        self._wanted = threading.Semaphore(0)
        self._turn, self._samples = 0, 0
        for path in self._new():
            if ring.seen < ring.capacity:
                ring.add(self._read(path))
                self._turn += 1
        if not len(ring):
            raise InputError(
                f"{folder} holds no crops; render some with: "
                "python -m hand_toolkit.synth.crops render"
            )
        threading.Thread(target=self._work, daemon=True).start()

    def advance(self, samples: int) -> None:
        """Take in what was read; ``samples`` are drawn with each call."""
        self._samples += samples
        while self._samples >= EXCHANGE_SAMPLES:
            self._samples -= EXCHANGE_SAMPLES
            self._wanted.release()
        with contextlib.suppress(queue.Empty):
            self._ring.add(self._ready.get_nowait())

    def _new(self) -> list[Path]:
        """Shards that were not there before."""
        known = set(self._known)
        found = [p for p in sorted(self._folder.glob("[0-9]*_[0-9]*")) if p not in known]
        self._known += found
        return found

    def _read(self, path: Path) -> dict[str, np.ndarray]:
        from ..synth.crops.shards import read_shard

        rows = crop_rows(read_shard(path))
        if self._used_up:
            shutil.rmtree(path, ignore_errors=True)
        return rows

    def _work(self) -> None:
        while True:
            wanted = self._wanted.acquire(timeout=1.0)
            paths = self._new()
            fit = self._ring.seen <= self._ring.capacity and self._turn >= len(self._known)
            if wanted and not (paths or self._used_up or fit):
                paths = [self._known[self._turn % len(self._known)]]
                self._turn += 1
            for path in paths:
                try:
                    rows = self._read(path)
                except (OSError, ValueError) as error:
                    # whoever renders may have thrown it away meanwhile
                    log.warning("%s cannot be read (%s) and is left out", path, error)
                else:
                    self._ready.put(rows)


@dataclass(frozen=True)
class BackdropFiles:
    """Where backgrounds come from; see docs/eyes.md.

    Attributes:
        patches, bodies, environments: None for none.
    """

    patches: Path | None
    bodies: Path | None
    environments: Path | None

    def load(self) -> Backdrops:
        """Read what there is."""
        from .training_photos import load_backdrops

        return load_backdrops(self.patches, self.bodies, self.environments)


class _Sheets(torch.utils.data.IterableDataset[torch.Tensor]):
    """Endless sheets of backgrounds, drawn in a process of their own."""

    def __init__(self, files: BackdropFiles, seed: int) -> None:
        self.files, self.seed = files, seed

    def __iter__(self) -> Iterator[torch.Tensor]:
        import cv2

        cv2.setNumThreads(1)
        info = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, 41, 0 if info is None else info.id])
        backdrops = self.files.load()
        while True:
            yield torch.from_numpy(draw_sheet(rng, backdrops, SHEET))


def draw_sheet(rng: np.random.Generator, backdrops: Backdrops, count: int) -> np.ndarray:
    """(count, SIZE, SIZE, 3) uint8 backgrounds."""
    out = np.empty((count, SIZE, SIZE, 3), np.uint8)
    for row in range(count):
        out[row] = np.clip(backdrops.sample(rng), 0, 255)
    return out


class BackdropFeed:
    """Fills a ring with backgrounds, from processes or anew for each batch.

    Args:
        files: what they are made of.
        ring: to fill; as large as a batch needs where no processes draw.
        drawers: processes; 0 draws here, so that a batch depends on its own ``rng`` only.
        seed: of all of them.
    """

    def __init__(self, files: BackdropFiles, ring: Ring, drawers: int, seed: int) -> None:
        self._ring = ring
        self._sheets: Iterator[torch.Tensor] | None = None
        self._backdrops: Backdrops | None = None
        self._steps = 0
        if drawers:
            self._sheets = iter(torch.utils.data.DataLoader(
                _Sheets(files, seed), batch_size=None, num_workers=drawers, prefetch_factor=4,
                multiprocessing_context="spawn",
            ))  # fmt: skip
            for _ in range(FIRST_SHEETS):
                self._take()
        else:
            self._backdrops = files.load()

    def advance(self, rng: np.random.Generator, samples: int) -> None:
        """New backgrounds for the next ``samples``, or now and then what processes have drawn."""
        self._steps += samples
        if self._backdrops is not None:
            self._ring.add({"picture": draw_sheet(rng, self._backdrops, self._ring.capacity)})
        elif self._steps >= 16 * SHEET:
            self._steps = 0
            self._take()

    def _take(self) -> None:
        assert self._sheets is not None
        self._ring.add({"picture": next(self._sheets).numpy()})

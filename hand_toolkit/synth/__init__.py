"""Renders training and test hands with Cycles, and reads and writes their folder format."""

from __future__ import annotations

from .config import SynthConfig
from .dataset import HandDataset, HandSample, open_dataset, read_sample
from .driver import SynthResult, synthesize

__all__ = [
    "HandDataset",
    "HandSample",
    "SynthConfig",
    "SynthResult",
    "open_dataset",
    "read_sample",
    "synthesize",
]

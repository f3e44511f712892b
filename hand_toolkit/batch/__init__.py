"""One task on very many inputs: resumable after any kill, with an index of what became of each."""

from __future__ import annotations

from .manifest import Entry, read_entries
from .run import BatchReport, run_batch
from .tasks import TASKS

__all__ = ["TASKS", "BatchReport", "Entry", "read_entries", "run_batch"]

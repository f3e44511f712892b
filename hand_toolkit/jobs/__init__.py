"""Many things done by many processes: resumable, cancellable, each failure by its name.

What is done to an item is :data:`Work`; where it is done is an :class:`Engine`.
"""

from __future__ import annotations

from .cluster import RayCluster
from .contract import Engine, Failure, Outcome, Task, Work
from .ledger import Ledger
from .processes import Processes
from .run import Report, run
from .work import each

__all__ = [
    "Engine",
    "Failure",
    "Ledger",
    "Outcome",
    "Processes",
    "RayCluster",
    "Report",
    "Task",
    "Work",
    "each",
    "run",
]

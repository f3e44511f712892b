"""Renders a data set with the processes of :mod:`hand_toolkit.jobs`; leaves no half of a file."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.conventions import SIDES
from ..core.errors import CancelledError, HandToolkitError, InputError
from ..jobs import Outcome, Processes, Task, run
from .config import SynthConfig
from .dataset import FORMAT, PICTURES, VERSION, model_fingerprint, write_json
from .plan import make_plan
from .scene import PARTS
from .subjects import make_subjects
from .worker import missing_views, rendering

MOST_FAILURES = 8
"""Poses that may fail before the rest is not begun: then the machine is what is wrong."""


@dataclass(frozen=True)
class SynthResult:
    """What a run did.

    Attributes:
        out: the data folder.
        pictures: finished in all.
        made: finished by this run.
    """

    out: Path
    pictures: int
    made: int


def synthesize(
    config: SynthConfig,
    out: Path | str,
    workers: int = 1,
    seed: int = 0,
    resume: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> SynthResult:
    """Render a data set of hands.

    Args:
        config: what to render.
        out: data folder; made if it does not exist.
        workers: rendering processes, each with ``config.threads`` threads.
        seed: the same seed and configuration give the same pictures.
        resume: keep finished samples of an earlier run with the same configuration.
        progress: called with (finished pictures, all pictures).

    Raises:
        InputError: the folder holds another data set, or pictures and ``resume`` is off.
        MissingDependencyError: bpy or OpenEXR is not installed.
        CancelledError: the user interrupted; finished samples stay.
        HandToolkitError: poses failed; the message names them.
    """
    engine = Processes(workers)
    out = Path(out)
    subjects = make_subjects(config, seed)
    plan = make_plan(config, subjects)
    total = len(plan) * config.views
    _prepare(out, config, seed, resume, subjects)
    tasks, begun = [], 0
    for unit in plan:
        subject = subjects[unit.subject]
        missing = len(missing_views(out, config, subject, unit.pose))
        if missing:
            key = f"{subject.split}/{subject.name}, pose {unit.pose:03d}"
            tasks.append(Task(key, unit, group=subject.name))
            begun += missing
    finished = made = total - begun

    def tell(done: int, failed: int, units: int, outcome: Outcome | None) -> None:
        nonlocal made
        if outcome is not None and outcome.failure is None:
            made += outcome.result
        if progress is not None:
            progress(made, total)

    work = functools.partial(rendering, out.resolve(), config, seed)
    try:
        report = run(work, tasks, engine=engine, progress=tell, most_failures=MOST_FAILURES)
    except CancelledError:
        raise CancelledError(
            f"stopped after {made - finished} new pictures; the same command continues"
        ) from None
    finally:
        for part in out.glob("**/*.part"):
            part.unlink(missing_ok=True)
    if report.failures:
        raise HandToolkitError(
            f"rendering failed for {len(report.failures)} of {len(tasks)} poses; the finished "
            f"pictures stay, the same command tries these again:\n{report.summary()}"
        )
    return SynthResult(out, made, made - finished)


def _prepare(out: Path, config: SynthConfig, seed: int, resume: bool, subjects: list[Any]) -> None:
    description = {
        "format": FORMAT,
        "version": VERSION,
        "hand_model": "default",
        "hand_model_fingerprint": model_fingerprint(),
        "sides": list(SIDES),
        "pictures": PICTURES,
        "labels": ["background", *PARTS],
        "seed": seed,
        "config": {k: v for k, v in config.to_json().items() if k not in ("skins", "threads")},
        "skins": config.skins is not None,
        "splits": {
            split: [s.name for s in subjects if s.split == split] for split in ("train", "test")
        },
    }
    path = out / "dataset.json"
    if path.exists():
        existing = json.loads(path.read_text(encoding="utf-8"))
        if not resume:
            raise InputError(f"{out} already holds a data set; give another folder or resume it")
        changed = [k for k in description if existing.get(k) != description[k]]
        if changed:
            raise InputError(
                f"{out} holds a data set that differs in {', '.join(changed)}; "
                "give another folder or the settings it was begun with"
            )
        return
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, description)

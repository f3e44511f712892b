"""Starts the rendering processes, follows them, and leaves nothing half-written."""

from __future__ import annotations

import json
import logging
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.conventions import SIDES
from ..core.errors import CancelledError, HandToolkitError, InputError
from .config import SynthConfig
from .dataset import FORMAT, PICTURES, VERSION, model_fingerprint, write_json
from .plan import make_plan
from .scene import PARTS
from .subjects import make_subjects

log = logging.getLogger(__name__)


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
        HandToolkitError: a worker failed.
    """
    if not 1 <= workers <= 512:
        raise InputError(f"workers is {workers}; accepted is 1 to 512")
    out = Path(out)
    subjects = make_subjects(config, seed)
    plan = make_plan(config, subjects)
    total = len(plan) * config.views
    _prepare(out, config, seed, resume, subjects)
    messages: queue.Queue[tuple[int, dict[str, Any] | None]] = queue.Queue()
    processes = [_start(out, config, seed, index, workers) for index in range(workers)]
    for index, process in enumerate(processes):
        threading.Thread(target=_listen, args=(index, process, messages), daemon=True).start()
    finished, made, alive = 0, 0, workers
    failure: HandToolkitError | None = None
    try:
        while alive:
            _, message = messages.get()
            if message is None:
                alive -= 1
            elif message["kind"] == "unit":
                finished += config.views
                made += message["made"]
                if progress is not None:
                    progress(finished, total)
            elif message["kind"] == "error" and failure is None:
                failure = HandToolkitError(f"a rendering process failed: {message['message']}")
                failure.exit_code = int(message["exit_code"])
                _stop(processes)
    except KeyboardInterrupt:
        raise CancelledError(
            f"stopped after {made} new pictures; the same command continues"
        ) from None
    finally:
        _stop(processes)
        for part in out.glob("**/*.part"):
            part.unlink(missing_ok=True)
    if failure is not None:
        raise failure
    if finished != total:
        codes = [process.returncode for process in processes]
        raise HandToolkitError(
            f"rendering ended after {finished} of {total} pictures (exit codes {codes}); "
            "run the same command again to continue"
        )
    return SynthResult(out, finished, made)


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


def _start(
    out: Path, config: SynthConfig, seed: int, index: int, workers: int
) -> subprocess.Popen[str]:
    job = {
        "out": str(out.resolve()),
        "config": config.to_json(),
        "seed": seed,
        "index": index,
        "workers": workers,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "hand_toolkit.synth.worker", json.dumps(job)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if not log.isEnabledFor(logging.DEBUG) else None,
        text=True,
    )


def _listen(
    index: int,
    process: subprocess.Popen[str],
    messages: queue.Queue[tuple[int, dict[str, Any] | None]],
) -> None:
    stream = process.stdout
    if stream is not None:
        for line in stream:
            messages.put((index, json.loads(line)))
    process.wait()
    messages.put((index, None))


def _stop(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

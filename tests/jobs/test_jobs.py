"""Many tasks: order, failures by name, processes that die, cancelling, resuming."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import chores
import pytest

from hand_toolkit.core.errors import CancelledError, HandToolkitError, InputError
from hand_toolkit.jobs import Ledger, Processes, Report, Task, each, run

ROOT = Path(__file__).resolve().parents[2]


def tasks(count: int) -> list[Task]:
    return [Task(f"t{k}", k) for k in range(count)]


def test_results_come_in_the_order_of_the_tasks() -> None:
    told: list[tuple[int, int, int]] = []
    came: list[str] = []

    def progress(done: int, failed: int, total: int, outcome: object) -> None:
        told.append((done, failed, total))
        if outcome is not None:
            came.append(outcome.key)  # type: ignore[attr-defined]

    report = run(each(chores.slow_first), tasks(6), engine=Processes(2), progress=progress)
    assert list(report.results.items()) == [(f"t{k}", k) for k in range(6)]
    assert not report.failures and report.summary() == ""
    assert came != list(report.results)  # the slow first one was passed
    assert told == [(k, 0, 6) for k in range(7)]
    assert run(each(chores.square), []).results == {}


def test_failing_items_are_named_and_stop_nobody() -> None:
    report = run(each(chores.fussy), tasks(9), engine=Processes(2))
    assert list(report.results) == ["t0", "t3", "t6"]
    assert [f.key for f in report.failures] == ["t1", "t2", "t4", "t5", "t7", "t8"]
    assert report.failures[0].message == "1 is no multiple of three; give another"
    assert report.failures[1].message == "ZeroDivisionError: oops"
    assert "chores.py" in report.failures[1].trace
    lines = report.summary().splitlines()
    assert lines[0] == "t1: 1 is no multiple of three; give another"
    assert len(lines) == 6 and lines[-1] == "and 1 more"


def test_too_many_failures_leave_the_rest() -> None:
    report = run(each(chores.fussy), tasks(60), most_failures=3)
    assert len(report.failures) == 3
    assert report.left > 50
    assert f"{report.left} were not begun" in report.summary()


def test_results_that_cannot_be_sent_are_failures() -> None:
    report = run(each(chores.unsendable), tasks(1))
    assert "pickle" in report.failures[0].message.lower()


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_killed_process_is_replaced(tmp_path: Path) -> None:
    marks = [str(tmp_path / name) for name in ("a", "b", "deadly", "c")]
    for name in ("a", "c"):
        (tmp_path / name).touch()  # these do not die
    report = run(each(chores.killed), [Task(m, m) for m in marks], engine=Processes(2))
    assert list(report.results) == [m for m in marks if not m.endswith("deadly")]
    assert [f.key for f in report.failures] == [marks[2]]
    assert report.failures[0].message.startswith("its process died 2 times (signal 9)")


def test_work_that_cannot_begin_is_one_error() -> None:
    with pytest.raises(HandToolkitError, match=r"pip install 'hand-toolkit\[synth\]'") as caught:
        run(chores.not_installed, tasks(3), engine=Processes(2))
    assert caught.value.exit_code == 5
    with pytest.raises(HandToolkitError, match=r"exit code 7\): Segmentation fault of a library"):
        run(chores.crashes_at_once, tasks(3))
    with pytest.raises(InputError, match="functools"):
        run(each(lambda item: item), tasks(1))
    with pytest.raises(InputError, match="two tasks have one key"):
        run(each(chores.square), [Task("a", 1), Task("a", 2)])
    with pytest.raises(InputError, match="accepted is 1 to 512"):
        Processes(0)


def test_groups_stay_with_a_process() -> None:
    many = [Task(f"{k}", k, group="xyz"[k % 3]) for k in range(30)]
    report = run(each(chores.who), many, engine=Processes(2))
    homes = [{report.results[f"{k}"] for k in range(g, 30, 3)} for g in range(3)]
    # three groups on two processes: at most the last tasks of one are shared
    assert sum(len(h) == 1 for h in homes) >= 2
    assert len(set().union(*homes)) <= 2


def test_a_caller_that_stops_leaves_nothing_behind(tmp_path: Path) -> None:
    def progress(done: int, failed: int, total: int, outcome: object) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(CancelledError, match="stopped after 4 of 400; the same command continues"):
        run(partial(chores.with_folder, tmp_path), tasks(400), engine=Processes(2),
            progress=progress)  # fmt: skip
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_stops_all_processes_and_leaves_no_half_of_a_file(tmp_path: Path) -> None:
    code = (
        "import sys, signal, chores\n"
        "from hand_toolkit.jobs import Processes, Task, each, run\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"paths = [f'{tmp_path}/{{k}}.txt' for k in range(200)]\n"
        "run(each(chores.written), [Task(p, p) for p in paths], engine=Processes(2))\n"
    )
    path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("[0-9]*.txt"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=60)[1]
    assert "CancelledError: stopped after" in errors
    files = list(tmp_path.iterdir())
    assert len(files) >= 3
    assert all(file.read_text() == "line\n" * 20 for file in files)  # hidden ones are files, too


def test_a_ledger_resumes(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    settings = {"power": 2, "sizes": (1, 2)}

    def progress(done: int, failed: int, total: int, outcome: object) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(CancelledError):
        run(each(chores.square), tasks(8), ledger=Ledger(path, settings), progress=progress)
    with path.open("a") as file:
        file.write('{"key": "t7", "resu')  # cut short
    ledger = Ledger(path, settings)
    assert 3 <= len(ledger.results) < 8 and "t7" not in ledger.results
    report = run(each(chores.square), tasks(8), ledger=ledger)
    assert report.results == {f"t{k}": k * k for k in range(8)}
    assert report.earlier == 3
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == 9 and len({row.get("key") for row in rows}) == 9
    again = run(each(chores.fussy), tasks(8), ledger=Ledger(path, settings))
    assert again == Report(report.results, (), earlier=8)
    with pytest.raises(InputError, match="other settings"):
        Ledger(path, {"power": 3})
    path.write_text("no ledger\n")
    with pytest.raises(InputError, match="no ledger of finished work"):
        Ledger(path, settings)

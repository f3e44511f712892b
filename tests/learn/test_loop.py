"""The loop on a toy: it learns, resumes to the same bytes, refuses what it cannot use."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from toy import ToyConfig, ToySettings, run

from hand_toolkit.core.errors import InputError
from hand_toolkit.learn.checkpoint import read_average, read_tensors

torch.set_num_threads(1)


def rows(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def losses(out: Path) -> list[float]:
    return [row["loss"] for row in rows(out) if "loss" in row]


def test_the_loss_goes_down_and_held_out_scores_follow(tmp_path: Path) -> None:
    seen: list[int] = []
    run(
        tmp_path,
        ToySettings(steps=150, score_every=75),
        on_step=lambda step, parts: seen.append(step),
    )
    curve = losses(tmp_path)
    assert seen == list(range(150)) and len(curve) == 150
    assert sum(curve[-10:]) < 0.35 * sum(curve[:10])  # dropout keeps it from zero
    scores = [row for row in rows(tmp_path) if "scores" in row]
    assert [row["step"] for row in scores] == [75, 150]
    assert scores[1]["scores"]["held out"] < 0.2
    assert list((tmp_path / "events").iterdir())


def test_a_stopped_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")

    def stop(step: int, parts: dict[str, float]) -> None:
        if step == 26:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", on_step=stop)
    cut = run(tmp_path / "cut")
    assert cut.read_bytes() == whole.read_bytes()
    # what came after the last checkpoint was done twice, and is logged once
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")


def test_an_average_is_kept_scored_and_resumed(tmp_path: Path) -> None:
    settings = ToySettings(average=0.9, score_every=40)
    whole = run(tmp_path / "whole", settings)
    run(tmp_path / "plain", ToySettings(score_every=40))
    assert losses(tmp_path / "plain") == losses(tmp_path / "whole")
    plain, averaged = (rows(tmp_path / name)[-1]["scores"] for name in ("plain", "whole"))
    assert plain != averaged
    mean = read_average(whole)
    tensors = read_tensors(whole)[0]
    name = "layers.0.weight"
    assert 0 < float((mean[name] - tensors[f"model.{name}"]).abs().max()) < 0.2

    def stop(step: int, parts: dict[str, float]) -> None:
        if step == 26:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", settings, on_step=stop)
    assert run(tmp_path / "cut", settings).read_bytes() == whole.read_bytes()


def test_scoring_changes_nothing(tmp_path: Path) -> None:
    run(tmp_path / "plain")
    run(tmp_path / "scored", ToySettings(score_every=7))
    assert losses(tmp_path / "scored") == losses(tmp_path / "plain")


def test_a_killed_process_loses_no_finished_checkpoint(tmp_path: Path) -> None:
    toy = Path(__file__).with_name("toy.py")
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    process = subprocess.Popen([sys.executable, str(toy), str(tmp_path / "cut"), "4000", "1000"],
                               env=environment, stderr=subprocess.DEVNULL)  # fmt: skip
    deadline = time.monotonic() + 60
    file = tmp_path / "cut" / "checkpoint.safetensors"
    while not file.is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    step = read_tensors(file)[1]["progress"]["step"]
    assert 10 <= step < 4000 and step % 10 == 0
    (tmp_path / "cut" / "log.jsonl").open("a").write('{"step": 3999, "lo')  # cut short by the kill
    settings = ToySettings(steps=4000)
    more: list[float] = []

    def enough(at: int, parts: dict[str, float]) -> None:
        more.append(parts["loss"])
        if at == step + 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", settings, on_step=enough)
    whole: list[float] = []

    def same(at: int, parts: dict[str, float]) -> None:
        whole.append(parts["loss"])
        if at == step + 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "whole", settings, on_step=same)
    assert len(more) == 5 and more == whole[-5:]
    assert losses(tmp_path / "cut") == whole[:-1]


def test_what_cannot_go_on_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"inf at step 5 on points \d.*lower the learning rate"):
        run(tmp_path / "bad", ToySettings(spoiled=5))
    run(tmp_path, ToySettings(steps=10))
    with pytest.raises(InputError, match="another width"):
        run(tmp_path, config=ToyConfig(width=4))
    with pytest.raises(InputError, match="trained as 'toy', not 'other'"):
        run(tmp_path, system="other")
    fresh: list[int] = []
    run(
        tmp_path,
        ToySettings(steps=3),
        config=ToyConfig(width=4),
        resume=False,
        on_step=lambda step, parts: fresh.append(step),
    )
    assert fresh == [0, 1, 2]
    with pytest.raises(InputError, match="log_every is 0"):
        ToySettings(log_every=0)

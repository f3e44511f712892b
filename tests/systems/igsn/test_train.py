"""Training: resumes exactly, learns, spreads over processes, refuses what it cannot use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from hand_toolkit.core.errors import FileFormatError, InputError
from hand_toolkit.learn import score_checkpoint, with_changes
from hand_toolkit.learn.losses import gradient_loss, perceptual_loss
from hand_toolkit.systems.igsn.checkpoint import load_model
from hand_toolkit.systems.igsn.config import TINY, TrainConfig
from hand_toolkit.systems.igsn.dataset import RenderedSet, Scene
from hand_toolkit.systems.igsn.evaluate import METRICS, TRAINING_METRICS
from hand_toolkit.systems.igsn.shading import sh_basis, shade, solve_light
from hand_toolkit.systems.igsn.train import train
from hand_toolkit.systems.igsn.weights import FILE

SETTINGS = TrainConfig(
    steps=8,
    coarse_steps=4,
    views_per_scene=2,
    warmup=1,
    checkpoint_every=4,
    log_every=1,
    subject_slots=2,
    perceptual="gradient",
)


def losses(folder: Path) -> list[float]:
    lines = (folder / "log.jsonl").read_text().splitlines()
    by_step = {row["step"]: row["loss"] for row in map(json.loads, lines)}
    return [by_step[k] for k in sorted(by_step)]


def test_killed_run_resumes_to_the_same_losses(rendered: Path, tmp_path: Path) -> None:
    train(TINY, rendered, tmp_path / "whole", settings=SETTINGS, device="cpu")

    def die(step: int, parts: dict[str, float]) -> None:
        if step == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(TINY, rendered, tmp_path / "cut", settings=SETTINGS, device="cpu", on_step=die)
    train(TINY, rendered, tmp_path / "cut", settings=SETTINGS, device="cpu")
    # threads may add in another order: the last bit of a float32 is not part of the promise
    assert losses(tmp_path / "cut") == pytest.approx(losses(tmp_path / "whole"), rel=1e-6)
    assert list((tmp_path / "cut" / "events").iterdir())


def test_training_lowers_the_loss(rendered: Path, tmp_path: Path) -> None:
    import dataclasses

    class Unseen(RenderedSet):
        """A source of one's own, without albedo to start the maps from."""

        def albedo_map(self, scenes: Sequence[Scene]) -> None:
            return None

    settings = dataclasses.replace(
        SETTINGS,
        steps=40,
        coarse_steps=40,
        learning_rate=5e-3,
        identity_rate=2e-2,
        hide_identity=0.0,
    )
    train(TINY, Unseen(rendered, TINY), tmp_path, settings=settings, device="cpu")
    curve = losses(tmp_path)
    assert sum(curve[-8:]) < 0.75 * sum(curve[:8])
    model, state = load_model(tmp_path / "checkpoint.safetensors")
    assert state["progress"]["step"] == 40
    assert set(state["progress"]["slots"]) == {"a", "b"}
    path = FILE.write(model.network, {"step": 40}, tmp_path / "w.safetensors")
    network, notes = FILE.read(path)
    assert network.config == TINY and notes["step"] == 40
    assert json.loads((tmp_path / "w.json").read_text())["config"]["name"] == "tiny"
    assert not any(p.requires_grad for p in network.parameters())


def test_identity_maps_start_from_the_albedo_pictures(rendered: Path) -> None:
    data = RenderedSet(rendered, TINY)
    tone = {}
    for subject in ("a", "b"):
        own = [s for s in data.scan() if s.subject == subject]
        albedo = data.albedo_map(own)
        assert albedo is not None
        assert albedo.shape == (2, 3, TINY.identity_size, TINY.identity_size)
        tone[subject] = albedo.mean((0, 2, 3))
    # the fixture's subjects are 0.5 and 0.75 times (1, 0.75, 0.62), give or take the stripes
    expected = torch.tensor([1.0, 0.75, 0.62])
    assert float((tone["a"] - 0.5 * expected).abs().max()) < 0.06
    assert float((tone["b"] - 0.75 * expected).abs().max()) < 0.06


def test_two_processes_train_together(rendered: Path, tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
        *("--master-port", "29517", "-m", "hand_toolkit.cli", "train", str(rendered)),
        *("-o", str(tmp_path), "--config", "tiny", "--device", "cpu", "--threads", "1"),
        *("--set", "steps=3", "--set", "log_every=1", "--set", "views_per_scene=1"),
        *("--set", "subject_slots=2", "--set", "coarse_steps=3"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    model, state = load_model(tmp_path / "checkpoint.safetensors")
    # two scenes a step, one on each process
    assert state["progress"]["cursor"] % 2 == 0
    assert len(losses(tmp_path)) == 3
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())


def test_data_that_cannot_be_used_is_named(rendered: Path, tmp_path: Path) -> None:
    import dataclasses

    with pytest.raises(InputError, match="not a folder"):
        train(TINY, tmp_path / "none", tmp_path / "o", settings=SETTINGS, device="cpu")
    with pytest.raises(FileFormatError, match=r"dataset\.json"):
        RenderedSet(tmp_path, TINY)
    one = dataclasses.replace(SETTINGS, subject_slots=1)
    with pytest.raises(InputError, match="raise subject_slots"):
        train(TINY, rendered, tmp_path / "o", settings=one, device="cpu")
    with pytest.raises(InputError, match="unknown setting"):
        with_changes(TINY, SETTINGS, ["stepz=3"])
    with pytest.raises(InputError, match="no JSON value"):
        with_changes(TINY, SETTINGS, ["steps=many"])


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"\x80\x04\x95" + bytes(200))
    with pytest.raises(FileFormatError):
        FILE.read(path)


def test_split_keeps_held_out_scenes_apart(rendered: Path) -> None:
    data = RenderedSet(rendered, TINY)
    keys = {s.key for s in data.scan()}
    parts = [{s.key for s in data.scan(n)} for n in ("train", "held-out", "test")]
    assert sum(len(p) for p in parts) == len(keys) == 9
    assert set().union(*parts) == keys


def test_light_is_recovered_from_shaded_points() -> None:
    torch.manual_seed(0)
    normals = torch.nn.functional.normalize(torch.randn(4000, 3), dim=1)
    light = torch.randn(9, 3) * 0.1
    light[0] = 2.5
    albedo = torch.rand(4000, 3) * 0.5 + 0.2
    found = solve_light(albedo, normals, albedo * (sh_basis(normals) @ light), torch.ones(4000), 0)
    assert float((found - light).abs().max()) < 1e-4
    assert float(shade(light, normals).min()) > 0


def test_gradient_loss_sees_blur_that_means_do_not() -> None:
    generator = torch.Generator().manual_seed(0)
    sharp = torch.rand(1, 32, 32, 3, generator=generator)
    mask = torch.ones(1, 32, 32)
    flat = sharp.mean((1, 2), keepdim=True).expand_as(sharp)
    assert float(gradient_loss(sharp, sharp, mask)) == 0
    assert float(gradient_loss(flat, sharp, mask)) > 0.3
    assert perceptual_loss("gradient", torch.device("cpu"))[0] == "gradient"
    with pytest.raises(InputError, match="accepted are"):
        perceptual_loss("l2", torch.device("cpu"))


def test_a_checkpoint_is_scored_on_held_out_poses(rendered: Path, tmp_path: Path) -> None:
    data = tmp_path / "data3"  # by this name, the first pose of both subjects is held out
    shutil.copytree(rendered, data)
    assert len(RenderedSet(data, TINY).scan("held-out")) == 2
    path = train(TINY, data, tmp_path / "run", settings=SETTINGS, device="cpu")
    scores = score_checkpoint(path, [data])
    assert set(METRICS) | {"psnr_albedo"} <= set(scores) <= set(TRAINING_METRICS)
    assert scores["psnr_box"] > 5 and np.isfinite(list(scores.values())).all()
    with pytest.raises(InputError, match="not a folder"):
        score_checkpoint(path, [tmp_path / "none"])


def test_the_prior_keeps_the_contract_of_trainings(rendered: Path, tmp_path: Path) -> None:
    from hand_toolkit.core.registry import registry
    from hand_toolkit.testing.training import check_training

    training = registry().get("trainings", "igsn")
    check_training(training, [rendered], tmp_path, config=TINY, settings=SETTINGS)

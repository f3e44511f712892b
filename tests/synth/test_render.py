"""Cycles renders in processes of their own: what is drawn is what the files say."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.core.conventions import SIDES
from hand_toolkit.core.errors import InputError
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy
from hand_toolkit.synth import HandSample, SynthConfig, open_dataset, synthesize

pytest.importorskip("bpy", reason="bpy has no wheel for this Python")
CONFIG = SynthConfig(
    size=96,
    samples=1,
    train_subjects=1,
    test_subjects=1,
    poses=1,
    test_poses=1,
    views=2,
    two_hands=0.0,
    texture_scale=0.2,
    threads=1,
)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hands")
    seen: list[tuple[int, int]] = []
    result = synthesize(CONFIG, out, seed=3, progress=lambda *done: seen.append(done))
    assert result.pictures == result.made == 4
    assert seen[-1] == (4, 4)
    return out


def silhouette(sample: HandSample) -> np.ndarray:
    """Pixels whose centre the projected level-2 hand covers."""
    import cv2

    scale = 8
    size = sample.camera.width
    canvas = np.zeros((size * scale, size * scale), np.uint8)
    for k, side in enumerate(SIDES):
        if sample.present[k]:
            model = load_hand_model(sample.hand_model, side, 2)
            args = (sample.theta[k], sample.shape, sample.translation[k])
            pixels = sample.camera.project(pose_hand_numpy(model, *args)[0])
            for face in np.round(pixels * scale).astype(np.int32)[model.faces]:
                cv2.fillConvexPoly(canvas, face, 1)
    area = cv2.resize(canvas.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    return area > 0.5


def test_pictures_show_what_the_files_say(rendered: Path) -> None:
    dataset = open_dataset(rendered)
    assert dataset.subjects("train") == ["s000"]
    assert dataset.subjects("test") == ["s001"]
    samples = dataset.samples()
    assert len(samples) == 4
    for sample in samples:
        image, labels = sample.picture(), sample.picture("labels")
        assert image.shape == (96, 96, 4)
        assert set(np.unique(labels)) <= {0, 1, 2, 3, 4}
        hand = np.isin(labels, [1, 2])
        side = 1 if sample.present[0] else 2
        assert hand.any()
        assert not np.isin(labels, [3 - side, 5 - side]).any()
        model = silhouette(sample) & ~np.isin(labels, [3, 4])
        overlap = (hand & model).sum() / (hand | model).sum()
        assert overlap > 0.93  # a pixel is 2 mm here; at 256 pixels it is above 0.97
        np.testing.assert_array_equal(labels > 0, image[..., 3] > 0.02 * 255)
        albedo = sample.picture("albedo")
        assert albedo[hand].mean() > 40
        assert not albedo[image[..., 3] == 0].any()
        assert 25 < image[hand][:, :3].mean() < 230
        assert sample.picture("photo").shape == (96, 96, 3)


def test_subjects_look_different(rendered: Path) -> None:
    tones = []
    for name, split in (("s000", "train"), ("s001", "test")):
        sample = open_dataset(rendered).samples(split, name)[0]
        hand = np.isin(sample.picture("labels"), [1, 2])
        tones.append(sample.picture("albedo")[hand].mean(0))
    assert np.abs(tones[0] - tones[1]).max() > 3


def test_resuming_renders_only_what_is_missing_and_the_same_bytes(rendered: Path) -> None:
    # of the subject that came second: now its light is the first that Blender is given
    victim = sorted(rendered.glob("test/s001/*_01.json"))[0]
    files = sorted(victim.parent.glob(f"{victim.stem}*"))
    before = {path: path.read_bytes() for path in files if path.suffix != ".json"}
    for path in files:
        path.unlink()
    result = synthesize(CONFIG, rendered, seed=3)
    assert (result.pictures, result.made) == (4, 1)
    assert {path: path.read_bytes() for path in before} == before


def test_another_configuration_is_refused(rendered: Path) -> None:
    with pytest.raises(InputError, match="seed"):
        synthesize(CONFIG, rendered, seed=4)
    with pytest.raises(InputError, match="already"):
        synthesize(CONFIG, rendered, seed=3, resume=False)


def test_an_interrupt_leaves_nothing_half_written(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hand_toolkit.synth", str(tmp_path / "out"), "--size=64",
               "--samples=1", "--train-subjects=3", "--test-subjects=0", "--poses=30",
               "--views=2", "--texture-scale=0.2", "--two-hands=0", "--threads=1"]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("out/train/*/*_*.json")) and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "continues" in messages
    assert not list(tmp_path.glob("out/**/*.part"))
    samples = open_dataset(tmp_path / "out").samples()
    assert samples
    for sample in samples:
        assert sample.picture().shape == (64, 64, 4)
        assert sample.picture("photo").shape == (64, 64, 3)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"dataset.json", "train"}

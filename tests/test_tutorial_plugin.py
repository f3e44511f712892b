"""The tutorial plugin, installed as its readme says, passes its own tests and finds hands."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from environments import OFFLINE, ROOT, clean_environment, pip, run
from PIL import Image

from hand_toolkit.core.metrics import pa_mpjpe_mm

PLUGIN = ROOT / "docs" / "tutorial_plugin"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables under which the plugin is installed beside the toolkit."""
    source = tmp_path_factory.mktemp("source") / "plugin"
    shutil.copytree(PLUGIN, source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    target = tmp_path_factory.mktemp("installed")
    pip(sys.executable, "install", *OFFLINE, "--target", target, source)
    return clean_environment(PYTHONPATH=str(target))


def hand_toolkit(environment: dict[str, str], *arguments: str | Path) -> str:
    return run(sys.executable, "-m", "hand_toolkit.cli", *arguments, env=environment)


def test_its_own_tests_pass(environment: dict[str, str]) -> None:
    options = ("-q", "-p", "no:cacheprovider", "--rootdir", PLUGIN)
    text = run(sys.executable, "-m", "pytest", *options, PLUGIN / "tests", env=environment)
    assert " passed" in text
    assert "skipped" not in text


def test_the_toolkit_lists_it(environment: dict[str, str]) -> None:
    text = hand_toolkit(environment, "plugins")
    assert (
        "colour_glove (hand-toolkit-colour-glove 0.1.0): pose sources: colour-glove; "
        "methods: one-colour" in text
    )
    assert "FAILED" not in text


def test_pose_reads_a_picture_through_it(environment: dict[str, str], tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import numpy as np; from glove_pictures import *\n"
        "truth = true_keypoints('right', (0.01, 0.09, 0.5), 0.2)\n"
        "np.save(sys.argv[2] + '/truth.npy', truth)\n"
        "np.save(sys.argv[2] + '/pixels.npy', draw({'right': truth}).pixels)\n"
    )
    run(sys.executable, "-c", code, PLUGIN / "tests", tmp_path, env=environment)
    Image.fromarray(np.load(tmp_path / "pixels.npy")).save(tmp_path / "glove.png")
    arguments = ("--pose-source", "colour-glove", "--focal", "600")
    out = tmp_path / "glove.npz"
    hand_toolkit(environment, "pose", tmp_path / "glove.png", "-o", out, *arguments)
    with np.load(out, allow_pickle=False) as motion:
        assert motion["present"].tolist() == [[True, False]]
        joints = motion["joints_cam_m"][0, 0]
        pixels = motion["keypoints_2d"][0, 0]
    truth = np.load(tmp_path / "truth.npy")
    shown = truth[:, :2] / truth[:, 2:] * 600 + [320, 240]
    assert np.linalg.norm(pixels - shown, axis=1).mean() < 3.0  # measured: 2.7
    # measured: 7.5; 5.3 where outlines, which the drawn glove's are none of a hand's, pull less
    assert pa_mpjpe_mm(joints, truth) < 8.0


def test_fit_runs_its_method(environment: dict[str, str], tmp_path: Path) -> None:
    from hand_toolkit import Avatar
    from hand_toolkit.media.demo import PICTURE

    assert "one-colour" in hand_toolkit(environment, "methods")
    arguments = ("--method", "one-colour", "--set", "opacity=0.5")
    hand_toolkit(environment, "fit", PICTURE, "-o", tmp_path / "flat.hand", *arguments)
    avatar = Avatar.load(tmp_path / "flat.hand")
    assert avatar.provenance["method"] == "one-colour"
    for hand in avatar.hands:
        assert np.ptp(hand.color, axis=0).max() == 0
        np.testing.assert_allclose(hand.opacity, 0.5)
    red, green, blue = avatar.hands[0].color[0]
    assert red > green > blue  # skin, whosever it is

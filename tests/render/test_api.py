"""What ``render`` accepts, returns and refuses, on every backend that runs here."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from scenes import FIELDS, in_torch, psnr, random_camera, random_splats

from hand_toolkit.core.errors import InputError
from hand_toolkit.core.types import Camera, Splats
from hand_toolkit.render import render, set_threads

SPLATS = random_splats(40, 1)
CAMERA = random_camera(33, 21, 1)


def test_numpy_gives_numpy_without_importing_torch() -> None:
    code = """
import sys, numpy as np
from hand_toolkit.render import render
from hand_toolkit.core.types import Camera, Splats
f = np.float32
s = Splats(np.array([[0, 0, 1]], f), np.array([[1, 0, 0, 0]], f), np.full((1, 3), .1, f),
           np.ones(1, f), np.ones((1, 3), f))
out = render(s, Camera(20, 20, 8, 8, 16, 16))
assert isinstance(out.color, np.ndarray) and out.color.shape == (16, 16, 3)
assert out.alpha[8, 8] > 0.9, out.alpha[8, 8]
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_importing_the_package_is_light() -> None:
    code = "import sys, hand_toolkit.render; assert not {'torch', 'numba'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_shapes_of_one_and_of_several_cameras(backend: str) -> None:
    one = render(SPLATS, CAMERA, backend=backend, with_ids=True, with_median_depth=True)
    assert one.color.shape == (21, 33, 3)
    for array in (one.alpha, one.depth, one.median_depth, one.ids):
        assert array.shape == (21, 33)
    assert one.ids.dtype == np.int32
    other = random_camera(33, 21, 2)
    several = render(SPLATS, [CAMERA, other], [[0, 0, 0], [1, 0, 0]], backend=backend)
    assert several.color.shape == (2, 21, 33, 3)
    np.testing.assert_array_equal(several.color[0], one.color)
    np.testing.assert_array_equal(
        several.color[1], render(SPLATS, other, (1, 0, 0), backend=backend).color
    )
    assert several.ids is None and several.median_depth is None
    assert render(SPLATS, [CAMERA], backend=backend).color.shape == (1, 21, 33, 3)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_pose_gradients_of_several_cameras(backend: str) -> None:
    import torch

    cameras = [CAMERA, random_camera(33, 21, 2)]
    poses = torch.tensor(np.stack([c.world_to_camera for c in cameras]), dtype=torch.float32)
    poses.requires_grad_()
    out = render(in_torch(SPLATS, "float32"), cameras, backend=backend, world_to_camera=poses)
    out.color[1].sum().backward()
    assert poses.grad is not None
    assert (poses.grad[0] == 0).all() and (poses.grad[1] != 0).any()


def test_world_to_camera_replaces_the_cameras_own() -> None:
    moved = dataclasses.replace(CAMERA, world_to_camera=np.eye(4))
    pose = CAMERA.world_to_camera
    np.testing.assert_array_equal(
        render(SPLATS, moved, world_to_camera=pose).color, render(SPLATS, CAMERA).color
    )


def test_a_gradient_survives_only_untouched_pictures() -> None:
    import torch

    splats = in_torch(SPLATS, "float32", True)
    out = render(splats, CAMERA)
    with torch.no_grad():
        out.color.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.alpha.sum().backward()


def test_several_pictures_may_be_differentiated_together() -> None:
    """Each keeps its own lists: the second forward must not disturb the first's backward."""
    first = in_torch(SPLATS, "float32", True)
    alone = in_torch(SPLATS, "float32", True)
    render(alone, CAMERA).color.sum().backward()
    a = render(first, CAMERA).color.sum()
    b = render(in_torch(random_splats(500, 8), "float32", True), random_camera(70, 50)).color.sum()
    (a + b).backward()
    for name in FIELDS:
        assert getattr(first, name).grad.equal(getattr(alone, name).grad)


def _splats(**changes: object) -> Splats:
    return Splats(**{**{n: getattr(SPLATS, n) for n in FIELDS}, **changes})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"backend": "vulkan"},
            "unknown backend 'vulkan'; accepted are auto, reference, cpu, cuda",
        ),
        ({"camera": []}, "no camera"),
        ({"camera": [CAMERA, random_camera(8, 8)]}, r"sizes \[\(8, 8\), \(33, 21\)\]"),
        ({"camera": ["front"]}, "camera is a str"),
        ({"background": [0, 0]}, r"background has shape \(2,\); accepted are \(3,\) and \(1, 3\)"),
        ({"world_to_camera": np.eye(3)}, r"world_to_camera has shape \(3, 3\)"),
        (
            {"splats": _splats(means=SPLATS.means.astype(np.float64))},
            "mix dtypes .means float64",
        ),
        ({"splats": _splats(opacities=np.ones(40, int))}, "opacities is int64"),
        (
            {"splats": Splats(*(getattr(SPLATS, n).astype(np.float64) for n in FIELDS))},
            "float64 and the cpu backend renders float32",
        ),
        (
            {"splats": _splats(colors=in_torch(SPLATS, "float32").colors)},
            "mix torch tensors with numpy arrays .means, quats, scales, opacities",
        ),
    ],
)
def test_wrong_input_is_explained(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        render(**{"splats": SPLATS, "camera": CAMERA, **arguments})


def test_thread_count_is_checked() -> None:
    for count in (0, 65, -1):
        with pytest.raises(InputError, match="accepted is 1 to 64"):
            set_threads(count)


def test_reference_takes_numpy() -> None:
    out = render(SPLATS, CAMERA, backend="reference")
    assert isinstance(out.color, np.ndarray)
    assert psnr(render(SPLATS, CAMERA).color, out.color) > 60


def test_camera_offsets_move_the_picture() -> None:
    """A window of a larger picture is that part of it: focal length and centre mean pixels."""
    large = random_camera(80, 60, 4)
    part = Camera(large.fx, large.fy, large.cx - 16, large.cy - 10, 40, 30, large.world_to_camera)
    small_splats = random_splats(60, 2, size=0.01)
    whole = render(small_splats, large).color[10:40, 16:56]
    assert psnr(render(small_splats, part).color, whole) > 60

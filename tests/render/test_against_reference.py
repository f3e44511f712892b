"""The CPU renderer against the float64 reference: values and gradients on random scenes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from scenes import FIELDS, Scene, in_torch, psnr, random_camera, random_splats, scenes

from hand_toolkit.core.types import Splats
from hand_toolkit.render import render

QUICK: dict[str, Any] = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.too_slow],
    "database": None,
}


@settings(max_examples=60, **QUICK)
@given(scenes())
def test_values_are_within_60_db(scene: Scene) -> None:
    got = render(
        scene.splats,
        scene.camera,
        scene.background,
        backend="cpu",
        antialiased=scene.antialiased,
        with_ids=True,
        with_median_depth=True,
    )
    want = render(
        in_torch(scene.splats, "float64"),
        scene.camera,
        scene.background,
        backend="reference",
        antialiased=scene.antialiased,
        with_ids=True,
        with_median_depth=True,
    )
    assert psnr(got.color, want.color.numpy()) >= 60
    assert psnr(got.alpha, want.alpha.numpy()) >= 60
    # Where a splat's alpha is 1/255 to the last digit, one side may drop it.
    settled = np.abs(got.alpha - want.alpha.numpy()) < 1e-3
    assert (~settled).sum() <= max(1, settled.size // 1000)
    assert psnr(got.depth[settled], want.depth.numpy()[settled], peak=2.0) >= 60
    agree = got.ids == want.ids.numpy()
    assert agree.mean() > 0.99 or (~agree).sum() <= 1
    near = np.abs(got.median_depth - want.median_depth.numpy()) < 1e-4
    assert near.mean() > 0.99 or (~near).sum() <= 1


def _gradients(scene: Scene, backend: str, dtype: str, weights: np.ndarray) -> list[np.ndarray]:
    import torch

    splats = in_torch(scene.splats, dtype, requires_grad=True)
    like = {"dtype": getattr(torch, dtype), "requires_grad": True}
    pose = torch.tensor(scene.camera.world_to_camera, **like)
    background = torch.tensor(scene.background, **like)
    out = render(
        splats,
        scene.camera,
        background,
        backend=backend,
        antialiased=scene.antialiased,
        world_to_camera=pose,
    )
    planes = torch.cat([out.color, out.alpha[..., None], out.depth[..., None]], -1)
    (planes * torch.tensor(weights, dtype=planes.dtype)).sum().backward()
    leaves = [getattr(splats, n) for n in FIELDS] + [pose, background]
    return [leaf.grad.double().numpy() for leaf in leaves]


@settings(max_examples=30, **QUICK)
@given(scenes(largest=100))
def test_gradients_are_within_a_thousandth(scene: Scene) -> None:
    shape = (scene.camera.height, scene.camera.width, 5)
    weights = np.random.default_rng(1).standard_normal(shape)
    got = _gradients(scene, "cpu", "float32", weights)
    want = _gradients(scene, "reference", "float64", weights)
    for name, g, w in zip((*FIELDS, "world_to_camera", "background"), got, want):
        error = np.linalg.norm(g - w)
        assert error <= 1e-3 * np.linalg.norm(w) + 1e-6, (name, error / np.linalg.norm(w))


@pytest.mark.parametrize("coefficients", [0, 16])
def test_gradients_agree_with_finite_differences(coefficients: int) -> None:
    """The reference itself: its gradients against central differences of its values."""
    import torch

    splats = in_torch(random_splats(12, 5, coefficients, size=0.08), "float64", True)
    camera = random_camera(24, 20, 3)
    pose = torch.tensor(camera.world_to_camera, requires_grad=True)
    weights = torch.tensor(np.random.default_rng(2).random((20, 24, 3)))

    def loss(*arrays: torch.Tensor) -> torch.Tensor:
        *attributes, world_to_camera = arrays
        out = render(
            Splats(*attributes), camera, backend="reference", world_to_camera=world_to_camera
        )
        return (out.color * weights).sum()

    leaves = [getattr(splats, n) for n in FIELDS] + [pose]
    loss(*leaves).backward()
    rng = np.random.default_rng(3)
    for k, leaf in enumerate(leaves):
        direction = torch.tensor(rng.standard_normal(leaf.shape))
        if k == 5:
            direction[3] = 0
        step = 1e-7
        with torch.no_grad():
            moved = [
                [a + s * step * direction if a is leaf else a for a in leaves] for s in (1, -1)
            ]
            slope = (loss(*moved[0]) - loss(*moved[1])) / (2 * step)
        assert float((leaf.grad * direction).sum()) == pytest.approx(
            float(slope), rel=2e-3, abs=2e-3
        )


def test_equal_depths_keep_the_order_of_the_splats() -> None:
    splats = random_splats(300, 9, ties=True, size=0.1)
    camera = random_camera(64, 64, 1, turned=False)
    want = render(in_torch(splats, "float64"), camera, backend="reference", with_ids=True)
    got = render(splats, camera, backend="cpu", with_ids=True)
    assert len(np.unique(splats.means[:, 2])) <= 5
    assert psnr(got.color, want.color.numpy()) >= 90
    flipped = Splats(*(getattr(splats, n)[::-1].copy() for n in FIELDS))
    assert psnr(render(flipped, camera).color, got.color) < 50


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_reference_keeps_the_dtype(dtype: str) -> None:
    import torch

    out = render(in_torch(random_splats(5), dtype), random_camera(8, 8), backend="reference")
    assert out.color.dtype == getattr(torch, dtype)

"""The CUDA backend: messages and fallback here, its kernels where there is a device.

gsplat's kernels cannot run without CUDA, so what is tested without one is only this
project's side of the border: what is handed to ``gsplat.rasterization`` and what is made of
its answer, and gsplat's own plain-torch projection against the reference.
"""

from __future__ import annotations

import logging
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scenes import FIELDS, in_torch, psnr, random_camera, random_splats

from hand_toolkit.core.types import Splats
from hand_toolkit.render import cuda, render
from hand_toolkit.render.options import CameraView, RenderOptions


@pytest.fixture
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    cuda.why_unavailable.cache_clear()
    yield
    cuda.why_unavailable.cache_clear()


@pytest.mark.usefixtures("no_cuda")
def test_without_a_device_the_cpu_renders_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    splats, camera = random_splats(50), random_camera(40, 30)
    with caplog.at_level(logging.WARNING):
        out = render(splats, camera, backend="cuda")
    np.testing.assert_array_equal(out.color, render(splats, camera, backend="cpu").color)
    assert "needs a CUDA device" in caplog.text and "Rendering on the CPU" in caplog.text


def _with_device(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    cuda.why_unavailable.cache_clear()


@pytest.mark.usefixtures("no_cuda")
def test_each_reason_has_its_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_device(monkeypatch)
    monkeypatch.setitem(sys.modules, "gsplat", None)
    assert "pip install 'hand-toolkit[cuda]'" in str(cuda.why_unavailable())

    fake: Any = types.ModuleType("gsplat")
    monkeypatch.setitem(sys.modules, "gsplat", fake)
    monkeypatch.setitem(sys.modules, "gsplat.cuda", types.ModuleType("gsplat.cuda"))
    backend: Any = types.ModuleType("gsplat.cuda._backend")
    monkeypatch.setitem(sys.modules, "gsplat.cuda._backend", backend)
    cuda.why_unavailable.cache_clear()
    assert "do not build or load" in str(cuda.why_unavailable())

    backend._C = None
    cuda.why_unavailable.cache_clear()
    assert "no CUDA toolkit" in str(cuda.why_unavailable())

    backend._C = object()
    cuda.why_unavailable.cache_clear()
    assert cuda.why_unavailable() is None


def test_what_gsplat_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    calls: list[Any] = []

    def rasterization(*args: Any, **kwargs: Any) -> tuple:
        calls.append((args, kwargs))
        color = torch.full((2, 30, 40, 4), 0.25)
        alpha = torch.zeros(2, 30, 40, 1)
        alpha[:, :10] = 0.5
        return color, alpha, {}

    fake: Any = types.ModuleType("gsplat")
    fake.rasterization = rasterization
    monkeypatch.setitem(sys.modules, "gsplat", fake)
    raw = random_splats(20, 1, 9)
    raw.means[3, 1] = np.nan
    raw.quats[5] = 0
    cameras = [random_camera(40, 30, k) for k in (1, 2)]
    views = [CameraView(c, c.world_to_camera, np.full(3, 0.1 * k)) for k, c in enumerate(cameras)]
    out = cuda.render_views(in_torch(raw, "float32"), views, RenderOptions(antialiased=True))
    (args, kwargs), *rest = calls
    assert not rest
    means, quats, scales, opacities, colors, poses, intrinsics, width, height = args
    kept = np.delete(np.arange(20), [3, 5])
    for name, value in zip(FIELDS, (means, quats, scales, opacities, colors)):
        np.testing.assert_array_equal(value.numpy(), getattr(raw, name)[kept])
    np.testing.assert_allclose(poses[1].numpy(), cameras[1].world_to_camera, rtol=1e-6)
    np.testing.assert_allclose(intrinsics[0].numpy(), cameras[0].intrinsics, rtol=1e-6)
    assert (width, height) == (40, 30)
    assert kwargs["sh_degree"] == 2 and kwargs["rasterize_mode"] == "antialiased"
    assert kwargs["render_mode"] == "RGB+ED" and kwargs["eps2d"] == 0.3
    assert (kwargs["near_plane"], kwargs["far_plane"]) == (0.01, 1000.0)
    np.testing.assert_allclose(kwargs["backgrounds"].numpy(), [[0, 0, 0], [0.1, 0.1, 0.1]])
    assert out.color.shape == (2, 30, 40, 3) and out.alpha.shape == (2, 30, 40)
    assert (out.depth[:, :10] == 0.25).all() and (out.depth[:, 10:] == 0).all()


@pytest.mark.parametrize("antialiased", [False, True])
def test_reference_projection_is_gsplats(antialiased: bool) -> None:
    """gsplat's own torch projection and spherical harmonics, as an outside judge."""
    import torch
    from gsplat.cuda._torch_impl import (
        _fully_fused_projection,
        _quat_scale_to_covar_preci,
        _spherical_harmonics,
    )

    from hand_toolkit.render.reference import project

    splats = in_torch(random_splats(200, 3, 16, size=0.1), "float64")
    camera = random_camera(90, 70, 3)
    pose = torch.tensor(camera.world_to_camera)
    got = project(splats, camera, pose, antialiased)
    covariance, _ = _quat_scale_to_covar_preci(splats.quats, splats.scales, True, False)
    _, means2d, depths, conics, compensation = _fully_fused_projection(
        splats.means,
        covariance,
        pose[None],
        torch.tensor(camera.intrinsics)[None],
        90,
        70,
        near_plane=0.01,
        calc_compensations=True,
    )
    torch.testing.assert_close(got["means2d"], means2d[0])
    torch.testing.assert_close(got["depths"], depths[0])
    torch.testing.assert_close(got["conics"], conics[0])
    opacities = splats.opacities * compensation[0] if antialiased else splats.opacities
    torch.testing.assert_close(got["opacities"], opacities, rtol=1e-5, atol=1e-6)
    eye = -pose[:3, :3].T @ pose[:3, 3]
    colors = _spherical_harmonics(3, splats.means - eye, splats.colors)
    torch.testing.assert_close(got["colors"], (colors + 0.5).clamp(min=0))


@pytest.mark.gpu
@pytest.mark.parametrize("coefficients", [0, 16])
@pytest.mark.parametrize("antialiased", [False, True])
def test_cuda_matches_the_reference(coefficients: int, antialiased: bool) -> None:
    raw, camera = random_splats(500, 2, coefficients), random_camera(120, 90, 2)
    options = {"antialiased": antialiased, "with_ids": True, "with_median_depth": True}
    want = render(in_torch(raw, "float64"), camera, backend="reference", **options)
    got = render(raw, camera, backend="cuda", **options)
    assert cuda.why_unavailable() is None
    assert psnr(got.color, want.color.numpy()) > 60
    assert psnr(got.alpha, want.alpha.numpy()) > 60
    assert psnr(got.depth, want.depth.numpy(), 2.0) > 50
    assert (got.ids == want.ids.numpy()).mean() > 0.99
    assert (np.abs(got.median_depth - want.median_depth.numpy()) < 1e-3).mean() > 0.99


@pytest.mark.gpu
def test_cuda_gradients_match_the_reference() -> None:
    import torch

    raw, camera = random_splats(200, 2), random_camera(80, 60, 2)
    grads: list[list[Any]] = []
    for dtype, device, backend in (("float64", "cpu", "reference"), ("float32", "cuda", "cuda")):
        leaves = Splats(
            *(getattr(in_torch(raw, dtype), n).to(device).requires_grad_() for n in FIELDS)
        )
        pose = torch.tensor(camera.world_to_camera, dtype=leaves.means.dtype, requires_grad=True)
        out = render(leaves, camera, backend=backend, world_to_camera=pose)
        (out.color.square().sum() + out.alpha.sum()).backward()
        grads.append(
            [getattr(leaves, n).grad.double().cpu() for n in FIELDS] + [pose.grad.double()]
        )
    for a, b in zip(*grads):
        assert float((a - b).norm()) < 2e-3 * float(a.norm())

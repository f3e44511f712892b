"""Spherical harmonics: orthonormal, equal in numpy, torch and the add-on's own copy."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hand_toolkit.geometry.sh import COUNTS, LAMBERT_BANDS, bands, sh_basis, sh_colors_torch

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

ADDON = Path(__file__).resolve().parents[2] / "blender_addon"


def directions(count: int) -> np.ndarray:
    """Evenly spread unit vectors."""
    k = np.arange(count) + 0.5
    z = 1 - 2 * k / count
    angle = np.pi * (1 + 5**0.5) * k
    r = np.sqrt(1 - z * z)
    return np.stack([r * np.cos(angle), r * np.sin(angle), z], 1)


@st.composite
def units(draw: st.DrawFn) -> np.ndarray:
    """(N, 3) unit vectors."""
    raw = draw(arrays(float, (draw(st.integers(1, 5)), 3), elements=st.floats(-1, 1, width=32)))
    raw[np.linalg.norm(raw, axis=1) < 0.1] = [0.0, 0.0, 1.0]
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def addon_function(file: str, name: str, **given: Any) -> Any:
    """A function of the add-on, which imports bpy and so cannot be imported here."""
    tree = ast.parse((ADDON / file).read_text(encoding="utf-8"))
    wanted = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
    space = {"np": np, **given}
    exec(compile(ast.Module(wanted, []), file, "exec"), space)
    return space[name]


def test_the_basis_is_orthonormal() -> None:
    basis = sh_basis(directions(200_000), 16)
    product = basis.T @ basis * (4 * np.pi / len(basis))
    np.testing.assert_allclose(product, np.eye(16), atol=1e-4)


@QUICK
@given(units(), st.sampled_from(COUNTS))
def test_torch_agrees_with_numpy(n: np.ndarray, count: int) -> None:
    ours = sh_basis(n, count)
    assert ours.shape == (len(n), count)
    assert np.allclose(sh_basis(torch.tensor(n), count).numpy(), ours, atol=1e-14)
    single = sh_basis(torch.tensor(n, dtype=torch.float32), count)
    assert single.dtype == torch.float32 and np.allclose(single.numpy(), ours, atol=3e-6)


@QUICK
@given(units())
def test_the_addon_has_the_same(n: np.ndarray) -> None:
    assert np.allclose(addon_function("lights.py", "sh_basis")(n), sh_basis(n, 9), atol=1e-14)


@QUICK
@given(units(), st.floats(0.1, 10))
def test_colours_do_not_depend_on_the_length(n: np.ndarray, length: float) -> None:
    coefficients = torch.linspace(-0.5, 0.7, len(n) * 48, dtype=torch.float64).view(-1, 16, 3)
    one, other = (sh_colors_torch(coefficients, torch.tensor(n * s)) for s in (1.0, length))
    want = np.einsum("nk,nkc->nc", sh_basis(n, 16), coefficients.numpy()) + 0.5
    assert torch.allclose(one, other) and np.allclose(one, np.maximum(want, 0))


def test_bands_and_their_cosine_lobe() -> None:
    assert bands(9).tolist() == [0, 1, 1, 1, 2, 2, 2, 2, 2]
    # the lobe's integrals against the zonal harmonics, by quadrature
    n = directions(200_000)
    lobe = np.maximum(n[:, 2], 0)[:, None] * sh_basis(n, 9)
    zonal = sh_basis(np.array([[0.0, 0, 1]]), 9)[0][[0, 2, 6]]
    found = lobe.mean(0)[[0, 2, 6]] * 4 / zonal
    assert found == pytest.approx(LAMBERT_BANDS[:3], abs=1e-3)

"""The sRGB curve: its standard's values, its inverse, numpy and torch alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hand_toolkit.geometry.colour import linear_to_srgb, srgb_curve, srgb_to_linear

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

VALUES = arrays(float, st.integers(1, 8), elements=st.floats(0, 1, width=32))


def test_values_of_the_standard() -> None:
    assert srgb_to_linear(np.array(0.5)) == pytest.approx(0.21404114, abs=1e-8)
    assert linear_to_srgb(np.array(0.18)) == pytest.approx(0.46135613, abs=1e-7)
    assert srgb_to_linear(0.04045) == pytest.approx(0.04045 / 12.92)
    assert linear_to_srgb(np.array([-1.0, 2.0])) == pytest.approx([0.0, 1.0])


@QUICK
@given(VALUES)
def test_there_and_back_in_numpy_and_torch(values: np.ndarray) -> None:
    linear = srgb_to_linear(values)
    # the standard's two branches meet within 3e-8 only
    assert np.allclose(linear_to_srgb(linear), values, atol=1e-6)
    tensor = torch.tensor(values)
    assert np.allclose(srgb_to_linear(tensor).numpy(), linear, atol=1e-14)
    assert np.allclose(linear_to_srgb(tensor).numpy(), linear_to_srgb(values), atol=1e-14)


@QUICK
@given(arrays(float, 6, elements=st.floats(0, 4, width=32)))
def test_the_curve_goes_on_above_one(linear: np.ndarray) -> None:
    shown = srgb_curve(linear)
    assert np.all(np.diff(srgb_curve(np.sort(linear))) >= 0)
    assert np.allclose(srgb_curve(torch.tensor(linear)).numpy(), shown, atol=1e-14)
    assert np.allclose(np.minimum(shown, 1), linear_to_srgb(linear), atol=1e-12)


def test_gradients_are_finite_at_black() -> None:
    black = torch.zeros(3, requires_grad=True)
    (srgb_to_linear(black) + linear_to_srgb(black)).sum().backward()
    assert torch.allclose(black.grad, torch.full((3,), 1 / 12.92 + 12.92))

"""Sums that do not depend on the order in which threads come."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from hand_toolkit.learn.repeatable import repeatable_sums


@pytest.fixture
def four_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(threads)


def gathered_gradient() -> torch.Tensor:
    """Gradient of values that are read many times each, with weights of very unlike sizes."""
    generator = torch.Generator().manual_seed(0)
    values = torch.zeros(16, requires_grad=True)
    index = torch.randint(16, (400_000,), generator=generator)
    weights = torch.randn(400_000, generator=generator) * 10 ** torch.randn(
        400_000, generator=generator
    )
    (values[index] * weights).sum().backward()
    assert values.grad is not None
    return values.grad


@pytest.mark.usefixtures("four_threads")
def test_gradients_of_gathered_values_are_equal_in_every_bit() -> None:
    with repeatable_sums("cpu"):
        first = gathered_gradient()
        assert all(torch.equal(gathered_gradient(), first) for _ in range(10))


def test_the_setting_is_put_back_after_an_error() -> None:
    before = torch.get_deterministic_debug_mode()
    with pytest.raises(KeyError), repeatable_sums("cpu"):
        assert torch.get_deterministic_debug_mode() == 1
        raise KeyError
    assert torch.get_deterministic_debug_mode() == before
    with repeatable_sums("cuda"):
        assert torch.get_deterministic_debug_mode() == before

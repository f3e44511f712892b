"""Epochs use every key once; rates follow their formulas."""

from __future__ import annotations

import json

import pytest

from hand_toolkit.learn import EpochOrder
from hand_toolkit.learn.schedule import cosine, halving


def test_an_epoch_uses_every_key_and_is_filled_to_whole_steps() -> None:
    keys = [f"{k}" for k in range(7)]
    order = EpochOrder()
    assert order.finished
    order.begin(keys, seed=1, per_step=3)
    taken = [order.take(3) for _ in range(3)]
    assert order.finished and order.ahead == []
    flat = [key for step in taken for key in step]
    assert sorted(flat[:7]) == keys and flat[7:] == flat[:2]
    order.begin(keys, seed=1, per_step=3)
    assert order.epoch == 1 and order.order[:7] != flat[:7]


def test_order_goes_on_from_json() -> None:
    first, second = EpochOrder(), EpochOrder()
    first.begin("abcdefgh", seed=2, per_step=2)
    first.take(4)
    second.restore({**json.loads(json.dumps(first.state())), "slots": {}})
    assert second.ahead == first.ahead and len(second.ahead) == 4
    second.give_up()
    assert second.finished and not first.finished
    for order in (first, second):
        order.begin("abcdefgh", seed=2, per_step=2)
    assert first == second


def test_rates() -> None:
    assert halving(0, 100, warmup=10) == pytest.approx(0.1)
    assert halving(200, 100, warmup=10) == pytest.approx(0.25)
    assert cosine(0, 100) == 1 and cosine(50, 100) == pytest.approx(0.5)
    assert cosine(100, 100, floor=0.1) == pytest.approx(0.1) == cosine(140, 100, floor=0.1)
    assert cosine(4, 100, warmup=10) == pytest.approx(0.5, abs=0.01)

"""Shapes, symmetries and sizes of the network."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from hand_toolkit.core.errors import InputError
from hand_toolkit.hand_model import load_hand_model
from hand_toolkit.learn import from_mapping
from hand_toolkit.systems.igsn.config import PAPER, SMALL, TINY, PriorConfig, preset
from hand_toolkit.systems.igsn.gaussians import place, refine
from hand_toolkit.systems.igsn.interaction import detect_interaction
from hand_toolkit.systems.igsn.network import PriorNetwork
from hand_toolkit.systems.igsn.points import pose_points
from hand_toolkit.systems.igsn.topology import level_for, spread, topology


def hands(config: PriorConfig, sides: tuple[str, ...], gap: float = 0.2):
    count = len(load_hand_model(config.hand_model, "right", 0).shape_names)
    torch.manual_seed(0)
    theta = torch.randn(1, 16, 3).repeat(len(sides), 1, 1) * 0.1
    shape = torch.zeros(len(sides), count)
    translation = torch.tensor([[gap * k, 0.0, 0.5] for k in range(len(sides))])
    for k, side in enumerate(sides):
        if side == "left":
            theta[k, :, 1:] *= -1
    return pose_points(config, sides, theta, shape, translation)


def identity(config: PriorConfig, count: int, seed: int = 1) -> torch.Tensor:
    size = config.identity_size
    generator = torch.Generator().manual_seed(seed)
    one = torch.randn(1, config.identity_channels, size, size, generator=generator) * 0.1
    return one.repeat(count, 1, 1, 1)


def test_attributes_have_one_row_per_point_and_stay_in_range() -> None:
    torch.manual_seed(0)
    network = PriorNetwork(TINY)
    points = hands(TINY, ("right", "left"))
    a = network(points, identity(TINY, 2))
    count = len(points.topology)
    assert a.offset.shape == (2, count, 3)
    assert float(a.offset.detach().abs().max()) <= TINY.offset_bound_m
    for value in (a.opacity, a.validity, a.albedo):
        assert float(value.detach().min()) >= 0 and float(value.detach().max()) <= 1
    assert torch.allclose(a.quat.norm(dim=-1), torch.ones(2, count), atol=1e-5)


def test_left_hand_is_the_mirrored_right_hand() -> None:
    torch.manual_seed(0)
    config = dataclasses.replace(TINY, use_interaction=False)
    network = PriorNetwork(config)
    a = hands(config, ("right",))
    b = hands(config, ("left",))
    assert torch.allclose(a.local, b.local, atol=1e-4)
    right, left = network(a, identity(config, 1)), network(b, identity(config, 1))
    assert torch.allclose(right.albedo, left.albedo, atol=1e-4)
    g, h = place(config, right, a), place(config, left, b)
    centre = torch.tensor([0.0, 0.0, 0.5])
    mirrored = (h.means - centre) * torch.tensor([-1.0, 1, 1])
    assert float((g.means - centre - mirrored).detach().abs().max()) < 1e-4


def test_identity_reaches_colour_and_hidden_identity_does_not() -> None:
    torch.manual_seed(0)
    network = PriorNetwork(TINY)
    points = hands(TINY, ("right",))
    first, second = identity(TINY, 1, 1), identity(TINY, 1, 2)
    seen = network(points, first).albedo - network(points, second).albedo
    assert float(seen.abs().mean()) > 1e-2
    keep = torch.zeros(1, len(points.topology))
    hidden = network(points, first, keep=keep).albedo - network(points, second, keep=keep).albedo
    assert float(hidden.abs().max()) == 0.0


def test_refinement_drops_and_splits_continuously() -> None:
    torch.manual_seed(0)
    network = PriorNetwork(TINY)
    points = hands(TINY, ("right",))
    a = network(points, identity(TINY, 1))
    count = len(points.topology)
    v = torch.full((1, count), 0.5)
    v[0, :10] = 0.05
    v[0, 10:30] = 0.95
    bound = refine(TINY, dataclasses.replace(a, validity=v), points, 0)
    assert len(bound.parent) == count - 10 + 20
    assert not set(range(10)) & set(bound.parent.tolist())
    # just above the threshold, the copy is all but invisible: no popping in training
    v[0, 10:30] = 0.9 + 1e-4
    bound = refine(TINY, dataclasses.replace(a, validity=v), points, 0)
    assert float(bound.opacity[-20:].max()) < 2e-3


def test_ablations_remove_their_parts() -> None:
    torch.manual_seed(0)
    config = dataclasses.replace(TINY, use_refinement=False, use_interaction=False)
    network = PriorNetwork(config)
    assert not hasattr(network, "contact_in")
    points = hands(config, ("right", "left"), gap=-0.15)
    assert not points.contact.any()
    a = network(points, identity(config, 2))
    assert len(place(config, a, points).means) == 2 * len(points.topology)
    assert float(a.offset.detach().abs().max()) == 0


def test_contact_is_detected_where_hands_touch_and_nowhere_else() -> None:
    apart = hands(SMALL, ("right", "left"), gap=0.5).contact.float().mean()
    touching = hands(SMALL, ("right", "left"), gap=-0.15).contact.float().mean()
    assert float(touching) > float(apart) + 0.03
    assert float(apart) < 0.1
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(200, 3))
    still = detect_interaction([cloud], [cloud], 12, 0.6)[0]
    assert not still.any()


def test_paper_sizes_can_be_built_and_run() -> None:
    config = dataclasses.replace(PAPER, points=3_000)
    torch.manual_seed(0)
    network = PriorNetwork(config)
    assert sum(p.numel() for p in network.parameters()) > 50e6
    points = hands(config, ("right",))
    camera = torch.zeros(1, 16)
    with torch.no_grad():
        a = network(points, identity(config, 1), camera=camera)
    assert a.albedo.shape == (1, len(points.topology), 3)
    assert level_for("default", PAPER.coarse_points) == 1
    assert level_for("default", PAPER.points) == 2


def test_gradient_reaches_pose_and_identity() -> None:
    torch.manual_seed(0)
    network = PriorNetwork(TINY)
    count = len(load_hand_model("default", "right", 0).shape_names)
    theta = torch.zeros(1, 16, 3, requires_grad=True)
    points = pose_points(TINY, ("right",), theta, torch.zeros(1, count), torch.zeros(1, 3))
    maps = identity(TINY, 1).requires_grad_()
    place(TINY, network(points, maps), points).means.square().sum().backward()
    assert theta.grad is not None and float(theta.grad.abs().sum()) > 0
    assert maps.grad is not None and bool(torch.isfinite(maps.grad).all())


def test_spread_and_topology_are_even_and_complete() -> None:
    topo = topology("default", 3_000, 600)
    assert len(topo.detection) == 600 and len(set(topo.detection.tolist())) == 600
    distance = np.linalg.norm(
        topo.rest_points - topo.rest_points[topo.detection[topo.nearest]], axis=1
    )
    assert distance.max() < 0.02
    assert spread(np.zeros((5, 3)), 9).tolist() == [0, 1, 2, 3, 4]


def test_bad_configs_say_what_is_accepted() -> None:
    with pytest.raises(InputError, match="small, paper"):
        preset("huge")
    with pytest.raises(InputError, match="heads"):
        dataclasses.replace(SMALL, width=130)
    with pytest.raises(InputError, match="unknown setting"):
        from_mapping(PriorConfig, {"widht": 3})
    with pytest.raises(InputError, match="finest level"):
        level_for("default", 10_000_000)

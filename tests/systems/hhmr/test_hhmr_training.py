from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from hand_toolkit.core.errors import FileFormatError, InputError
from hand_toolkit.geometry.rotations import matrix_from_axis_angle
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy
from hand_toolkit.hand_model.limits import FREE_ANGLES
from hand_toolkit.synth.poses import family_angles, rest_theta
from hand_toolkit.systems.hhmr import evaluate
from hand_toolkit.systems.hhmr.conditions import Conditions
from hand_toolkit.systems.hhmr.config import PRESETS, HhmrSettings
from hand_toolkit.systems.hhmr.diffusion import Guidance, noised, sample, signal_share
from hand_toolkit.systems.hhmr.frames import centred, spin, upright_turn
from hand_toolkit.systems.hhmr.guidance import joint_misfit, placed, projection_misfit
from hand_toolkit.systems.hhmr.layers import GraphConvolution, Sparse
from hand_toolkit.systems.hhmr.network import HhmrNetwork
from hand_toolkit.systems.hhmr.poses import FLESH_M, draw_bank, penetration
from hand_toolkit.systems.hhmr.pyramid import build_pyramid
from hand_toolkit.systems.hhmr.recordings import FILE, read_recordings
from hand_toolkit.systems.hhmr.train import HhmrTrainable, HhmrTraining
from hand_toolkit.systems.hhmr.weights import export_weights, read_network
from hand_toolkit.testing.training import check_training

TINY = PRESETS["tiny"]
QUICK = HhmrSettings(batch=2, bank=64, scored=2)


def test_pyramid_keeps_fingers_apart() -> None:
    pyramid = build_pyramid("default", 3, 4)
    model = load_hand_model("default", "right", 0)
    owner = model.weights.argmax(1)
    # first phalanges meet in the webs between fingers
    finger = np.where((owner == 0) | (owner % 3 == 1), 0, (owner + 2) // 3)
    for level in pyramid.levels:
        joined = level.laplacian
        index = np.where(joined.weights != 0, joined.index, np.arange(len(joined.index))[:, None])
        here, there = finger[level.rows][:, None], finger[level.rows][index]
        assert not ((here != there) & (here > 0) & (there > 0)).any()
    first = pyramid.levels[0]
    assert first.down is not None and first.up is not None
    np.testing.assert_allclose(first.down.dense().sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(first.up.dense().sum(1), 1, atol=1e-5)
    # what is smooth over the surface comes back nearly as it was
    back = first.up.dense() @ (first.down.dense() @ model.template)
    assert np.linalg.norm(back - model.template, axis=1).mean() < 0.004


def test_graph_convolution_is_a_sum_of_chebyshev_polynomials() -> None:
    table = build_pyramid("default", 3, 4).levels[2].laplacian
    dense = torch.as_tensor(table.dense(), dtype=torch.float32)
    x = torch.randn(2, len(dense), 4, generator=torch.Generator().manual_seed(0))
    for order in (1, 2, 3, 4):
        layer = GraphConvolution(Sparse(table), 4, 6, order)
        terms = [x, dense @ x]
        while len(terms) < order:
            terms.append(2 * dense @ terms[-1] - terms[-2])
        wanted = layer.linear(torch.cat(terms[:order], -1))
        torch.testing.assert_close(layer(x), wanted, atol=1e-5, rtol=1e-4)


def test_absent_conditions_change_nothing() -> None:
    torch.manual_seed(0)
    network = HhmrNetwork(TINY).eval().requires_grad_(False)
    none = Conditions.none(2, network.config, torch.device("cpu"))
    seen = none.seen_3d.clone()
    seen[1, :9] = True
    given = dataclasses.replace(none, points_3d=torch.randn(2, 21, 3), seen_3d=seen)
    assert network.encode(given)[0].shape[1] < network.conditions(given)[0].shape[1]
    noisy = torch.randn(2, len(network.pyramid.levels[0].rows), 3)
    level = torch.full((2,), 500)
    found, whole = (
        network(noisy, level, *told, given.upright)
        for told in (network.encode(given), network.conditions(given))
    )
    torch.testing.assert_close(found, whole, atol=1e-4, rtol=1e-4)


def test_regressor_finds_keypoints_of_posed_hands() -> None:
    model = load_hand_model("default", "right", 0)
    theta = rest_theta(family_angles("pinch"))
    theta[0] = [0.3, -1.0, 0.5]
    shape = 0.5 * model.shape_sigmas
    vertices, _, keypoints, _ = pose_hand_numpy(model, theta, shape, np.array([0.1, 0.2, 0.9]))
    found = build_pyramid("default", 3, 4).regressor @ vertices
    assert np.linalg.norm(found - keypoints, axis=1).max() < 0.001


def test_penetration_tells_crossed_fingers_from_natural_ones(data: Path) -> None:
    crossed = np.zeros(26)
    crossed[FREE_ANGLES.index("index1_abduction")] = -0.35
    crossed[FREE_ANGLES.index("middle1_abduction")] = 0.35
    poses = torch.tensor(np.stack([np.zeros(26), crossed]), dtype=torch.float32)
    flat, bad = penetration(poses).tolist()
    assert flat < 1e-4 and bad > 2 * FLESH_M
    bank = draw_bank(np.random.default_rng(1), read_recordings(data), 50)
    assert bank.shape == (50, 26) and penetration(bank).max() < FLESH_M


def test_recordings_hold_out_whole_ones(data: Path, tmp_path: Path) -> None:
    found = read_recordings(data)
    assert len(found.part(held_out=True).angles) == len(found.part(held_out=False).angles) == 30
    with pytest.raises(InputError, match="write it with"):
        read_recordings(tmp_path)
    (tmp_path / FILE).write_bytes(b"nothing")
    with pytest.raises(FileFormatError, match="write it anew"):
        read_recordings(tmp_path)


def test_upright_frames() -> None:
    flat = torch.rand(3, 21, 2)
    turned = flat @ upright_turn(flat)[:, :2, :2].mT
    direction = (turned[:, 5] + turned[:, 13]) / 4 + turned[:, 9] / 2 - turned[:, 0]
    assert (direction[:, 1] < 0).all() and direction[:, 0].abs().max() < 1e-5
    assert torch.allclose(spin(torch.zeros(1))[0], torch.eye(3))
    seen = torch.ones(3, 21, dtype=torch.bool)
    seen[:, :9] = False
    points, unit = centred(flat, seen)
    assert not points[:, :9].any() and (unit > 0).all()


def test_translation_that_projects() -> None:
    points, place = torch.randn(2, 21, 3), torch.tensor([[0.3, -0.2, 12.0], [0.0, 0.5, 30.0]])
    shown = points + place[:, None]
    flat = shown[..., :2] / shown[..., 2:]
    weight = torch.ones(2, 21)
    assert torch.allclose(placed(points, flat, weight), place, atol=2e-2)
    misfit = projection_misfit(lambda mesh: mesh, flat, weight)
    assert misfit(points).max() < 1e-5 < misfit(points + 0.1 * torch.randn(2, 21, 3)).min()


def test_contract(data: Path, tmp_path: Path) -> None:
    check_training(HhmrTraining(), [data], tmp_path, config=TINY, settings=QUICK, steps=2)


def test_samples_are_seeded_and_guided(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = HhmrNetwork(TINY).eval().requires_grad_(False)
    two, one = Conditions.none(2, TINY), Conditions.none(1, TINY)
    first = sample(network, two, 3, seed=7)
    assert torch.equal(first, sample(network, two, 3, seed=7))
    assert torch.allclose(first[:1], sample(network, one, 3, seed=7), atol=1e-4)
    assert not torch.allclose(first[0], first[1])
    assert not torch.allclose(first, sample(network, two, 3, seed=8))
    target = network.joints(first) + 0.3
    misfit = joint_misfit(network.joints, target, torch.ones(2, 21, dtype=torch.bool))
    guided = sample(network, two, 3, seed=7, guidance=Guidance(misfit))
    assert (misfit(guided) < misfit(first)).all()


def test_noise_levels() -> None:
    share = signal_share()
    assert share[0] > 0.999 and share[-1] < 1e-4 and (share.diff() < 0).all()
    mesh = torch.randn(2, 5, 3)
    step = torch.tensor([0, 999])
    out = noised(mesh, step, torch.zeros_like(mesh), share)
    assert torch.allclose(out[0], mesh[0], atol=1e-3) and out[1].abs().max() < 0.05


def test_masks_leave_conditions_out(data: Path) -> None:
    torch.manual_seed(0)
    settings = dataclasses.replace(QUICK, batch=64)
    maker = HhmrTrainable(TINY, settings, [data], torch.device("cpu"))._maker
    conditions = maker.draw().conditions
    seen = conditions.seen_3d.float().mean(1)
    assert (seen == 0).any() and (seen == 1).any() and ((seen > 0) & (seen < 1)).any()
    assert not conditions.seen_2d[~conditions.upright].any()
    # what is masked cannot be read
    network = HhmrNetwork(TINY).eval()
    changed = dataclasses.replace(
        conditions, points_3d=conditions.points_3d + 5 * ~conditions.seen_3d[..., None]
    )
    mesh, step = torch.randn(64, 1609, 3), torch.full((64,), 500)
    with torch.no_grad():
        out = [
            network(mesh[:4], step[:4], *network.encode(c.take(torch.arange(4))), c.upright[:4])
            for c in (conditions, changed)
        ]
    assert torch.allclose(out[0], out[1], atol=1e-5)


def test_weights_round_trip(data: Path, tmp_path: Path) -> None:
    from hand_toolkit.learn.run import run_training

    settings = dataclasses.replace(QUICK, steps=1, checkpoint_every=1)
    checkpoint = run_training(
        HhmrTraining(), [data], tmp_path / "run", config=TINY, settings=settings, device="cpu"
    )
    path = export_weights(checkpoint, tmp_path / "hhmr.safetensors", {"command": "this test"})
    network, notes = read_network(path)
    assert notes["step"] == 1 and network.config == TINY
    with pytest.raises(FileFormatError):
        read_network(checkpoint)


def test_alignment_and_diversity() -> None:
    points = torch.randn(3, 30, 3)
    turn = matrix_from_axis_angle(torch.tensor([0.4, -1.0, 2.0]))
    assert evaluate.pa_error_mm(2 * points @ turn.mT + 1, points).max() < 1e-2
    assert evaluate.diversity_mm(points[:1].repeat(4, 1, 1)) < 1e-2

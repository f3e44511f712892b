"""Training samples: what batches hold, and what of it the losses count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hand_toolkit.pose.fit import hand_chain
from hand_toolkit.see.backdrops import SIZE
from hand_toolkit.see.cameras import coded, photographed
from hand_toolkit.see.classes import ClassNetwork
from hand_toolkit.see.landmarks import HandLandmarkNetwork
from hand_toolkit.see.pools import (
    IGNORED,
    LabelledPhoto,
    Ring,
    crop_rows,
    frame_of,
    photo_rows,
)
from hand_toolkit.see.samples import Batch, Sampler, Sources
from hand_toolkit.see.training import ClassLosses, batch_scores, head_losses, map_losses

CPU = torch.device("cpu")


def _hand(size: float, shift: tuple[float, float]) -> np.ndarray:
    rest = hand_chain("default").rest[:, [2, 0]]
    return rest / np.ptp(rest) * size + shift


def _shard(count: int = 4) -> dict[str, np.ndarray]:
    """Crops of a skin-coloured box about a hand's keypoints, a second one's box beside it."""
    labels = np.zeros((count, 256, 256), np.uint8)
    labels[:, 60:200, 90:170] = 1
    labels[:, 60:200, 180:230] = 2
    rgba = np.zeros((count, 256, 256, 4), np.uint8)
    rgba[labels > 0] = [200, 150, 120, 255]
    points = np.full((count, 2, 21, 2), np.nan, np.float32)
    points[:, 0], points[:, 1] = _hand(130, (130, 190)), _hand(60, (205, 190))
    return {"rgba": rgba, "labels": labels, "keypoints": points,
            "depth": np.zeros((count, 2, 21), np.float32), "own": np.ones(count, bool),
            "theta": np.zeros((count, 16, 3), np.float32)}  # fmt: skip


def _sampler(photos: list[LabelledPhoto], plain: bool = False) -> Sampler:
    crops, photo_ring, backdrops = Ring(4, CPU), Ring(max(1, len(photos)), CPU), Ring(2, CPU)
    crops.add(crop_rows(_shard()))
    if photos:
        photo_ring.add(photo_rows(photos))
    backdrops.add({"picture": np.full((2, SIZE, SIZE, 3), [20, 90, 30], np.uint8)})
    return Sampler(Sources(crops, photo_ring, backdrops), CPU, plain)


def _photo(high: int = 200, wide: int = 160) -> LabelledPhoto:
    labels = np.zeros((high, wide), np.uint8)
    labels[40:160, 50:110] = 1
    labels[160:, 50:110] = 3
    labels[40:60, 50:60] = IGNORED
    picture = np.full((high, wide, 3), 60, np.uint8)
    picture[labels > 0] = [210, 160, 130]
    return LabelledPhoto(picture, labels, _hand(110, (80, 150)).astype(np.float32))


def test_shares_lie_on_what_is_drawn() -> None:
    batch = _sampler([], plain=True).draw(np.random.default_rng(4), 6, 0.0)
    assert batch.image.shape == (6, 3, SIZE, SIZE)
    own = batch.shares[:, 0] > 0.999
    assert 0.05 < float(own.float().mean()) < 0.6
    skin = batch.image.permute(0, 2, 3, 1)[own]
    assert torch.allclose(skin, torch.tensor([200, 150, 120]) / 255, atol=0.02)
    nothing = batch.shares.sum(1) < 0.01
    assert float(batch.image[:, 0][nothing].max()) < 0.4
    # an edge is shared by two classes
    between = (batch.shares[:, 0] > 0.2) & (batch.shares[:, 0] < 0.8)
    assert 0 < float(between.float().mean()) < 0.02


def test_points_move_with_the_crop() -> None:
    batch = _sampler([], plain=True).draw(np.random.default_rng(5), 8, 0.0)
    middle = batch.points[:, 9].round().long().clamp(0, SIZE - 1)
    inside = batch.shares[torch.arange(8), 0, middle[:, 1], middle[:, 0]]
    assert float(inside.min()) > 0.9
    assert torch.equal(batch.has_own, torch.ones(8)) and torch.equal(batch.has_other, torch.ones(8))


def test_hard_samples_stay_within_their_ranges() -> None:
    batch = _sampler([_photo()]).draw(np.random.default_rng(6), 32, 0.5)
    assert float(batch.image.min()) >= 0 and float(batch.image.max()) <= 1
    total = batch.shares.sum(1)
    assert float(total.min()) >= 0 and float(total.max()) < 1.001
    assert set(torch.unique(batch.known).tolist()) <= {0.0, 1.0}
    assert torch.isnan(batch.points[16:]).all()
    empty = batch.has_own[:16] == 0
    assert torch.isnan(batch.depth[:16][empty]).all()


def test_beyond_a_labelled_photo_nothing_is_known() -> None:
    large = replace(_photo(), points=_hand(190, (80, 190)).astype(np.float32))
    sampler = _sampler([large])
    draw = sampler.drawing(np.random.default_rng(7))
    picture, shares, known = sampler._cut(draw, torch.zeros(6, dtype=torch.long), 0.05)
    unknown = known[:, 0] == 0
    assert 0.05 < float(unknown.float().mean()) < 0.8
    assert float(shares.sum(1)[unknown].abs().max()) == 0
    assert float(picture[:, 0][shares[:, 0] > 0.99].min()) > 0.75


def test_a_ring_forgets_its_oldest_rows() -> None:
    ring = Ring(5, CPU)
    for start in (0, 3, 6):
        ring.add({"x": np.arange(start, start + 3)})
    assert len(ring) == 5
    assert sorted(ring.take(torch.arange(5))["x"].tolist()) == [4, 5, 6, 7, 8]


def test_jpeg_is_that_of_opencv() -> None:
    import cv2

    rng = np.random.default_rng(8)
    small = rng.integers(0, 255, (14, 14, 3), np.uint8)
    picture = cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    for quality in (30, 85):
        ours = coded(tensor, quality)[0].permute(1, 2, 0).numpy()
        flags = [cv2.IMWRITE_JPEG_QUALITY, quality]
        theirs = cv2.imdecode(cv2.imencode(".jpg", picture, flags)[1], cv2.IMREAD_COLOR)
        # OpenCV takes the channels in the other order
        swapped = coded(tensor.flip(1), quality)[0].flip(0).permute(1, 2, 0).numpy()
        lost = np.abs(theirs.astype(float) - picture).mean()
        assert np.abs(swapped - theirs).mean() < 0.5 * lost
        assert np.abs(ours - picture).mean() == pytest.approx(lost, rel=0.3)


def test_bad_cameras_keep_the_picture() -> None:
    picture = torch.zeros(24, 3, SIZE, SIZE)
    picture[..., SIZE // 2 :] = 200
    out = photographed(np.random.default_rng(9), picture)
    assert out.shape == picture.shape
    assert bool((out[..., 150:].mean((1, 2, 3)) > out[..., :70].mean((1, 2, 3)) + 20).all())
    assert float((out - picture).abs().mean()) > 2


def test_training_moves_the_decoder_and_the_late_blocks_only() -> None:
    torch.manual_seed(1)
    losses = ClassLosses(ClassNetwork(), HandLandmarkNetwork()).train()
    network = losses.network
    fresh, tuned = network.parameter_groups()
    losses(_sampler([]).draw(np.random.default_rng(1), 2, 0.0))["loss"].backward()
    assert all(p.grad is not None for p in [*fresh, *tuned])
    assert sum(float(p.grad.abs().sum()) for p in tuned) > 0
    backbone = network.landmarks.backbone
    assert all(p.grad is None for p in backbone.stem.parameters())
    assert all(p.grad is None for p in backbone.blocks[4].parameters())
    assert any(p.grad is not None for p in backbone.blocks[14].parameters())
    assert all(p.grad is None for p in losses.landmarks.parameters())


def test_all_of_the_network_may_be_trained() -> None:
    network = ClassNetwork(frozen_stride=0).train()
    _, tuned = network.parameter_groups(fixed_filters=False)
    known = {id(p) for p in tuned}
    assert id(network.landmarks.backbone.stem.weight) in known
    maps = network(torch.rand(1, 3, SIZE, SIZE))
    maps.logits.square().mean().backward()
    assert network.landmarks.backbone.blocks[0].filter.weight.grad is not None


def test_what_is_not_known_costs_nothing() -> None:
    torch.manual_seed(2)
    maps = ClassNetwork().eval()(torch.rand(1, 3, SIZE, SIZE))
    batch = _sampler([], plain=True).draw(np.random.default_rng(3), 1, 0.0)
    half = batch.known.clone()
    half[..., SIZE // 2 :] = 0
    with torch.no_grad():
        whole, some = (map_losses(maps, replace(batch, known=k)) for k in (batch.known, half))
    assert float(some["entropy"]) != pytest.approx(float(whole["entropy"]), rel=1e-6)
    nothing = map_losses(maps, replace(batch, known=0 * half))
    assert float(nothing["entropy"].detach()) == 0
    unknown = Batch(
        **{
            name: torch.full_like(getattr(batch, name), torch.nan)
            for name in Batch.__dataclass_fields__
        }
    )
    heads = head_losses(maps, unknown, batch.points)
    assert all(float(value.detach()) == 0 for value in heads.values())


def test_scores_of_the_truth_are_perfect() -> None:
    batch = _sampler([], plain=True).draw(np.random.default_rng(3), 4, 0.0)
    truth = torch.cat([1 - batch.shares.sum(1, keepdim=True), batch.shares], 1)
    maps = ClassNetwork().eval()(batch.image)
    perfect = replace(
        maps, logits=20 * truth, depth=batch.depth, other_points=batch.other,
        own=20 * (batch.has_own - 0.5), other=20 * (batch.has_other - 0.5),
    )  # fmt: skip
    scores = batch_scores(perfect, batch)
    assert float(scores["own_pair"].nanmean()) == 1 and float(scores["other"].nanmean()) == 1
    assert float(scores["depth_mm"].max()) == 0 and float(scores["other_px"].max()) == 0
    assert float(scores["own_told"].mean()) == 1 and float(scores["other_told"].mean()) == 1


def test_a_frame_is_upright() -> None:
    points = _hand(100, (80, 90))
    frame = frame_of(points)
    moved = points @ frame[:, :2].T + frame[:, 2]
    assert moved[9, 1] < moved[0, 1] and abs(moved[9, 0] - moved[0, 0]) < 30

"""The networks: what must hold whatever the weights are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from hand_toolkit.animate.builtin import finger_pose
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy
from hand_toolkit.systems.im2hands.frames import bone_frames, bone_segments, segment_distance
from hand_toolkit.systems.im2hands.image import ImageFeatures
from hand_toolkit.systems.im2hands.keypoints import believed, mirrored_pair, mirrored_points
from hand_toolkit.systems.im2hands.network import Im2HandsNetwork
from hand_toolkit.systems.im2hands.refinement import LEEWAY, mirrored, still_touching
from hand_toolkit.systems.im2hands.truth import PosedPair, sample_places, signed_distance


def keypoints_of(pose: str) -> torch.Tensor:
    model = load_hand_model("default", "right")
    return torch.tensor(pose_hand_numpy(model, finger_pose(pose), np.zeros(34), np.zeros(3))[2])


def test_frames_follow_a_moved_hand() -> None:
    rest = torch.tensor(load_hand_model("default", "right").keypoint_template).double()
    turn = torch.tensor(Rotation.from_rotvec([0.4, -1.1, 0.8]).as_matrix())
    still, _ = bone_frames(rest[None], rest)
    assert torch.allclose(still, torch.eye(3).double().expand_as(still), atol=1e-6)
    hand = keypoints_of("fist")
    bent, origins = bone_frames(hand[None], rest)
    moved, placed = bone_frames((hand @ turn.T + 0.3)[None], rest)
    assert torch.allclose(moved, turn @ bent, atol=1e-6)
    assert torch.allclose(placed, origins @ turn.T + 0.3, atol=1e-6)
    # each finger bone lies where its frame says
    way = bent[0, 1] @ (rest[2] - rest[1])
    assert torch.allclose(
        torch.nn.functional.normalize(way, dim=0),
        torch.nn.functional.normalize(hand[2] - hand[1], dim=0), atol=1e-6,
    )  # fmt: skip


def test_distances_from_bones_are_those_of_points_on_them() -> None:
    hand = keypoints_of("pinch")[None]
    begins, ends, bone = bone_segments(hand)
    rng = np.random.default_rng(0)
    places = torch.tensor(rng.normal(size=(1, 40, 3)) * 0.1)
    found = segment_distance(places, begins, ends, bone)[0]
    steps = torch.linspace(0, 1, 2001).double()
    for b in (0, 3, 15):
        spots = torch.cat([
            begins[0, s] + steps[:, None] * (ends[0, s] - begins[0, s])
            for s in torch.nonzero(bone == b)[:, 0]
        ])  # fmt: skip
        assert torch.allclose(found[:, b], torch.cdist(places[0], spots).amin(1), atol=1e-4)


def test_untrained_parts_are_the_mean_hand(network: Im2HandsNetwork) -> None:
    network.initial.last.weight.zero_()
    rest = load_hand_model("default", "right")
    from hand_toolkit.geometry.closing import closed_mesh

    vertices, faces = closed_mesh(rest.template.astype(float), rest.faces)
    places = sample_places(np.random.default_rng(0), vertices, faces.astype(np.int64), 3000)
    gap, _ = signed_distance(places, vertices, faces)
    hands = network.initial.frame(torch.tensor(rest.keypoint_template)[None].float(), None)
    told = network.initial(hands, torch.tensor(places)[None].float())[0].numpy()
    near = np.abs(gap) < 0.006
    assert np.abs(-told[near] - 1e3 * gap[near]).mean() < 0.5


def test_the_mirrored_pair_has_the_mirrored_occupancy(
    network: Im2HandsNetwork, pair: PosedPair, images: ImageFeatures
) -> None:
    keypoints = torch.tensor(pair.keypoints).float()[None]
    places = torch.tensor(
        np.stack([v[::40][:40] for v in pair.vertices])
    ).float()[None]  # fmt: skip
    network.refinement.decide[-1].weight.normal_()
    swapped = ImageFeatures(images.coarse.flip(1), images.fine.flip(1), images.lens)
    other_points, swapped = mirrored_pair(keypoints, swapped)
    found = []
    for points, seen, asked in (
        (keypoints, images, places), (other_points, swapped, mirrored_points(places)),
    ):  # fmt: skip
        hands = network.frame(points, seen)
        found.append(network.logits(hands, network.context(hands), asked))
    assert torch.allclose(found[0], found[1].flip(1), atol=2e-3)
    one = torch.cat([
        network.side_logits(hands, network.context(hands), s, mirrored_points(places)[0, s])[None]
        for s in (0, 1)
    ])  # fmt: skip
    near = found[1][0].abs() < 4
    assert near.any() and torch.allclose(one[near], found[1][0][near], atol=2e-3)


def test_hands_apart_are_not_refined(network: Im2HandsNetwork, pair: PosedPair) -> None:
    network.refinement.decide[-1].weight.normal_()
    keypoints = torch.tensor(pair.keypoints).float()[None]
    places = torch.tensor(np.stack([v[:1600] for v in pair.vertices])).float()[None]
    near = network.frame(keypoints, None)
    changed = network.logits(near, network.context(near), places)
    assert not torch.equal(changed, network.logits(near, None, places)), "near hands are refined"
    shift = torch.tensor([[0.0, 0, 0], [0.3, 0, 0]])[None, :, None]
    far = network.frame(keypoints + shift, None)
    there = places + shift
    assert torch.equal(
        network.logits(far, network.context(far), there), network.logits(far, None, there)
    )


def test_keypoints_keep_the_middle_and_do_not_know_left_from_right(
    network: Im2HandsNetwork, pair: PosedPair, images: ImageFeatures
) -> None:
    network.keypoints.out.weight.normal_()
    given = torch.tensor(pair.keypoints).float()[None]
    found = network.keypoints(given, images)
    assert not torch.allclose(found, given, atol=1e-4)
    assert torch.allclose(found.mean((1, 2)), given.mean((1, 2)), atol=1e-5)
    swapped = ImageFeatures(images.coarse.flip(1), images.fine.flip(1), images.lens)
    again = network.keypoints(*mirrored_pair(given, swapped))
    assert torch.allclose(mirrored_points(again), found, atol=1e-5)
    assert torch.equal(mirrored(given)[1], given[0, 1] * torch.tensor([-1.0, 1, 1]))


@pytest.mark.parametrize("side", [0, 1])
def test_places_far_away_are_outside(network: Im2HandsNetwork, pair: PosedPair, side: int) -> None:
    keypoints = torch.tensor(pair.keypoints).float()[None]
    hands = network.frame(keypoints, None)
    assert (network.side_logits(hands, None, side, torch.ones(3, 3)) < -20).all()


def test_small_corrections_of_keypoints_are_not_believed() -> None:
    change = torch.full((3, 2, 21, 3), 1.0) * torch.tensor([1.0, 4.0, 20.0]).view(3, 1, 1, 1) * 1e-3
    found = believed(change)
    assert not found[:2].any(), "within what right keypoints are moved by"
    assert 0.95 < float(found[2, 0, 0, 0] / change[2, 0, 0, 0]) < 1


def test_refinement_leaves_hands_in_touch() -> None:
    own, other = torch.tensor([5.0, 2.0, -3.0, 4.0]), torch.tensor([1.0, 6.0, -20.0, -20.0])
    found = still_touching(torch.full((4,), -9.0), own, other)
    assert found[0] > 0, "what the hand claims more stays its own"
    assert found[1] < 0, "what the other claims more is left to it"
    assert torch.allclose(found[2:], own[2:] - LEEWAY), "elsewhere hardly anything goes"
    kept = torch.tensor([4.9, 1.0, -3.0, 4.0])
    assert torch.equal(still_touching(kept, own, torch.full((4,), -1.0)), kept)

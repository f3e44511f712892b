"""Hair on the back of the hand, as splats of its own."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..avatar import Avatar, AvatarHand, SurfaceBinding, surface
from ..avatar.levels import LOOSE_M, joined_hand
from ..geometry.rotations import quat_from_matrix
from ..geometry.surfaces import at_surface, triangle_frames
from ..hand_model import rest_hand
from .apply import each_hand, linear_albedo, with_albedo
from .marks import check_amount, hand_plane
from .refine import is_loose, rest_points
from .zones import zones_of

HAIRS = 460
"""Of a hand at amount 1."""

LENGTH_M = (0.005, 0.010)
PIECES = 5
"""Splats of a hair."""

THICK_M = 5.5e-5
"""Standard deviation across a hair: a hair of the arm is about a tenth of a millimetre thick."""

LIFT_M = 0.0006
"""How far above the skin a hair's tip stands, on the average."""

DARK, FAIR = np.array([0.016, 0.010, 0.007]), np.array([0.17, 0.10, 0.05])
"""Linear reflectance of hair of dark and of the fairest skin."""

FAIREST = 0.55
"""Red reflectance of skin from which hair is as fair as half way between both."""


def haired(avatar: Avatar, amount: float, seed: int = 0) -> Avatar:
    """The avatar with hair on the backs of its hands and of its first phalanges.

    Args:
        avatar: the avatar.
        amount: 0 to 3; 1 is a hand whose hair is seen at arm's length.
        seed: where it grows.

    Raises:
        InputError: an amount out of range.
    """
    check_amount("hair", amount)

    def change(hand: AvatarHand) -> AvatarHand:
        count = round(HAIRS * amount)
        return _grown(avatar, hand, count, seed) if count else hand

    return each_hand(avatar, change, f"hair {amount:g}")


def _grown(avatar: Avatar, hand: AvatarHand, count: int, seed: int) -> AvatarHand:
    from scipy.spatial import cKDTree

    rng = np.random.default_rng([seed, 13])
    model = surface(avatar.hand_model, hand.side, avatar.level)
    vertices, _, keypoints = rest_hand(model, hand.shape)[:3]
    frames = triangle_frames(vertices, model.faces)[0]
    skin = np.flatnonzero(~is_loose(hand))
    points = rest_points(model, hand)[skin]
    normals = frames[hand.binding.triangle[skin]][:, :, 2]
    zones = zones_of(avatar.hand_model, avatar.level, hand)
    chance = zones.back[skin] ** 4 * _grows(points, keypoints, zones.finger[skin])
    chance = chance * hand.binding.scale[skin, 0] * hand.binding.scale[skin, 1]
    if chance.sum() <= 0:
        return hand
    tree = cKDTree(points)
    at = points[rng.choice(len(points), count, p=chance / chance.sum())]
    at = at + rng.normal(0, 4e-4, at.shape)
    # hair lies toward the fingertips and the little finger
    along, across = keypoints[9] - keypoints[0], keypoints[17] - keypoints[5]
    way = along / np.linalg.norm(along) + across / np.linalg.norm(across) * 0.8
    way = way + rng.normal(0, 0.28, (count, 3))
    turn = rng.normal(0, 0.12, (count, 1))
    step = rng.uniform(*LENGTH_M, count)[:, None] / PIECES
    lift = LIFT_M * rng.uniform(0.4, 1.6, count)[:, None]
    pieces = []
    for k in range(PIECES):
        near = tree.query(at)[1]
        up = normals[near]
        way = way - up * (way * up).sum(1, keepdims=True)
        way = way / np.linalg.norm(way, axis=1, keepdims=True)
        way = way + turn * np.cross(up, way)
        way = way / np.linalg.norm(way, axis=1, keepdims=True)
        height = ((at - points[near]) * up).sum(1, keepdims=True)
        at = at - up * height
        middle = at + way * step / 2 + up * (lift * ((k + 0.5) / PIECES) ** 2 + 6e-5)
        rising = way + up * (2 * lift * (k + 0.5) / PIECES / (PIECES * step))
        pieces.append((skin[near], middle, rising, up, np.full((count, 1), 1 - 0.5 * k / PIECES)))
        at = at + way * step
    own, middle, rising, up, thick = (np.concatenate(p) for p in zip(*pieces))
    first = rising / np.linalg.norm(rising, axis=1, keepdims=True)
    second = np.cross(up, first)
    second = second / np.linalg.norm(second, axis=1, keepdims=True)
    turned = np.stack([first, second, np.cross(first, second)], axis=2)
    triangle = hand.binding.triangle[own]
    weights = hand.binding.barycentric[own]
    from_skin = middle - at_surface(vertices, model.faces, triangle, weights)
    # what is far from its splat of skin would hang in the air
    near_skin = np.linalg.norm(from_skin, axis=1) < LOOSE_M
    local = frames[triangle].transpose(0, 2, 1)
    long = np.tile(step, (PIECES, 1)) * 0.42
    binding = SurfaceBinding(
        triangle=triangle,
        barycentric=weights,
        offset=(local @ from_skin[:, :, None])[:, :, 0],
        quat=quat_from_matrix(local @ turned),
        scale=np.concatenate([long, THICK_M * thick, THICK_M * thick], axis=1),
    )
    shade, each = _colour(hand, skin), np.tile(rng.uniform(0.7, 1.4, count), PIECES)[near_skin]
    kept = SurfaceBinding(
        *(getattr(binding, f.name)[near_skin] for f in dataclasses.fields(SurfaceBinding))
    )
    hair = dataclasses.replace(
        hand,
        binding=kept,
        opacity=np.full(len(kept), 0.8),
        evidence=np.zeros(len(kept)),
        albedo=hand.albedo[own[near_skin]],
        color=hand.color[own[near_skin]],
        hidden=None,
    )
    coloured = with_albedo(hair, shade * each[:, None])
    return joined_hand(hand, np.ones(len(hand), bool), coloured, np.arange(len(coloured)))


def _colour(hand: AvatarHand, skin: np.ndarray) -> np.ndarray:
    """(3,) linear reflectance of hair that goes with the skin of the splats ``skin``."""
    pale = float(np.clip(np.median(linear_albedo(hand)[skin][:, 0]) / FAIREST, 0, 1)) ** 2
    return np.asarray(DARK + (FAIR - DARK) * (0.5 * pale))


def _grows(points: np.ndarray, keypoints: np.ndarray, finger: np.ndarray) -> np.ndarray:
    """(N,) density of hair: denser toward the little finger and the wrist; on first phalanges."""
    flat = hand_plane(points, keypoints)
    joints = hand_plane(keypoints, keypoints)
    width = joints[5, 0] - joints[17, 0]
    ulnar = np.clip((joints[5, 0] - flat[:, 0]) / width, 0, 1)
    wrist = 1 - np.clip(flat[:, 1] / joints[9, 1], 0, 1)
    on_hand = np.clip(0.15 + 0.9 * ulnar, 0, 1) * (0.35 + 0.65 * wrist)
    density = np.where(finger < 0, on_hand, 0.0)
    for k in range(1, 5):
        base, middle = joints[4 * k + 1], joints[4 * k + 2]
        along = middle - base
        part = ((flat - base) @ along) / (along @ along)
        on = np.exp(-(((part - 0.58) / 0.2) ** 2))
        density = np.where(finger == k, 0.9 * on, density)
    return density

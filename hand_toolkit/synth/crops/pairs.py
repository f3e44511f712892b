"""Pictures of two hands with all that is known of them: apart, touching, interlocked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...core.errors import InputError
from ...core.types import Camera
from .contacts import Contact
from .drawing import SUPERSAMPLING, draw_solid
from .light import sample_crop_light
from .mesh import load_crop_mesh
from .render import NEAR_M, CropAssets, assemble, posed_scene
from .scenes import CropScene, near_scene, touching_scene

KINDS = ("apart", "touching", "interlocked")
INTERLOCKED = ("clasp", "interlaced")
"""Families of contacts whose fingers lie between each other's; "near" ones do not touch."""

PICTURE_PX, MARGIN = 512, 1.35


@dataclass(frozen=True)
class PairPicture:
    """A rendered right and left hand.

    Attributes:
        rgba: (S, S, 4) uint8 sRGB, straight alpha.
        owner: (S, S) uint8, 1 the right hand, 2 the left, 3 a forearm, 0 all else.
        keypoints: (2, 21, 2) pixels, the right hand first.
        joints_cam_m: (2, 21, 3) metres in the camera.
        focal_px: of the picture.
        theta: (2, 16, 3) toolkit convention of each side, row 0 in the camera's axes.
        translation: (2, 3) wrists, metres in the camera.
        shape: (S,) of both hands.
    """

    rgba: np.ndarray
    owner: np.ndarray
    keypoints: np.ndarray
    joints_cam_m: np.ndarray
    focal_px: float
    theta: np.ndarray
    translation: np.ndarray
    shape: np.ndarray


def contacts_of(kind: str, contacts: list[Contact]) -> list[Contact]:
    """Those of a kind of pair."""
    if kind == "interlocked":
        return [c for c in contacts if c.family in INTERLOCKED]
    return [c for c in contacts if c.family not in (*INTERLOCKED, "near")]


def render_pair(rng: np.random.Generator, kind: str, assets: CropAssets) -> PairPicture:
    """Render a pair.

    Args:
        rng: of everything.
        kind: one of ``KINDS``.
        assets: what to draw from.

    Raises:
        InputError: an unknown kind, or no contact of it.
    """
    if kind not in KINDS:
        raise InputError(f"kind is {kind!r}; accepted are {', '.join(KINDS)}")
    sigmas = load_crop_mesh().model.shape_sigmas.astype(float)
    if kind == "apart":
        scene = near_scene(rng, assets.motion, sigmas)
    else:
        found = contacts_of(kind, assets.contacts)
        if not found:
            raise InputError(f"no contacts are {kind}; solve more of them")
        scene = touching_scene(rng, found[int(rng.integers(len(found)))], sigmas)
    return draw_pair(rng, scene, assets)


def draw_pair(rng: np.random.Generator, scene: CropScene, assets: CropAssets) -> PairPicture:
    """Render a scene of a right and a left hand.

    Args:
        rng: of camera, light and skin.
        scene: e.g. of :func:`touching_scene`.
        assets: what to draw from.
    """
    scene, posed = posed_scene(scene)
    solid = assemble(rng, scene, posed, len(assets.skins))
    points = np.stack([hand.keypoints for hand in posed])
    low, high = points.min((0, 1)), points.max((0, 1))
    distance = float(rng.uniform(0.45, 0.9))
    matrix = np.eye(4)
    matrix[:3, 3] = [0, 0, distance] - 0.5 * (low + high)
    seen = points + matrix[:3, 3]
    flat = seen[..., :2] / seen[..., 2:]
    ends = flat.min((0, 1)), flat.max((0, 1))
    pixels = PICTURE_PX * SUPERSAMPLING
    focal = pixels / (MARGIN * float((ends[1] - ends[0]).max()))
    centre = pixels / 2 - focal * 0.5 * (ends[0] + ends[1])
    camera = Camera(focal, focal, centre[0], centre[1], pixels, pixels, matrix, near=NEAR_M)
    light = sample_crop_light(rng, assets.environments)
    rgba, owner = draw_solid(rng, solid, light, camera, assets.skins)
    return PairPicture(
        rgba=rgba,
        owner=owner,
        keypoints=np.stack([camera.project(hand) for hand in points]) / SUPERSAMPLING,
        joints_cam_m=seen,
        focal_px=focal / SUPERSAMPLING,
        theta=np.stack([hand.theta for hand in scene.hands]),
        translation=np.stack([hand.translation + matrix[:3, 3] for hand in scene.hands]),
        shape=scene.shape,
    )

"""The avatar: one or two hands as splats bound to a posable mesh."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.conventions import HAND_SPACING_M, SH_C0, SIDES, mirror_theta
from ..core.errors import InputError
from ..core.types import Camera, Splats, _check, _check_side, _finite, _Repr
from ..geometry.colour import linear_to_srgb, srgb_to_linear
from ..geometry.surfaces import at_surface, triangle_frames, vertex_normals
from . import lighting
from .binding import SurfaceBinding, place
from .io import naming_damage, read_avatar, save_avatar

if TYPE_CHECKING:
    from ..hand_model import HandModel

DISPLAY_THETA = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""Wrist rotation that shows a right hand upright, palm to a camera that looks along +z."""


@dataclass(frozen=True, repr=False)
class AvatarHand(_Repr):
    """The splats of one hand, N of them.

    Attributes:
        side: "right" or "left".
        shape: (S,) shape parameters of the avatar's hand model.
        binding: how the splats sit on the mesh.
        opacity: (N,) in [0, 1].
        color: (N, 3) sRGB as photographed (albedo x the photo's light), or (N, K, 3) SH.
        albedo: (N, 3) sRGB-encoded reflectance, without the photo's light.
        evidence: (N,) how well the photo observed the splat: 0 invented ... 1 seen.
        observed: False when the whole hand was made by mirroring the other one.
        source_theta: (16, 3) pose in the photo, camera axes; (17, 3) of a hand with a forearm, the
            last row being that of :mod:`hand_toolkit.hand_model.arm`.
        source_translation: (3,) wrist position in the photo's camera, metres.
        hidden: (N, 3) sRGB-encoded reflectance that the splats would have if the photo had not
            shown them, from which skin is painted out again; None where nobody kept it.
    """

    side: str
    shape: np.ndarray
    binding: SurfaceBinding
    opacity: np.ndarray
    color: np.ndarray
    albedo: np.ndarray
    evidence: np.ndarray
    observed: bool = True
    source_theta: np.ndarray = field(default_factory=lambda: np.zeros((16, 3)))
    source_translation: np.ndarray = field(default_factory=lambda: np.array([0.0, 0.0, 0.5]))
    hidden: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check_side(self.side)
        n = len(self.binding)
        color_shape = (n, 3) if np.ndim(self.color) == 2 else (n, None, 3)
        kept = () if self.hidden is None else (("hidden", np.float32, (n, 3)),)
        for name, dtype, shape in (
            ("shape", np.float64, (None,)),
            ("opacity", np.float32, (n,)),
            ("color", np.float32, color_shape),
            ("albedo", np.float32, (n, 3)),
            ("evidence", np.float32, (n,)),
            ("source_theta", np.float64, (17 if len(self.source_theta) == 17 else 16, 3)),
            ("source_translation", np.float64, (3,)),
            *kept,
        ):
            value = np.ascontiguousarray(getattr(self, name), dtype=dtype)
            _check(name, value, shape)
            _finite(name, value)
            object.__setattr__(self, name, value)
        for name in ("opacity", "evidence"):
            value = getattr(self, name)
            if n and (value.min() < 0 or value.max() > 1):
                raise InputError(
                    f"{name} runs from {value.min():.3g} to {value.max():.3g}; accepted is 0 to 1"
                )

    def __len__(self) -> int:
        return len(self.binding)

    def mirrored(self) -> AvatarHand:
        """The other hand: the same splats, mirrored in x (surface, pose and place)."""
        # Face f of a left model is the mirrored face f of the right one with corners 0 and 1
        # swapped, so its frame is the mirrored frame with e1 negated: offsets change sign in x
        # and rotations are conjugated with that reflection.
        b = self.binding
        binding = SurfaceBinding(
            b.triangle,
            b.barycentric[:, [1, 0, 2]],
            b.offset * [-1, 1, 1],
            b.quat * [1, 1, -1, -1],
            b.scale,
        )
        return dataclasses.replace(
            self,
            side=SIDES[1 - SIDES.index(self.side)],
            binding=binding,
            observed=False,
            evidence=np.zeros_like(self.evidence),
            source_theta=mirror_theta(self.source_theta),
            source_translation=self.source_translation * [-1.0, 1.0, 1.0],
        )

    def beside(self, other: AvatarHand) -> AvatarHand:
        """This hand next to ``other``, where the photo does not say where it is."""
        place = other.source_translation.copy()
        place[0] += HAND_SPACING_M if other.side == "right" else -HAND_SPACING_M
        return dataclasses.replace(self, source_translation=place)


@dataclass(frozen=True, repr=False)
class Avatar(_Repr):
    """An animatable hand avatar: what ``fit`` returns and a ``.hand`` file holds.

    Attributes:
        hand_model: name of the hand model that ``shape`` and the bindings belong to.
        level: subdivision level of the mesh that carries the splats.
        hands: one or two hands, right first.
        light: (K, 3) shading SH of the photo (see ``lighting``), world axes of the photo's camera.
        camera: the photo's camera.
        provenance: free text by key: photo name, toolkit version, licence, method, ...
        preview: a PNG picture for file browsers, or empty.
        extras: further arrays by name (the learned prior's identity maps, ...).
    """

    hand_model: str
    level: int
    hands: tuple[AvatarHand, ...]
    light: np.ndarray
    camera: Camera
    provenance: Mapping[str, str] = field(default_factory=dict)
    preview: bytes = b""
    extras: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= len(self.hands) <= 2:
            raise InputError(f"an avatar has one or two hands; received {len(self.hands)}")
        sides = [h.side for h in self.hands]
        if len(set(sides)) != len(sides):
            raise InputError(f"both hands of the avatar are {sides[0]} hands; give one of each")
        if not 0 <= int(self.level) <= 3:
            raise InputError(f"subdivision level {self.level}; accepted is 0 to 3")
        hands = tuple(sorted(self.hands, key=lambda h: SIDES.index(h.side)))
        object.__setattr__(self, "hands", hands)
        light = np.ascontiguousarray(self.light, dtype=np.float64)
        _check("light", light, (None, 3))
        _finite("light", light)
        object.__setattr__(self, "light", light)

    def __len__(self) -> int:
        return sum(len(h) for h in self.hands)

    @property
    def sides(self) -> tuple[str, ...]:
        """Sides that the avatar has, right first."""
        return tuple(h.side for h in self.hands)

    def hand(self, side: str) -> AvatarHand:
        """The hand of that side.

        Raises:
            InputError: the avatar does not have it.
        """
        for h in self.hands:
            if h.side == side:
                return h
        raise InputError(f"the avatar has no {side} hand; it has: {', '.join(self.sides)}")

    @property
    def photo_light(self) -> np.ndarray:
        """(K, 3) the photo's light in the axes of its camera, for views that it goes with."""
        return lighting.rotate(self.light, self.camera.world_to_camera[:3, :3])

    def mesh(
        self, side: str, theta: np.ndarray | None = None, translation: np.ndarray | None = None
    ) -> np.ndarray:
        """Posed vertices (V, 3), metres, of the mesh that carries the splats.

        Args:
            side: which hand.
            theta: (16, 3) pose, (17, 3) with the forearm's; None is the flat rest pose.
            translation: (3,) wrist position; None is the origin.
        """
        from ..hand_model import pose_hand_numpy

        theta = np.zeros((16, 3)) if theta is None else _pose_array(theta)
        translation = np.zeros(3) if translation is None else np.asarray(translation, float)
        model = surface(self.hand_model, side, self.level)
        return pose_hand_numpy(model, theta, self.hand(side).shape, translation)[0]

    def splats(
        self,
        theta: Mapping[str, np.ndarray],
        translation: Mapping[str, np.ndarray] | None = None,
        light: lighting.Light = "baked",
    ) -> Splats:
        """Splats of the posed avatar; see :meth:`Drawable.splats`.

        Args:
            theta: side -> (16, 3) axis-angle, (17, 3) with the forearm's; only these hands appear.
            translation: side -> (3,) wrist position, metres; default the origin.
            light: None or "baked": colours as photographed; else albedo in that light (see
                :func:`hand_toolkit.avatar.lighting.shading_of`) with the posed normals.

        Raises:
            InputError: an unknown side or light, or θ that is not (16, 3) finite numbers.
        """
        if not theta:
            raise InputError("no hand was posed; give θ for at least one side")
        shading = lighting.shading_of(light, self.light)
        parts = []
        for side, pose in theta.items():
            offset = None if translation is None else translation.get(side)
            model = surface(self.hand_model, side, self.level)
            vertices = self.mesh(side, pose, offset)
            parts.append(splats_on_surface(self.hand(side), model, vertices, shading))
        return join_splats(parts)

    def save(self, path: str | Path) -> Path:
        """Write the avatar to ``path`` (a ``.hand`` file); see :mod:`hand_toolkit.avatar.io`."""
        return save_avatar(self, Path(path))

    @staticmethod
    def load(path: str | Path) -> Avatar:
        """Read a ``.hand`` file.

        Raises:
            FileFormatError: the file is damaged, hostile, or of a newer version.
        """
        path = Path(path)
        fields, hands = read_avatar(path)
        with naming_damage(path):
            return Avatar(hands=tuple(AvatarHand(**hand) for hand in hands), **fields)


def splats_on_surface(
    hand: AvatarHand, model: HandModel, vertices: np.ndarray, shading: np.ndarray | None
) -> Splats:
    """The splats of a hand on its deformed mesh: what the renderer's fast path must draw.

    Args:
        hand: the hand.
        model: the mesh that carries its splats, with faces (F, 3).
        vertices: (V, 3) deformed vertices, metres.
        shading: (K, 3) shading SH in the vertices' axes, or None for the colours as photographed.
    """
    from ..hand_model import rest_hand

    faces, binding = model.faces, hand.binding
    _, rest_area = triangle_frames(rest_hand(model, hand.shape)[0], faces)
    means, quats, scales = place(binding, vertices, faces, rest_area)
    color = hand.color
    if shading is not None:
        normals = vertex_normals(vertices, faces)
        normal = at_surface(normals, faces, binding.triangle, binding.barycentric)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        linear = srgb_to_linear(hand.albedo) * lighting.shade(shading, normal)
        color = linear_to_srgb(linear).astype(np.float32)
    return Splats(means, quats, scales, hand.opacity, color)


def join_splats(parts: list[Splats]) -> Splats:
    """Splats end to end; where only some have SH colours, the others get constant ones."""
    if len(parts) == 1:
        return parts[0]
    terms = max(p.colors.shape[1] if p.colors.ndim == 3 else 0 for p in parts)
    names = ("means", "quats", "scales", "opacities")
    joined = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
    return Splats(**joined, colors=np.concatenate([as_sh(p.colors, terms) for p in parts]))


def as_sh(color: np.ndarray, terms: int) -> np.ndarray:
    """(N, 3) colours or (N, K, 3) SH as (N, terms, 3) SH of the same look; as they are for 0."""
    if terms == 0:
        return color
    sh = np.zeros((len(color), terms, 3), np.float32)
    if color.ndim == 3:
        sh[:, : color.shape[1]] = color
    else:
        sh[:, 0] = (color - 0.5) / SH_C0
    return sh


@cache
def surface(hand_model: str, side: str, level: int) -> HandModel:
    """The mesh that carries splats: the hand model of that side at that level."""
    from ..hand_model import load_hand_model

    return load_hand_model(hand_model, side, level)


def _pose_array(theta: np.ndarray) -> np.ndarray:
    theta = np.asarray(theta, dtype=np.float64)
    _check("theta", theta, (17 if theta.shape == (17, 3) else 16, 3))
    _finite("theta", theta)
    return theta


def display_theta(side: str, theta: np.ndarray | None = None) -> np.ndarray:
    """θ (16, 3) with the wrist turned so that the hand stands upright, palm to the camera.

    Args:
        side: "right" or "left".
        theta: (16, 3) finger pose whose wrist rotation is replaced; None is flat.
    """
    from scipy.spatial.transform import Rotation

    result = np.zeros((16, 3)) if theta is None else _pose_array(theta).copy()
    wrist = Rotation.from_matrix(DISPLAY_THETA).as_rotvec()
    result[0] = wrist if side == "right" else mirror_theta(wrist)
    return result

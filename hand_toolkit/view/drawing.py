"""What the served viewer shows: splats, meshes and skeleton, in centimetres and y up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..avatar import Avatar, Drawable, surface
from ..avatar.lighting import Light
from ..core.conventions import KEYPOINT_PARENTS
from ..export.axes import base_colors, points_y_up, splats_y_up
from ..geometry.rotations import covariances

CM = 100.0
MIN_SCALE = 0.0005
"""Metres. viser does not draw splats below half a square pixel; fine ones must not vanish."""

_BONE = (255, 224, 160)


class Drawing:
    """An avatar in a viser scene.

    Attributes:
        splats: viser's handle of the splats, None before the first drawing.
    """

    def __init__(
        self,
        server: Any,
        avatar: Avatar,
        drawable: Drawable | None = None,
        light: Light = "baked",
    ) -> None:
        """drawable: where the splats come from, None for the avatar; light: fixed in the scene."""
        self.server = server
        self.avatar = avatar
        self.drawable = drawable or avatar
        self.light = light
        self.splats: Any = None
        self._meshes: dict[str, Any] = {}
        self._bones: Any = None

    def draw(
        self,
        theta: dict[str, np.ndarray],
        translation: dict[str, np.ndarray],
        show: Mapping[str, bool],
    ) -> None:
        """Show the pose; hands without θ disappear.

        Args:
            theta: side -> (16, 3).
            translation: side -> (3,) metres.
            show: whether "splats", "mesh" and "skeleton" are wanted.
        """
        if theta and show["splats"]:
            self._draw_splats(theta, translation)
        if self.splats is not None:
            self.splats.visible = bool(theta) and show["splats"]
        self._draw_meshes(theta, translation, show["mesh"])
        if self._bones is not None:
            self._bones.remove()
            self._bones = None
        if theta and show["skeleton"]:
            self._draw_bones(theta, translation)

    def _draw_splats(
        self, theta: dict[str, np.ndarray], translation: dict[str, np.ndarray]
    ) -> None:
        splats = splats_y_up(self.drawable.splats(theta, translation, self.light))
        scales = np.maximum(splats.scales, MIN_SCALE) * CM
        covariance = covariances(splats.quats, scales).astype(np.float32)
        values: dict[str, Any] = {
            "centers": np.ascontiguousarray(splats.means * CM),
            "covariances": covariance,
            "rgbs": (base_colors(splats.colors) * 255 + 0.5).astype(np.uint8),
            "opacities": (splats.opacities[:, None] * 255 + 0.5).astype(np.uint8),
        }
        if self.splats is None:
            self.splats = self.server.scene.add_gaussian_splats("/splats", **values)
        else:
            self.splats.set_gaussians(**values)

    def _draw_meshes(
        self, theta: dict[str, np.ndarray], translation: dict[str, np.ndarray], shown: bool
    ) -> None:
        for side in self.avatar.sides:
            there = shown and side in theta
            if there:
                vertices = self.avatar.mesh(side, theta[side], translation[side])
                model = surface(self.avatar.hand_model, side, self.avatar.level)
                points = (points_y_up(vertices) * CM).astype(np.float32)
                if side not in self._meshes:
                    self._meshes[side] = self.server.scene.add_mesh_simple(
                        f"/mesh_{side}", points, model.faces, color=self._vertex_colors(side)
                    )
                else:
                    self._meshes[side].vertices = points
            if side in self._meshes:
                self._meshes[side].visible = there

    def _vertex_colors(self, side: str) -> Any:
        """One skin colour a hand, the median of its splats."""
        albedo = np.median(self.avatar.hand(side).albedo, axis=0) if len(self.avatar) else 0.7
        red, green, blue = (int(v) for v in np.clip(np.broadcast_to(albedo, 3) * 255, 0, 255))
        return (red, green, blue)

    def _draw_bones(self, theta: dict[str, np.ndarray], translation: dict[str, np.ndarray]) -> None:
        from ..hand_model import pose_hand_numpy

        lines = []
        for side in theta:
            model = surface(self.avatar.hand_model, side, 0)
            shape = self.avatar.hand(side).shape
            keypoints = pose_hand_numpy(model, theta[side], shape, translation[side])[2]
            keypoints = points_y_up(keypoints) * CM
            lines += [
                np.stack([keypoints[p], keypoints[k]])
                for k, p in enumerate(KEYPOINT_PARENTS)
                if p >= 0
            ]
        self._bones = self.server.scene.add_line_segments(
            "/skeleton", np.stack(lines).astype(np.float32), _BONE, thickness=0.12
        )

"""Avatars: splats bound to a hand mesh, their light, and the ``.hand`` file."""

from .avatar import Avatar, AvatarHand, display_theta, surface
from .binding import SurfaceBinding, place, triangle_frames

__all__ = [
    "Avatar",
    "AvatarHand",
    "SurfaceBinding",
    "display_theta",
    "place",
    "surface",
    "triangle_frames",
]

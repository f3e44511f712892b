"""Avatars: splats bound to a hand mesh, their light, and the ``.hand`` file."""

from ..geometry.surfaces import triangle_frames
from .avatar import Avatar, AvatarHand, display_theta, splats_on_surface, surface
from .binding import SurfaceBinding, place
from .drawable import Drawable

__all__ = [
    "Avatar",
    "AvatarHand",
    "Drawable",
    "SurfaceBinding",
    "display_theta",
    "place",
    "splats_on_surface",
    "surface",
    "triangle_frames",
]

"""Rotations, spherical harmonics, colour, surfaces and rasterizing, written once."""

from .raster import MeshRaster, rasterize_mesh
from .silhouette import hand_silhouettes, wrist_half_plane

__all__ = ["MeshRaster", "hand_silhouettes", "rasterize_mesh", "wrist_half_plane"]

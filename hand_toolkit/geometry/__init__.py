"""Rotations, spherical harmonics, colour, surfaces and rasterizing, written once."""

from .silhouette import MeshRaster, hand_silhouettes, rasterize_mesh, wrist_half_plane

__all__ = ["MeshRaster", "hand_silhouettes", "rasterize_mesh", "wrist_half_plane"]

"""Drawing triangle meshes with gradients: rasterize, interpolate, antialias (Laine et al. 2020).

``rasterize`` finds the nearest triangle of each pixel and the perspective-correct weights of its
corners, ``interpolate`` carries vertex attributes to the pixels, and ``antialias`` blends pixels
across silhouettes, from which outlines get their gradients. The numba kernels are held to the
plain torch of ``reference.py`` in values and gradients.
"""

from .api import Fragments, antialias, interpolate, project, rasterize

__all__ = ["Fragments", "antialias", "interpolate", "project", "rasterize"]

"""Numbers that every backend shares with gsplat 1.5 (its ``Common.h`` and ``rendering.py``)."""

from __future__ import annotations

ALPHA_MIN = 1.0 / 255.0
"""A splat counts in a pixel from this alpha on."""

ALPHA_MAX = 0.999
"""No splat hides more than this, so transmittance stays positive."""

BLUR = 0.3
"""Added to both variances of a footprint, pixels²: the low-pass filter of EWA splatting."""

FRUSTUM_MARGIN = 0.15
"""The Jacobian's ray slope is clamped this share of the picture size outside the frustum."""

TRANSMITTANCE_MIN = 1e-4
"""A pixel darker than this behind its splats may be left unfinished."""

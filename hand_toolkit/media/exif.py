"""The focal length that a camera wrote into its picture."""

from __future__ import annotations

import math
from typing import Any

from ..core.errors import PARSER_FAULTS

_EXIF_IFD = 0x8769
_FOCAL_MM, _FOCAL_35 = 0x920A, 0xA405
_PLANE_X, _PLANE_Y, _PLANE_UNIT = 0xA20E, 0xA20F, 0xA210
_EXIF_WIDTH, _EXIF_HEIGHT = 0xA002, 0xA003
_MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
_DIAGONAL_35_MM = math.hypot(36.0, 24.0)


def focal_from_exif(exif: Any, width: int, height: int) -> float | None:
    """Focal length in pixels of the undecoded picture, or None where EXIF does not tell it.

    From FocalLengthIn35mmFilm, which relates to the picture's diagonal (CIPA DCG-001), else
    from FocalLength and FocalPlaneXResolution (Exif 2.32, 4.6.5). A picture whose aspect is
    not the one that EXIF names was cropped, so neither holds.

    Args:
        exif: a mapping with ``get_ifd`` (Pillow's ``Image.Exif``), or None.
        width, height: stored picture size, pixels.
    """
    if exif is None:
        return None
    try:
        tags = exif.get_ifd(_EXIF_IFD)
    except PARSER_FAULTS:
        return None
    exif_width, exif_height = _number(tags.get(_EXIF_WIDTH)), _number(tags.get(_EXIF_HEIGHT))
    if exif_width and exif_height:
        ratio = (width * exif_height) / (height * exif_width)
        if min(abs(ratio - 1), abs(width * exif_width / (height * exif_height) - 1)) > 0.02:
            return None
    diagonal = math.hypot(width, height)
    candidates = []
    focal_35 = _number(tags.get(_FOCAL_35))
    if focal_35:
        candidates.append(focal_35 / _DIAGONAL_35_MM * diagonal)
    focal_mm, plane = _number(tags.get(_FOCAL_MM)), _number(tags.get(_PLANE_X))
    unit = _MM_PER_UNIT.get(int(_number(tags.get(_PLANE_UNIT)) or 2))
    if focal_mm and plane and unit and exif_width:
        candidates.append(focal_mm * plane / unit * width / exif_width)
    # Lenses from fisheye to long telephoto lie in this range; the rest is a broken tag.
    return next((f for f in candidates if 0.25 * diagonal < f < 15 * diagonal), None)


def _number(value: Any) -> float | None:
    """A positive finite number from an EXIF value, else None."""
    try:
        number = float(value[0] if isinstance(value, tuple) else value)
    except (TypeError, ValueError, ArithmeticError, IndexError):
        return None
    return number if math.isfinite(number) and number > 0 else None

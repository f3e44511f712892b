"""Colours of pictures as sRGB: embedded profiles, and what PNG and EXIF say without one.

Order of precedence as in PNG's third edition (W3C 2025, 4.3): cICP, iCCP, sRGB, gAMA with cHRM;
last EXIF's interoperability index R03, by which cameras mark Adobe RGB (DCF 2.0).
"""

from __future__ import annotations

import io
import logging
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import PARSER_FAULTS
from ..geometry.colour import linear_to_srgb, srgb_to_linear

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

log = logging.getLogger(__name__)

D65 = (0.3127, 0.3290)
SRGB_PRIMARIES = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE_PRIMARIES = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
ADOBE_GAMMA = 563 / 256
_CICP_PRIMARIES = {
    1: SRGB_PRIMARIES,
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
"""ITU-T H.273, table 2: BT.709, BT.2020, Display P3."""

_CICP_SDR = (1, 6, 13, 14, 15)
"""Transfer functions (table 3) that are shown as sRGB's is; the rest is HDR or linear."""


def to_srgb(picture: PilImage, exif: Any, name: str) -> PilImage:
    """The picture with its colours in sRGB, as RGB or L.

    Args:
        picture: decoded, mode RGB, L or CMYK, with ``info`` as it was opened.
        exif: Pillow's EXIF or None.
        name: for messages.
    """
    info = picture.info
    cicp = info.get("cicp")
    if cicp and picture.mode == "RGB":
        primaries, transfer = _CICP_PRIMARIES.get(cicp[0]), cicp[1]
        if primaries is not None and (transfer in _CICP_SDR or transfer == 8):
            return _converted(picture, primaries, 1.0 if transfer == 8 else None)
        log.warning("'%s' has the colour coding %s, which is taken as sRGB", name, cicp)
        return picture
    if info.get("icc_profile"):
        return _apply_profile(picture, info["icc_profile"], name)
    if "srgb" in info or picture.mode != "RGB":
        return picture
    gamma, chromaticity = info.get("gamma"), info.get("chromaticity")
    if gamma or chromaticity:
        points = SRGB_PRIMARIES
        if chromaticity and len(chromaticity) == 8:
            points = tuple(zip(chromaticity[2::2], chromaticity[3::2]))  # type: ignore[assignment]
        # 1/2.2 stands for sRGB's own curve (PNG, 11.3.2.2)
        curve = None if not gamma or abs(gamma - 0.45455) < 0.01 else 1 / gamma
        if curve is not None or np.abs(np.subtract(points, SRGB_PRIMARIES)).max() > 2e-3:
            return _converted(picture, points, curve)
        return picture
    if _is_adobe_by_exif(exif):
        return _converted(picture, ADOBE_PRIMARIES, ADOBE_GAMMA)
    return picture


def png_cicp(path: Path) -> tuple[int, int] | None:
    """Primaries and transfer function of a PNG's cICP chunk, or None."""
    with path.open("rb") as stream:
        if stream.read(8) != b"\x89PNG\r\n\x1a\n":
            return None
        for _ in range(64):
            head = stream.read(8)
            if len(head) < 8:
                return None
            length, kind = struct.unpack(">I4s", head)
            if kind == b"cICP" and length == 4:
                return struct.unpack("BB", stream.read(2))
            if kind in (b"IDAT", b"IEND") or length > 1 << 26:
                return None
            stream.seek(length + 4, 1)
    return None


def _is_adobe_by_exif(exif: Any) -> bool:
    """Whether EXIF says uncalibrated colours and interoperability index R03."""
    if exif is None:
        return False
    try:
        space = exif.get_ifd(0x8769).get(0xA001)
        index = exif.get_ifd(0xA005).get(1, "")
    except PARSER_FAULTS:
        return False
    return space in (2, 0xFFFF) and str(index).strip("\0 ").upper() == "R03"


def _to_xyz(primaries: Any) -> np.ndarray:
    """(3, 3) linear RGB of D65 white to XYZ (SMPTE RP 177)."""
    points = np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in primaries]).T
    x, y = D65
    white = np.array([x / y, 1.0, (1 - x - y) / y])
    return points * np.linalg.solve(points, white)


def _converted(picture: PilImage, primaries: Any, gamma: float | None) -> PilImage:
    """Colours of D65 primaries and a power (None: sRGB's own curve) in sRGB."""
    from PIL import Image

    levels = np.arange(256) / 255.0
    table = (srgb_to_linear(levels) if gamma is None else levels**gamma).astype(np.float32)
    matrix = (np.linalg.inv(_to_xyz(SRGB_PRIMARIES)) @ _to_xyz(primaries)).astype(np.float32)
    pixels = np.array(picture)
    for start in range(0, len(pixels), 256):  # rows, so that memory stays small
        part = table[pixels[start : start + 256]] @ matrix.T
        pixels[start : start + 256] = linear_to_srgb(np.clip(part, 0, 1)) * 255 + 0.5
    return Image.fromarray(pixels)


def _apply_profile(picture: PilImage, icc: bytes, name: str) -> PilImage:
    from PIL import ImageCms

    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        result = ImageCms.profileToProfile(
            picture, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        log.warning("'%s' has an unusable colour profile, taken as sRGB (%s)", name, error)
        return picture
    return picture if result is None else result

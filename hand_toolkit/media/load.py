"""Decoding photos and masks into upright 8-bit sRGB, whatever the camera wrote."""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import (
    PARSER_FAULTS,
    FileFormatError,
    InputError,
    first_line,
    missing_dependency,
)
from ..core.types import Photo
from .exif import focal_from_exif
from .profiles import png_cicp, to_srgb

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

log = logging.getLogger(__name__)

MIN_SIDE = 32
"""Shortest side in pixels of a picture that can hold a recognisable hand."""

MAX_PIXELS = 40_000_000
"""Larger pictures are reduced to this many pixels; 40 MP take 120 MB as 8-bit RGB."""

MAX_DECODED_PIXELS = 110_000_000
"""Most pixels that are ever decoded at once (330 MB). Baseline JPEGs can be decoded at a
half, quarter or eighth, so they may be larger; other formats cannot."""

RAW_SUFFIXES = (
    ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".orf", ".rw2", ".raf",
    ".pef", ".srw", ".x3f", ".3fr", ".iiq", ".raw",
)  # fmt: skip
"""Endings of camera raw files, whose embedded previews must not pass for the photo."""

MAX_SIDE = 65_000
"""Longest side that is accepted at all."""


def load_photo(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Decode a picture: upright by its EXIF orientation, colours as sRGB, 8 bits.

    Handles greyscale, palette, CMYK, 16-bit and alpha pictures and embedded ICC profiles.
    An alpha channel becomes the mask. Of an animation the first frame is taken and a warning
    logged. Pictures above ``max_pixels`` are reduced, with a warning.

    Args:
        path: a file that Pillow reads (JPEG, PNG, WebP, TIFF, BMP, GIF, ...).
        max_pixels: largest picture to return.

    Returns:
        The photo; ``focal_px`` is set where EXIF tells it (see :func:`focal_from_exif`).

    Raises:
        InputError: no such file, a folder, or a picture that is too small, too large to
            decode safely, fully transparent, or of floating-point values.
        FileFormatError: not a picture, a damaged one, or one in a format that is not read.
    """
    picture = _open(path)
    name = _display_name(path)
    width, height = picture.size
    if min(width, height) < MIN_SIDE:
        raise InputError(
            f"'{name}' is {width}x{height} pixels, too small to see a hand; "
            f"give a picture of at least {MIN_SIDE}x{MIN_SIDE}"
        )
    if getattr(picture, "n_frames", 1) > 1 and picture.format in ("GIF", "WEBP", "PNG"):
        log.warning("'%s' is an animation; its first frame is used", name)
    _limit_decoding(picture, name, max_pixels)
    _decode(picture, name)
    exif = _read_exif(picture, name)
    focal = focal_from_exif(exif, width, height)
    upright = _upright(picture, exif)
    pixels, alpha = _to_srgb(upright, exif, name)
    turned = upright.size != picture.size
    full = (height, width) if turned else (width, height)
    pixels, alpha = _reduce(pixels, alpha, max_pixels, name)
    if focal is not None:
        focal *= pixels.shape[1] / full[0]
    if pixels.shape[1] != full[0]:
        log.warning(
            "'%s' has %dx%d pixels; it is used at %dx%d",
            name, width, height, pixels.shape[1], pixels.shape[0],
        )  # fmt: skip
    return Photo(pixels=pixels, focal_px=focal, mask=alpha, name=name)


def photo_from_array(
    pixels: np.ndarray, *, focal_px: float | None = None, name: str = "picture"
) -> Photo:
    """A photo from (H, W, 3) uint8 sRGB pixels, held to the same size limits as files.

    Raises:
        InputError: another shape or type, or too small.
    """
    photo = Photo(pixels=np.ascontiguousarray(pixels), focal_px=focal_px, name=name)
    if min(photo.size) < MIN_SIDE:
        raise InputError(
            f"'{name}' is {photo.size[0]}x{photo.size[1]} pixels, too small to see a hand; "
            f"give a picture of at least {MIN_SIDE}x{MIN_SIDE}"
        )
    return photo


def load_mask(
    path: str | os.PathLike[str], size: tuple[int, int], marks: str = "the hand"
) -> np.ndarray:
    """Decode a mask: white (or opaque) is hand, or what else it marks.

    Args:
        path: a greyscale or colour picture, or one whose alpha channel is the mask.
        size: (width, height) of the upright photo; a mask of the same aspect is resampled.
        marks: what it marks, for messages.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        InputError: another aspect ratio, or nothing marked.
        FileFormatError: not a picture.
    """
    picture = _open(path)
    name = _display_name(path)
    _limit_decoding(picture, name, MAX_PIXELS)
    _decode(picture, name)
    upright = _upright(picture, _read_exif(picture, name))
    pixels, alpha = _to_srgb(upright, None, name, keep_transparent=True)
    mask = alpha if alpha is not None else pixels.max(axis=2).astype(np.float32) / 255.0
    height, width = mask.shape
    if (width, height) != tuple(size):
        if abs(width * size[1] / (height * size[0]) - 1) > 0.01:
            raise InputError(
                f"mask '{name}' is {width}x{height} pixels and the photo {size[0]}x{size[1]}; "
                "give a mask of the photo's size"
            )
        import cv2

        shrinks = width > size[0]
        mode = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        mask = cv2.resize(mask, tuple(size), interpolation=mode)
    if not (mask > 0.5).any():
        raise InputError(f"mask '{name}' marks nothing; paint {marks} white on black")
    return np.clip(mask, 0.0, 1.0).astype(np.float32)


def _display_name(path: str | os.PathLike[str]) -> str:
    """File name that any terminal can print, whatever bytes the file system holds."""
    return Path(path).name.encode("utf-8", "backslashreplace").decode("utf-8")


def _open(path: str | os.PathLike[str]) -> PilImage:
    from PIL import Image, UnidentifiedImageError

    target, name = Path(path), _display_name(path)
    head = _read_head(target, name)
    if not head:
        raise FileFormatError(f"'{name}' is empty (0 bytes); give a picture file")
    if target.suffix.lower() in RAW_SUFFIXES:
        raise InputError(
            f"'{name}' is a camera raw file, which is not developed here; export it as JPEG"
        )
    if _is_heic(head):
        _register_heif(name)
    pixel_guard = Image.MAX_IMAGE_PIXELS
    try:
        # Pillow's own bomb guard is lifted while the header is read: sizes are judged in
        # _limit_decoding, where JPEGs can be decoded at a fraction of their size.
        Image.MAX_IMAGE_PIXELS = None
        picture = Image.open(target)
        if picture.format == "PNG" and (cicp := png_cicp(target)) is not None:
            picture.info["cicp"] = cicp
        return picture
    except UnidentifiedImageError as error:
        if _is_heic(head):
            raise FileFormatError(
                f"'{name}' is a damaged HEIC picture; export or download it again"
            ) from error
        raise FileFormatError(
            f"'{name}' is not a picture that can be read; give a JPEG, PNG, WebP, AVIF or TIFF file"
        ) from error
    except PARSER_FAULTS as error:
        raise FileFormatError(
            f"'{name}' is damaged ({first_line(error)}); export or download it again"
        ) from error
    finally:
        Image.MAX_IMAGE_PIXELS = pixel_guard


def _is_heic(head: bytes) -> bool:
    """Whether an ISO media file holds HEVC pictures; AVIF ones of brand mif1 name avif as well."""
    if head[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[k : k + 4] for k in range(16, end, 4))}
    return not brands & {b"avif", b"avis"} and bool(
        brands & {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
    )


def _register_heif(name: str) -> None:
    """Let Pillow read HEIC.

    Raises:
        MissingDependencyError: the extra that does is not installed.
    """
    try:
        import pillow_heif
    except ImportError as error:
        raise missing_dependency(f"reading '{name}', a HEIC picture,", "pillow-heif", "heic") from (
            error
        )
    pillow_heif.register_heif_opener()


def _read_head(target: Path, name: str) -> bytes:
    try:
        if target.is_dir():  # Windows calls opening a folder a lack of permission
            raise IsADirectoryError
        with target.open("rb") as stream:
            return stream.read(64)
    except FileNotFoundError as error:
        raise InputError(f"there is no file '{target}'; check the path") from error
    except IsADirectoryError as error:
        raise InputError(f"'{name}' is a folder; give a picture file") from error
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read '{target!s}': {error}; check the path") from error


def _limit_decoding(picture: PilImage, name: str, max_pixels: int) -> None:
    """Let a JPEG decode at a fraction; refuse what would still take gigabytes."""
    width, height = picture.size
    pixels = width * height
    if pixels > max_pixels and picture.format in ("JPEG", "MPO"):
        ratio = math.sqrt(max_pixels / pixels)
        picture.draft(None, (max(1, int(width * ratio)), max(1, int(height * ratio))))
    # A progressive JPEG keeps every coefficient in memory even at a reduced size.
    progressive = bool(picture.info.get("progressive"))
    cost = pixels if progressive else picture.size[0] * picture.size[1]
    if cost > MAX_DECODED_PIXELS or max(width, height) > MAX_SIDE:
        raise InputError(
            f"'{name}' is {width}x{height} pixels ({pixels / 1e6:.0f} megapixels), more than "
            f"can be decoded safely; accepted are {MAX_DECODED_PIXELS / 1e6:.0f} megapixels: "
            "crop the picture around the hand or scale it down"
        )


def _decode(picture: PilImage, name: str) -> None:
    try:
        picture.load()
    except MemoryError as error:
        raise InputError(
            f"'{name}' is too large for this machine's memory; scale it down"
        ) from error
    except PARSER_FAULTS as error:
        raise FileFormatError(
            f"'{name}' is damaged ({first_line(error)}); export or download it again"
        ) from error


def _read_exif(picture: PilImage, name: str) -> Any:
    try:
        return picture.getexif()
    except Exception as error:  # Pillow lets parser faults of any class through here
        log.warning("'%s' has damaged EXIF data, which is ignored (%s)", name, first_line(error))
        return None


def _upright(picture: PilImage, exif: Any) -> PilImage:
    """The picture turned and mirrored as EXIF tag 0x0112 says."""
    from PIL import Image

    turn = Image.Transpose
    orientation = exif.get(0x0112, 1) if exif is not None else 1
    operation = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_270,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_90,
    }.get(orientation)
    return picture.transpose(operation) if operation is not None else picture


def _to_srgb(
    picture: PilImage, exif: Any, name: str, *, keep_transparent: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """(H, W, 3) uint8 and (H, W) float32 alpha, or None where all is opaque."""
    from PIL import Image

    mode, info = picture.mode, picture.info
    if mode.startswith("I"):
        values = np.asarray(picture).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise InputError(f"'{name}' holds {mode} values outside 0..65535; export it as 8 bits")
        # A 16-bit greyscale file; one that never leaves 0..255 is 8-bit data in a wide box.
        divisor = 257.0 if values.max() > 255 else 1.0
        picture = Image.fromarray((values / divisor + 0.5).astype(np.uint8))
    elif mode == "F":
        raise InputError(
            f"'{name}' holds floating-point values without a known range; "
            "export it as an 8- or 16-bit picture"
        )
    alpha = None
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        channel = np.asarray(picture.getchannel("A"))
        if channel.min() < 255:
            if channel.max() == 0 and not keep_transparent:
                raise InputError(f"'{name}' is fully transparent; give a picture with a hand in it")
            alpha = channel.astype(np.float32) / 255.0
        picture = picture.convert("RGB")
    if picture.mode == "P":
        picture = picture.convert("RGB")
    if picture.mode in ("RGB", "L", "CMYK"):
        picture.info.update({k: v for k, v in info.items() if k not in picture.info})
        picture = to_srgb(picture, exif, name)
    pixels = np.array(picture.convert("RGB"))
    if alpha is not None:
        # What lies under a fully transparent pixel is arbitrary; grey misleads nobody.
        pixels[alpha == 0] = 128
    return pixels, alpha


def _reduce(
    pixels: np.ndarray, alpha: np.ndarray | None, max_pixels: int, name: str
) -> tuple[np.ndarray, np.ndarray | None]:
    height, width = pixels.shape[:2]
    if width * height <= max_pixels:
        return pixels, alpha
    import cv2

    ratio = math.sqrt(max_pixels / (width * height))
    size = (max(1, int(width * ratio)), max(1, int(height * ratio)))
    if min(size) < MIN_SIDE:
        raise InputError(
            f"'{name}' is {width}x{height} pixels, too long and thin; crop it around the hand"
        )
    pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    if alpha is not None:
        alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    return pixels, alpha

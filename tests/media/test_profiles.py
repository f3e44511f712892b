"""Colours that a picture declares in other ways than by an ICC profile of an RGB file."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hand_toolkit.core.errors import FileFormatError, InputError
from hand_toolkit.geometry.colour import linear_to_srgb, srgb_to_linear
from hand_toolkit.media import load_photo
from hand_toolkit.media.profiles import ADOBE_GAMMA

SKIN = np.array([222, 180, 150], np.uint8)


def png(pixels: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with further chunks right behind its header."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "png")
    data = stream.getvalue()
    more = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return data[:33] + more + data[33:]


def shown(path: Path) -> np.ndarray:
    return load_photo(path).pixels[20, 20].astype(int)


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([(b"gAMA", struct.pack(">I", 45455))], SKIN),
        ([(b"gAMA", struct.pack(">I", 100000))], 255 * linear_to_srgb(SKIN / 255)),
        ([(b"gAMA", struct.pack(">I", 100000)), (b"sRGB", b"\0")], SKIN),
        ([(b"cICP", bytes([1, 13, 0, 1]))], SKIN),
        ([(b"cICP", bytes([1, 8, 0, 1]))], 255 * linear_to_srgb(SKIN / 255)),
    ],
)
def test_png_chunks(chunks: list, expected: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(np.full((40, 40, 3), SKIN), *chunks))
    np.testing.assert_allclose(shown(path), expected, atol=1)


def test_display_p3_by_cicp(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(np.full((40, 40, 3), SKIN), (b"cICP", bytes([12, 13, 0, 1]))))
    # Display P3 to sRGB, linear (CSS Color 4, section 17)
    matrix = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])
    expected = 255 * linear_to_srgb(matrix @ srgb_to_linear(SKIN / 255))
    np.testing.assert_allclose(shown(path), expected, atol=1)


def test_adobe_rgb_by_exif_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    # big-endian TIFF: an entry is tag, type, count, value; the third directory names R03
    exif = b"MM\0*" + struct.pack(">IHHHIII", 8, 1, 0x8769, 4, 1, 26, 0)
    exif += struct.pack(">HHHIHxxHHIII", 2, 0xA001, 3, 1, 0xFFFF, 0xA005, 4, 1, 56, 0)
    exif += struct.pack(">HHHI4sI", 1, 1, 2, 4, b"R03\0", 0)
    path.write_bytes(png(np.full((40, 40, 3), SKIN), (b"eXIf", exif)))
    # Adobe RGB (1998), section 4.3.4, to sRGB
    matrix = np.array([[1.3984, -0.3984, 0.0], [0, 1, 0], [0, -0.0429, 1.0429]])
    expected = 255 * linear_to_srgb(np.clip(matrix @ (SKIN / 255) ** ADOBE_GAMMA, 0, 1))
    np.testing.assert_allclose(shown(path), expected, atol=1)


def test_a_palette_keeps_its_profile(tmp_path: Path) -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Image.fromarray(np.full((40, 40, 3), SKIN))
    picture.quantize(4).save(tmp_path / "a.png", icc_profile=profile)
    np.testing.assert_allclose(shown(tmp_path / "a.png"), SKIN, atol=1)


def test_heic_and_avif(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    picture = Image.fromarray(np.full((64, 64, 3), SKIN))
    for name in ("a.heic", "a.avif"):
        picture.save(tmp_path / name, quality=95)
        np.testing.assert_allclose(shown(tmp_path / name), SKIN, atol=4)
    data = bytearray((tmp_path / "a.heic").read_bytes())
    (tmp_path / "b.heic").write_bytes(data[:60])
    with pytest.raises(FileFormatError, match=r"b\.heic"):
        load_photo(tmp_path / "b.heic")


@pytest.mark.parametrize("name", ["a.dng", "a.NEF", "a.cr3"])
def test_raw_files_are_refused_by_name(name: str, tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 40, 3), SKIN)).save(tmp_path / name, "tiff")
    with pytest.raises(InputError, match="camera raw"):
        load_photo(tmp_path / name)

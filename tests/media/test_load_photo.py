"""Decoding photos and masks: every kind of file that cameras and users bring."""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin

from hand_toolkit.core.errors import FileFormatError, InputError
from hand_toolkit.media import load as load_module
from hand_toolkit.media import load_mask, load_photo, photo_from_array


@pytest.fixture
def picture() -> np.ndarray:
    """(48, 64, 3) uint8 with another colour in each corner."""
    result = np.zeros((48, 64, 3), dtype=np.uint8)
    result[:24, :32] = (200, 30, 30)
    result[:24, 32:] = (30, 200, 30)
    result[24:, :32] = (30, 30, 200)
    result[24:, 32:] = (220, 220, 220)
    return result


def save(path: Path, image: np.ndarray | Image.Image, **options: object) -> Path:
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(path, **options)  # type: ignore[arg-type]
    return path


def test_plain_png_is_exact(tmp_path: Path, picture: np.ndarray) -> None:
    photo = load_photo(save(tmp_path / "a.png", picture))
    np.testing.assert_array_equal(photo.pixels, picture)
    assert photo.name == "a.png"
    assert photo.mask is None
    assert photo.focal_px is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, picture: np.ndarray, orientation: int) -> None:
    stored = {
        1: picture,
        2: picture[:, ::-1],
        3: picture[::-1, ::-1],
        4: picture[::-1],
        5: picture.swapaxes(0, 1),
        6: np.rot90(picture, 1),
        7: np.rot90(picture, 1)[::-1, ::-1].swapaxes(0, 1)[:, ::-1].swapaxes(0, 1)[::-1],
        8: np.rot90(picture, -1),
    }[orientation]
    if orientation == 7:
        stored = picture[::-1, ::-1].swapaxes(0, 1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", np.ascontiguousarray(stored), exif=exif)
    np.testing.assert_array_equal(load_photo(path).pixels, picture)


def test_greyscale(tmp_path: Path, picture: np.ndarray) -> None:
    photo = load_photo(save(tmp_path / "a.png", picture[..., 0]))
    np.testing.assert_array_equal(photo.pixels, np.repeat(picture[..., :1], 3, axis=2))


def test_16_bit_greyscale_is_scaled_not_clipped(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    photo = load_photo(save(tmp_path / "a.png", Image.fromarray(ramp)))
    assert np.abs(photo.pixels[..., 0].astype(float) - ramp / 257).max() <= 0.6


def test_16_bit_colour_png(tmp_path: Path) -> None:
    rows, columns = 40, 50
    values = np.zeros((rows, columns, 3), dtype=">u2")
    values[..., 0] = np.linspace(0, 65535, columns)
    raw = b"".join(b"\0" + values[r].tobytes() for r in range(rows))

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", columns, rows, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    data += chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    path = tmp_path / "deep.png"
    path.write_bytes(data)
    photo = load_photo(path)
    assert np.abs(photo.pixels[0, :, 0] - values[0, :, 0] / 257).max() <= 1


def test_palette_with_transparency_becomes_mask(tmp_path: Path, picture: np.ndarray) -> None:
    palette = Image.fromarray(picture).quantize(8)
    index = palette.getpixel((60, 40))
    photo = load_photo(save(tmp_path / "a.png", palette, transparency=index))
    assert photo.mask is not None
    assert photo.mask[40, 60] == 0
    assert photo.mask[5, 5] == 1
    assert tuple(photo.pixels[40, 60]) == (128, 128, 128)


def test_alpha_becomes_mask(tmp_path: Path, picture: np.ndarray) -> None:
    alpha = np.zeros((48, 64, 1), dtype=np.uint8)
    alpha[:, :32] = 255
    alpha[:, 31] = 128
    photo = load_photo(save(tmp_path / "a.png", np.concatenate([picture, alpha], axis=2)))
    assert photo.mask is not None
    np.testing.assert_allclose(photo.mask[0, [0, 31, 40]], [1, 128 / 255, 0])
    np.testing.assert_array_equal(photo.pixels[:, :32], picture[:, :32])


def test_opaque_alpha_is_no_mask(tmp_path: Path, picture: np.ndarray) -> None:
    opaque = np.concatenate([picture, np.full((48, 64, 1), 255, np.uint8)], axis=2)
    assert load_photo(save(tmp_path / "a.png", opaque)).mask is None


def test_fully_transparent(tmp_path: Path, picture: np.ndarray) -> None:
    clear = np.concatenate([picture, np.zeros((48, 64, 1), np.uint8)], axis=2)
    with pytest.raises(InputError, match="fully transparent"):
        load_photo(save(tmp_path / "a.png", clear))


def test_cmyk_jpeg(tmp_path: Path, picture: np.ndarray) -> None:
    photo = load_photo(save(tmp_path / "a.jpg", Image.fromarray(picture).convert("CMYK")))
    assert np.abs(photo.pixels.astype(int) - picture).mean() < 8


def test_icc_profile_is_converted(tmp_path: Path, picture: np.ndarray) -> None:
    """A profile whose red and blue primaries are exchanged must exchange red and blue."""
    profile = _swapped_profile()
    photo = load_photo(save(tmp_path / "a.png", picture, icc_profile=profile))
    assert photo.pixels[5, 5, 2] > photo.pixels[5, 5, 0] + 80


def _swapped_profile() -> bytes:
    """sRGB with the rXYZ and bXYZ tags exchanged in the tag table (ICC.1:2010, 7.3)."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", data[128:132])[0]
    for k in range(count):
        place = 132 + 12 * k
        name = bytes(data[place : place + 4])
        if name in (b"rXYZ", b"bXYZ"):
            data[place : place + 4] = b"bXYZ" if name == b"rXYZ" else b"rXYZ"
    return bytes(data)


def test_broken_icc_profile_is_only_a_warning(
    tmp_path: Path, picture: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        photo = load_photo(save(tmp_path / "a.png", picture, icc_profile=b"not a profile"))
    np.testing.assert_array_equal(photo.pixels, picture)
    assert "colour profile" in caplog.text


def test_animated_gif_gives_its_first_frame(
    tmp_path: Path, picture: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    frames = [Image.fromarray(picture), Image.fromarray(picture[:, ::-1].copy())]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with caplog.at_level(logging.WARNING):
        photo = load_photo(path)
    assert "first frame" in caplog.text
    assert np.abs(photo.pixels.astype(int) - picture).max() < 30


@pytest.mark.parametrize("keep", [0.2, 0.6, 0.95])
def test_truncated_jpeg(tmp_path: Path, keep: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    path = save(tmp_path / "a.jpg", noise)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(FileFormatError, match="is damaged"):
        load_photo(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"just some words, no picture", "not a picture"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "not a picture|damaged"),
        (b"\xff\xd8\xff", "not a picture|damaged"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 40, "HEIC"),
        (b"GIF89a", "not a picture|damaged"),
    ],
)
def test_files_that_are_no_picture(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=message) as caught:
        load_photo(path)
    assert "\n" not in str(caught.value)


def test_missing_folder_and_odd_paths(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        load_photo(tmp_path / "nothing.jpg")
    with pytest.raises(InputError, match="is a folder"):
        load_photo(tmp_path)
    with pytest.raises(InputError, match="cannot read"):
        load_photo("a\0b.jpg")


def test_too_small(tmp_path: Path, picture: np.ndarray) -> None:
    with pytest.raises(InputError, match="64x20 pixels, too small"):
        load_photo(save(tmp_path / "a.png", picture[:20]))
    with pytest.raises(InputError, match="too small"):
        photo_from_array(picture[:10])


def test_large_jpeg_is_reduced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A panorama decodes at a fraction of its size."""
    path = save(tmp_path / "wide.jpg", Image.new("RGB", (6000, 1000), (9, 99, 199)))
    with caplog.at_level(logging.WARNING):
        photo = load_photo(path, max_pixels=1_000_000)
    assert photo.size[0] * photo.size[1] <= 1_000_000
    assert photo.size[0] / photo.size[1] == pytest.approx(6, rel=0.02)
    assert "6000x1000" in caplog.text
    assert np.abs(photo.pixels.astype(int) - [9, 99, 199]).max() < 4


def test_bomb_is_refused_before_decoding(tmp_path: Path) -> None:
    """A PNG of a few bytes that claims gigabytes; nothing of that size is allocated."""
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    body = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    path = tmp_path / "bomb.png"
    pixels = b"IDAT" + zlib.compress(b"\0" * 1000)
    data += struct.pack(">I", len(pixels) - 4) + pixels + struct.pack(">I", zlib.crc32(pixels))
    path.write_bytes(data)
    with pytest.raises(InputError, match="3600 megapixels"):
        load_photo(path)


def test_wide_panorama_png_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "MAX_DECODED_PIXELS", 100_000)
    path = save(tmp_path / "a.png", np.zeros((400, 400, 3), np.uint8))
    with pytest.raises(InputError, match="more than can be decoded safely"):
        load_photo(path)


def test_float_tiff_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", Image.fromarray(np.zeros((40, 40), np.float32)))
    with pytest.raises(InputError, match="floating-point"):
        load_photo(path)


def test_undecodable_name(tmp_path: Path, picture: np.ndarray) -> None:
    path = Path(str(tmp_path / "h") + "\udcff.png")
    try:
        save(path, picture)
    except (OSError, UnicodeEncodeError):
        return  # this file system refuses such names, so no user has one
    photo = load_photo(path)
    photo.name.encode("utf-8")


def exif_with(values: Mapping[int, object], size: tuple[int, int] | None = None) -> Image.Exif:
    exif = Image.Exif()
    ifd = exif.get_ifd(0x8769)
    ifd.update(values)
    if size:
        ifd[0xA002], ifd[0xA003] = size
    return exif


def test_focal_from_35mm_equivalent(tmp_path: Path) -> None:
    image = Image.new("RGB", (400, 300))
    path = save(tmp_path / "a.jpg", image, exif=exif_with({0xA405: 26}, (4000, 3000)))
    assert load_photo(path).focal_px == pytest.approx(26 / 43.2666 * 500, rel=1e-3)


def test_focal_follows_reduction_and_turn(tmp_path: Path) -> None:
    exif = exif_with({0xA405: 50}, (1200, 900))
    exif[0x0112] = 6
    path = save(tmp_path / "a.jpg", Image.new("RGB", (1200, 900)), exif=exif)
    photo = load_photo(path, max_pixels=300_000)
    assert photo.size[0] < photo.size[1]
    diagonal = float(np.hypot(*photo.size))
    assert photo.focal_px == pytest.approx(50 / 43.2666 * diagonal, rel=0.01)


def test_focal_from_focal_plane_resolution(tmp_path: Path) -> None:
    ratio = TiffImagePlugin.IFDRational
    values = {0x920A: ratio(50), 0xA20E: ratio(4000, 36), 0xA20F: ratio(4000, 36), 0xA210: 4}
    path = save(
        tmp_path / "a.jpg", Image.new("RGB", (400, 300)), exif=exif_with(values, (4000, 3000))
    )
    assert load_photo(path).focal_px == pytest.approx(50 * 400 / 36, rel=1e-3)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {0xA405: 0},
        {0xA405: 60000},
        {0x920A: TiffImagePlugin.IFDRational(0, 0), 0xA20E: TiffImagePlugin.IFDRational(1, 0)},
    ],
)
def test_useless_focal_tags(tmp_path: Path, values: dict[int, object]) -> None:
    path = save(
        tmp_path / "a.jpg", Image.new("RGB", (400, 300)), exif=exif_with(values, (400, 300))
    )
    assert load_photo(path).focal_px is None


def test_cropped_picture_has_no_focal(tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.jpg", Image.new("RGB", (300, 300)), exif=exif_with({0xA405: 26}, (4000, 3000))
    )
    assert load_photo(path).focal_px is None


def test_damaged_exif_is_no_failure(tmp_path: Path, picture: np.ndarray) -> None:
    path = save(tmp_path / "a.jpg", picture, exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\x07" * 60)
    assert load_photo(path).size == (64, 48)


def test_mask_of_same_size(tmp_path: Path) -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[10:20, 10:20] = 255
    result = load_mask(save(tmp_path / "m.png", mask), (64, 48))
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, mask / 255)


def test_mask_from_alpha(tmp_path: Path, picture: np.ndarray) -> None:
    alpha = np.zeros((48, 64, 1), np.uint8)
    alpha[5:9, 5:9] = 255
    path = save(tmp_path / "m.png", np.concatenate([picture, alpha], axis=2))
    assert load_mask(path, (64, 48)).sum() == 16


def test_mask_is_resampled_at_the_same_aspect(tmp_path: Path) -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[:, :32] = 255
    result = load_mask(save(tmp_path / "m.png", mask), (128, 96))
    assert result.shape == (96, 128)
    assert result[:, :62].min() == 1
    assert result[:, 66:].max() == 0


def test_mask_errors(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.zeros((48, 64), np.uint8))
    with pytest.raises(InputError, match="marks nothing"):
        load_mask(path, (64, 48))
    with pytest.raises(InputError, match="64x48 pixels and the photo 100x100"):
        load_mask(path, (100, 100))

"""Opening photos, folders and videos, one picture at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hand_toolkit.core.errors import FileFormatError, InputError
from hand_toolkit.core.types import Photo
from hand_toolkit.media import open_pictures
from hand_toolkit.media.video import write_video


def picture(path: Path, level: int) -> Path:
    Image.fromarray(np.full((40, 48, 3), level, np.uint8)).save(path)
    return path


def test_a_folder_in_order_of_names_with_masks_beside(tmp_path: Path) -> None:
    picture(tmp_path / "b.png", 20)
    picture(tmp_path / "a.png", 10)
    mask = picture(tmp_path / "a_mask.png", 255)
    (tmp_path / "notes.txt").write_text("no picture")
    pictures = open_pictures(tmp_path)
    assert pictures.names == ["a.png", "b.png"]
    assert pictures.count == 2
    assert pictures.fps is None
    assert [photo.pixels[0, 0, 0] for photo in pictures] == [10, 20]
    assert pictures.mask_path(0) == mask
    assert pictures.mask_path(1) is None


def test_a_file_is_no_mask_unless_its_folder_was_given(tmp_path: Path) -> None:
    first = picture(tmp_path / "a.png", 10)
    picture(tmp_path / "a_mask.png", 255)
    assert open_pictures([first, first]).mask_path(0) is None


def test_pictures_are_decoded_when_asked_for(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    pictures = open_pictures([picture(tmp_path / "a.png", 10), broken])
    assert pictures.reader(0)().pixels[0, 0, 0] == 10
    with pytest.raises(FileFormatError):
        pictures.reader(1)()


def test_a_decoded_photo_stands_for_its_file() -> None:
    photo = Photo(np.zeros((40, 40, 3), np.uint8), name="made.png")
    pictures = open_pictures(photo)
    assert pictures.names == ["made.png"]
    assert pictures.reader(0)() is photo


def test_frames_of_a_video_in_any_order(tmp_path: Path) -> None:
    levels = (10, 90, 170, 250)
    frames = [np.full((48, 64, 3), level, np.uint8) for level in levels]
    path = write_video(tmp_path / "v.mp4", frames, 12.0)
    pictures = open_pictures(path)
    assert pictures.fps == pytest.approx(12.0)
    assert pictures.count is None
    shown = [int(photo.pixels.mean()) for photo in pictures]
    assert np.abs(np.array(shown) - levels).max() < 4
    assert pictures.names == ["000000", "000001", "000002", "000003"]
    for index in (2, 0, 3, 3, 1):
        photo = pictures.reader(index)()
        assert photo.name == f"{index:06d}"
        assert abs(int(photo.pixels.mean()) - levels[index]) < 4
    with pytest.raises(InputError, match="no frame 9"):
        pictures.reader(9)()


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no pictures"):
        open_pictures(tmp_path)
    with pytest.raises(InputError, match="no picture was given"):
        open_pictures([])
    with pytest.raises(InputError, match=r"v\.mp4 is a video and was given with other"):
        open_pictures([tmp_path / "a.jpg", tmp_path / "v.mp4"])


def test_numbers_order_hidden_files_and_a_bad_picture(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for k in (1, 2, 10):
        picture(tmp_path / f"IMG_{k}.png", k)
    (tmp_path / "._IMG_1.png").write_bytes(b"what a Mac leaves on foreign disks")
    (tmp_path / "IMG_3.png").write_bytes(b"not a picture")
    (tmp_path / "IMG_4.cr2").write_bytes(b"raw")
    (tmp_path / "clip.mp4").write_bytes(b"a video")
    pictures = open_pictures(tmp_path)
    assert pictures.names == ["IMG_1.png", "IMG_2.png", "IMG_3.png", "IMG_10.png"]
    assert [int(photo.pixels[0, 0, 0]) for photo in pictures] == [1, 2, 10]
    assert pictures.names == ["IMG_1.png", "IMG_2.png", "IMG_10.png"]
    assert pictures.reader(2)().pixels[0, 0, 0] == 10
    for name in ("IMG_3.png", "IMG_4.cr2", "clip.mp4"):
        assert name in caplog.text


def test_a_folder_without_a_readable_picture_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"not a picture")
    with pytest.raises(FileFormatError, match=r"a\.png"):
        list(open_pictures(tmp_path))


def test_mirror_images_are_turned_about(tmp_path: Path) -> None:
    pixels = np.zeros((40, 48, 3), np.uint8)
    pixels[:, :10] = 200
    Image.fromarray(pixels).save(tmp_path / "selfie.png")
    photo = next(iter(open_pictures(tmp_path / "selfie.png", mirrored=True)))
    np.testing.assert_array_equal(photo.pixels, pixels[:, ::-1])
    video = write_video(tmp_path / "v.mp4", [pixels] * 3, 10)
    frame = open_pictures(video, mirrored=True).reader(1)()
    assert frame.pixels[:, -6:].mean() > 150 > 50 > frame.pixels[:, :6].mean()

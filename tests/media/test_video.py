"""Time in videos, made here: uneven frames, no stated rate, damage, animations, wide pixels."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hand_toolkit.media import open_pictures
from hand_toolkit.media.video import frame_rate, read_video, write_video


def frames(count: int) -> list[np.ndarray]:
    return [np.full((48, 64, 3), 255 * k // (count - 1), np.uint8) for k in range(count)]


def levels(path: Path) -> list[int]:
    return [round(float(pixels.mean())) for pixels in read_video(path)[1]]


@pytest.mark.parametrize("suffix", ["mkv", "webm"])
def test_frames_are_shown_when_they_say(suffix: str, tmp_path: Path) -> None:
    import av

    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx" if suffix == "webm" else "libx264", rate=1000)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for time, pixels in zip((0, 100, 200, 500, 600), frames(5)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    fps, _ = read_video(path)
    assert fps == pytest.approx(10, rel=0.02)
    seen = levels(path)
    assert len(seen) == 7
    np.testing.assert_allclose(seen, [0, 64, 127, 127, 127, 191, 255], atol=12)


def test_rates_of_even_and_uneven_times() -> None:
    thirds = [round(k / 30, 3) for k in range(60)]  # a container that counts milliseconds
    fps, steady = frame_rate(thirds, 0.0)
    assert steady and fps == pytest.approx(30, abs=0.02)
    assert frame_rate([k / 29.97 for k in range(9)], 29.97) == (29.97, True)
    fps, steady = frame_rate([0, 1 / 30, 2 / 30, 0.5, 0.5 + 1 / 30, 1.2], 13.0)
    assert not steady and fps == pytest.approx(30)
    assert frame_rate([0.0], 0.0) == (30.0, True)


def test_wide_pixels_become_square(tmp_path: Path) -> None:
    import av

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 96, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)
        for packet in [*stream.encode(av.VideoFrame(64, 96, "rgb24")), *stream.encode()]:
            container.mux(packet)
    assert next(read_video(path)[1]).shape == (96, 128, 3)


def test_a_damaged_video_keeps_what_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import av

    path = tmp_path / "a.mp4"
    rng = np.random.default_rng(0)
    write_video(path, [rng.integers(0, 255, (96, 96, 3), np.uint8) for _ in range(24)], 24)
    with av.open(str(path)) as container:
        place = [(packet.pos, packet.size) for packet in container.demux(video=0)][15]
    data = bytearray(path.read_bytes())
    data[place[0] : sum(place)] = b"\xff" * place[1]
    path.write_bytes(data)
    count = len(list(read_video(path)[1]))
    assert 8 <= count <= 24 and "damaged" in caplog.text


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animations_are_videos_by_their_durations(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    first, *rest = (Image.fromarray(pixels) for pixels in frames(4))
    first.save(
        path, save_all=True, append_images=rest, duration=[100, 100, 300, 100], lossless=True
    )
    pictures = open_pictures(path)
    assert pictures.fps == pytest.approx(10)
    shown = [int(photo.pixels[0, 0, 0]) for photo in pictures]
    np.testing.assert_allclose(shown, [0, 85, 170, 170, 170, 255], atol=3)
    first.save(tmp_path / f"still.{suffix}")
    assert open_pictures(tmp_path / f"still.{suffix}").fps is None

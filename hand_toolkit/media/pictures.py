"""Opening what holds pictures: a photo, several, a folder of them, a video.

In a folder, ``NAME_mask.png`` beside ``NAME.jpg`` is that picture's mask, not a picture.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..core.errors import InputError
from ..core.types import Photo
from .load import load_photo, photo_from_array
from .video import SUFFIXES as VIDEO_SUFFIXES
from .video import read_video

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""Endings of the files that count as pictures in a folder."""


class Pictures:
    """Pictures in order, decoded when asked for.

    Attributes:
        name: of the whole, without ending.
        names: of the pictures; of a video as far as it was read.
        fps: frames a second of a video, else None.
        count: number of pictures; None for a video, which only reading tells.
    """

    def __init__(self, name: str, names: list[str], fps: float | None, count: int | None) -> None:
        self.name, self.names, self.fps, self.count = name, names, fps, count

    def __iter__(self) -> Iterator[Photo]:
        """Decode every picture in turn."""
        raise NotImplementedError

    def reader(self, index: int) -> Callable[[], Photo]:
        """A function that decodes one picture."""
        raise NotImplementedError

    def mask_path(self, index: int) -> Path | None:
        """The mask file that lies beside a picture of a folder."""
        return None


class _Files(Pictures):
    def __init__(
        self, name: str, sources: Sequence[Path | Photo], folders: Sequence[Path] = ()
    ) -> None:
        names = [s.name for s in sources]
        super().__init__(name, names, None, len(sources))
        self._sources, self._folders = sources, folders

    def __iter__(self) -> Iterator[Photo]:
        return (self.reader(k)() for k in range(len(self._sources)))

    def reader(self, index: int) -> Callable[[], Photo]:
        source = self._sources[index]
        return lambda: source if isinstance(source, Photo) else load_photo(source)

    def mask_path(self, index: int) -> Path | None:
        source = self._sources[index]
        if isinstance(source, Photo) or source.parent not in self._folders:
            return None
        return _mask_of(source)


class _Video(Pictures):
    def __init__(self, path: Path) -> None:
        self._path = path
        fps, self._frames = read_video(path)
        self._next = 0
        self._last: tuple[int, np.ndarray] | None = None
        super().__init__(path.stem, [], fps, None)

    def __iter__(self) -> Iterator[Photo]:
        self.names.clear()
        for k, pixels in enumerate(read_video(self._path)[1]):
            self.names.append(f"{k:06d}")
            yield photo_from_array(pixels, name=self.names[-1])

    def reader(self, index: int) -> Callable[[], Photo]:
        return lambda: self._frame(index)

    def _frame(self, index: int) -> Photo:
        """Frames are decoded one after the other, so going back begins anew."""
        if self._last is None or self._last[0] != index:
            if self._next > index:
                _, self._frames = read_video(self._path)
                self._next = 0
            for pixels in self._frames:
                self._next += 1
                if self._next > index:
                    self._last = index, pixels
                    break
            else:
                raise InputError(f"the video {self._path.name} has no frame {index}")
        return photo_from_array(self._last[1], name=f"{index:06d}")  # type: ignore[index]


Source = str | os.PathLike[str] | Photo
"""A picture file, a folder of pictures, a video, or a decoded picture."""


def open_pictures(source: Source | Sequence[Source]) -> Pictures:
    """Open a photo, several, a folder in order of its names, or a video.

    Args:
        source: a path or a decoded photo, or several of them; a video stands alone.

    Raises:
        InputError: nothing to read, or a video among other pictures.
    """
    given = [source] if isinstance(source, (str, os.PathLike, Photo)) else list(source)
    if not given:
        raise InputError("no picture was given; give a photo, several, a folder or a video")
    if len(given) == 1 and is_video(given[0]):
        return _Video(Path(given[0]))  # type: ignore[arg-type]
    found: list[Path | Photo] = []
    folders: list[Path] = []
    for item in given:
        if isinstance(item, Photo):
            found.append(item)
            continue
        path = Path(item)
        if is_video(path):
            raise InputError(
                f"{path.name} is a video and was given with other pictures; give it alone"
            )
        if path.is_dir():
            folders.append(path)
            found += _in_folder(path)
        else:
            found.append(path)
    first = given[0]
    name = found[0].name if isinstance(first, Photo) else Path(first).stem
    return _Files(name, found, folders)


def is_video(source: Source) -> bool:
    """Whether the name says that it is a video."""
    return not isinstance(source, Photo) and Path(source).suffix.lower() in VIDEO_SUFFIXES


def _in_folder(folder: Path) -> list[Path]:
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    masks = {_mask_of(p) for p in paths}
    paths = [p for p in paths if p not in masks]
    if not paths:
        raise InputError(f"the folder {folder} has no pictures ({', '.join(SUFFIXES)})")
    return paths


def _mask_of(picture: Path) -> Path | None:
    mask = picture.with_name(f"{picture.stem}_mask.png")
    return mask if mask.is_file() else None

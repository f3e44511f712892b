"""Opening what holds pictures: a photo, several, a folder of them, a video.

In a folder, ``NAME_mask.png`` beside ``NAME.jpg`` is that picture's mask, not a picture; pictures
come in the order of the numbers in their names; those that cannot be read are left out and said.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..core.errors import FileFormatError, InputError
from ..core.types import Photo
from .load import RAW_SUFFIXES, load_photo, photo_from_array
from .video import SUFFIXES as VIDEO_SUFFIXES
from .video import is_animation, read_video

log = logging.getLogger(__name__)

SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif", ".gif",
)  # fmt: skip
"""Endings of the files that count as pictures in a folder."""


class Pictures:
    """Pictures in order, decoded when asked for.

    Attributes:
        name: of the whole, without ending.
        names: of the pictures; of a video as far as it was read.
        fps: frames a second of a video, else None.
        count: number of pictures; None for a video, which only reading tells.
        mirrored: whether they are turned about, as a front camera's pictures must be.
    """

    def __init__(
        self,
        name: str,
        names: list[str],
        fps: float | None,
        count: int | None,
        mirrored: bool = False,
    ) -> None:
        self.name, self.names, self.fps, self.count = name, names, fps, count
        self.mirrored = mirrored

    def _seen(self, photo: Photo) -> Photo:
        """The photo, turned about where it is a mirror image."""
        return mirror_photo(photo) if self.mirrored else photo

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
        self,
        name: str,
        sources: Sequence[Path | Photo],
        folders: Sequence[Path],
        mirrored: bool,
    ) -> None:
        names = [s.name for s in sources]
        super().__init__(name, names, None, len(sources), mirrored)
        self._sources, self._folders = list(sources), folders

    def __iter__(self) -> Iterator[Photo]:
        """Decode every picture; of a folder, unreadable ones are taken off the list."""
        k = 0
        while k < len(self._sources):
            try:
                photo = self.reader(k)()
            except (FileFormatError, InputError) as error:
                source = self._sources[k]
                if isinstance(source, Photo) or source.parent not in self._folders:
                    raise
                if len(self._sources) == 1:
                    raise
                log.warning("left out: %s", error)
                del self._sources[k], self.names[k]
                self.count = len(self._sources)
                continue
            k += 1
            yield photo

    def reader(self, index: int) -> Callable[[], Photo]:
        source = self._sources[index]
        return lambda: self._seen(source if isinstance(source, Photo) else load_photo(source))

    def mask_path(self, index: int) -> Path | None:
        source = self._sources[index]
        if isinstance(source, Photo) or source.parent not in self._folders:
            return None
        return _mask_of(source)


class _Video(Pictures):
    def __init__(self, path: Path, mirrored: bool) -> None:
        self._path = path
        fps, self._frames = read_video(path)
        self._next = 0
        self._last: tuple[int, np.ndarray] | None = None
        super().__init__(path.stem, [], fps, None, mirrored)

    def __iter__(self) -> Iterator[Photo]:
        self.names.clear()
        for k, pixels in enumerate(read_video(self._path)[1]):
            self.names.append(f"{k:06d}")
            yield self._seen(photo_from_array(pixels, name=self.names[-1]))

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
        pixels = self._last[1]  # type: ignore[index]
        return self._seen(photo_from_array(pixels, name=f"{index:06d}"))


Source = str | os.PathLike[str] | Photo
"""A picture file, a folder of pictures, a video, or a decoded picture."""


def mirror_photo(photo: Photo) -> Photo:
    """The photo as the camera saw it, of one that was stored as a mirror image."""
    mask = None if photo.mask is None else np.ascontiguousarray(photo.mask[:, ::-1])
    return dataclasses.replace(photo, pixels=np.ascontiguousarray(photo.pixels[:, ::-1]), mask=mask)


def open_pictures(source: Source | Sequence[Source], mirrored: bool = False) -> Pictures:
    """Open a photo, several, a folder in order of its numbers, or a video.

    Args:
        source: a path or a decoded photo, or several of them; a video stands alone.
        mirrored: they are mirror images, as front cameras store them.

    Raises:
        InputError: nothing to read, or a video among other pictures.
    """
    given = [source] if isinstance(source, (str, os.PathLike, Photo)) else list(source)
    if not given:
        raise InputError("no picture was given; give a photo, several, a folder or a video")
    if len(given) == 1 and is_video(given[0]):
        return _Video(Path(given[0]), mirrored)  # type: ignore[arg-type]
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
    return _Files(name, found, folders, mirrored)


def is_video(source: Source) -> bool:
    """Whether the name, or an animated picture's content, says that it is a video."""
    if isinstance(source, Photo):
        return False
    return Path(source).suffix.lower() in VIDEO_SUFFIXES or is_animation(Path(source))


def natural(path: Path) -> tuple[object, ...]:
    """Key that sorts names by the numbers in them: 2 before 10."""
    parts = re.split(r"(\d+)", path.name.lower())
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts)


def _in_folder(folder: Path) -> list[Path]:
    visible = [p for p in folder.iterdir() if not p.name.startswith(".")]
    paths = sorted((p for p in visible if p.suffix.lower() in SUFFIXES), key=natural)
    for path in sorted(visible, key=natural):
        if path.suffix.lower() in (*RAW_SUFFIXES, *VIDEO_SUFFIXES):
            kind = "a video" if path.suffix.lower() in VIDEO_SUFFIXES else "a camera raw file"
            log.warning("left out: '%s' is %s", path.name, kind)
    masks = {_mask_of(p) for p in paths}
    paths = [p for p in paths if p not in masks]
    if not paths:
        raise InputError(f"the folder {folder} has no pictures ({', '.join(SUFFIXES)})")
    return paths


def _mask_of(picture: Path) -> Path | None:
    mask = picture.with_name(f"{picture.stem}_mask.png")
    return mask if mask.is_file() else None

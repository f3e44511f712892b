"""MediaPipe's two programming interfaces behind one, with its chatter silenced."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hand_toolkit.core.errors import FileFormatError, InputError, missing_dependency
from hand_toolkit.core.files import atomic_write
from hand_toolkit.see.views import Detection

TASK_ENV = "HAND_TOOLKIT_MEDIAPIPE_TASK"
"""Environment variable with the path of a hand_landmarker.task file."""

TASK_URL = (
    "https://storage.googleapis.com/mediapipe-models/hand_landmarker/"
    "hand_landmarker/float16/1/hand_landmarker.task"
)
TASK_SHA256 = "fbc2a30080c3c557093b5ddfc334698132eb341044ccee322ccf8bcf3607cde1"
TASK_BYTES = 7_819_105

MIN_CONFIDENCE = 0.2
"""Of the palm detector. Low, since agreement between views sorts out what is no hand."""


class HandDetector(Protocol):
    """Either interface of MediaPipe."""

    def find(self, image: np.ndarray, max_hands: int) -> list[Detection]:
        """Hands in (H, W, 3) uint8 sRGB, in the pixels of that image."""
        ...


def make_detector(task_file: str | os.PathLike[str] | None = None) -> HandDetector:
    """The detector that the installed MediaPipe offers.

    Args:
        task_file: a ``hand_landmarker.task``; the Tasks interface is then used. Where it is
            None, ``HAND_TOOLKIT_MEDIAPIPE_TASK`` is looked at, then the models inside
            MediaPipe's own wheel (0.10), then the file is fetched once.

    Raises:
        MissingDependencyError: MediaPipe is not installed or cannot be imported.
        InputError: the file is not there, or cannot be fetched.
        FileFormatError: the fetched file is not the expected one.
    """
    given = task_file or os.environ.get(TASK_ENV)
    if importlib.util.find_spec("mediapipe") is None:
        raise missing_dependency("the pose source 'mediapipe'", "mediapipe", "mediapipe")
    if given:
        return TasksDetector(read_task_file(given))
    with quiet_stderr():
        os.environ.setdefault("GLOG_minloglevel", "2")
        import mediapipe

    if hasattr(mediapipe, "solutions"):
        return SolutionsDetector()
    return TasksDetector(fetch_task_file())


class SolutionsDetector:
    """``mediapipe.solutions.hands`` (0.10), whose wheel has the models inside."""

    def __init__(self) -> None:
        self._graphs: dict[int, Any] = {}

    def find(self, image: np.ndarray, max_hands: int) -> list[Detection]:
        """See :class:`HandDetector`."""
        with quiet_stderr():
            if max_hands not in self._graphs:
                from mediapipe import solutions

                self._graphs[max_hands] = solutions.hands.Hands(
                    static_image_mode=True,
                    max_num_hands=max_hands,
                    model_complexity=1,
                    min_detection_confidence=MIN_CONFIDENCE,
                )
            result = self._graphs[max_hands].process(image)
        if not result.multi_hand_landmarks:
            return []
        # This interface names the side as if the picture were a mirror image.
        return [
            _detection(
                points.landmark,
                world.landmark,
                sides.classification[0].label.lower() == "right",
                sides.classification[0].score,
                image,
            )
            for points, world, sides in zip(
                result.multi_hand_landmarks,
                result.multi_hand_world_landmarks,
                result.multi_handedness,
            )
        ]


class TasksDetector:
    """``mediapipe.tasks`` (0.10 and 1.x) with the bytes of a ``.task`` file."""

    def __init__(self, model: bytes) -> None:
        self._model = model
        self._graphs: dict[int, Any] = {}

    def find(self, image: np.ndarray, max_hands: int) -> list[Detection]:
        """See :class:`HandDetector`."""
        with quiet_stderr():
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision

            if max_hands not in self._graphs:
                options = vision.HandLandmarkerOptions(
                    base_options=BaseOptions(model_asset_buffer=self._model),
                    num_hands=max_hands,
                    min_hand_detection_confidence=MIN_CONFIDENCE,
                )
                try:
                    graph = vision.HandLandmarker.create_from_options(options)
                except (RuntimeError, ValueError) as error:
                    raise FileFormatError(
                        f"MediaPipe refuses the hand_landmarker.task file ({error}); "
                        f"download it again from {TASK_URL}"
                    ) from error
                self._graphs[max_hands] = graph
            picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
            result = self._graphs[max_hands].detect(picture)
        # This one names the person's own side, from 0.10.21 to 1.2.2 at least.
        return [
            _detection(
                points, world, sides[0].category_name.lower() == "left", sides[0].score, image
            )
            for points, world, sides in zip(
                result.hand_landmarks, result.hand_world_landmarks, result.handedness
            )
        ]


def _detection(points: Any, world: Any, left: bool, score: float, image: np.ndarray) -> Detection:
    height, width = image.shape[:2]
    return Detection(
        keypoints=np.array([[p.x * width, p.y * height] for p in points]),
        depth=np.array([p.z * width for p in points]),
        world=np.array([[p.x, p.y, p.z] for p in world]),
        left=left,
        score=float(score),
    )


def read_task_file(path: str | os.PathLike[str]) -> bytes:
    """Bytes of a ``.task`` file, which is a ZIP with two TFLite models.

    Raises:
        InputError: it cannot be read.
        FileFormatError: it is not such a file.
    """
    target = Path(path)
    try:
        if target.stat().st_size > 20 * TASK_BYTES:
            raise FileFormatError(f"'{target}' is far too large for a hand_landmarker.task file")
        data = target.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read the task file '{target}': {error.strerror}; check the path or {TASK_ENV}"
        ) from error
    if data[:2] != b"PK":
        raise FileFormatError(
            f"'{target}' is not a hand_landmarker.task file; download it from {TASK_URL}"
        )
    return data


def fetch_task_file(folder: Path | None = None) -> bytes:
    """The model file, fetched on first use, checked by SHA-256 and kept in the cache folder.

    Args:
        folder: where it is kept; ``$XDG_CACHE_HOME/hand-toolkit`` (``~/.cache``) by default.

    Raises:
        InputError: it cannot be fetched, or the cache cannot be written.
        FileFormatError: what came is not the expected file.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    target = (folder or base / "hand-toolkit") / "hand_landmarker.task"
    if target.is_file():
        data = read_task_file(target)
        if hashlib.sha256(data).hexdigest() == TASK_SHA256:
            return data
    try:
        with urllib.request.urlopen(TASK_URL, timeout=60) as stream:  # a constant https address
            data = stream.read(TASK_BYTES + 1)
    except (urllib.error.URLError, OSError, TimeoutError) as error:
        raise InputError(
            f"this MediaPipe has no hand model inside and it cannot be fetched ({error}); download "
            f"{TASK_URL} elsewhere and name the file in {TASK_ENV}"
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != TASK_SHA256:
        raise FileFormatError(
            f"{TASK_URL} gave a file with SHA-256 {digest}, expected {TASK_SHA256}; "
            "it was not kept; try again or give a file that you trust"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(target, data)
    return data


_stderr_lock = threading.RLock()


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what C++ code writes to file descriptor 2; show it if the block raises."""
    with _stderr_lock, tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        try:
            saved = os.dup(2)
        except OSError:  # a windowed program has no descriptor 2
            yield
            return
        try:
            os.dup2(held.fileno(), 2)
            yield
        except BaseException:
            os.dup2(saved, 2)
            held.seek(0)
            with contextlib.suppress(OSError):
                os.write(2, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)

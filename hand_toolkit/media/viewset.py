"""The view set: pictures of one person's hands, read when needed, with what is known of each."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.conventions import SIDES
from ..core.errors import InputError
from ..core.types import Camera, HandPose, Photo, PoseEstimate, _check, _Repr


@dataclass(frozen=True, repr=False)
class View(_Repr):
    """One picture of a view set.

    Attributes:
        name: of the picture, for messages and provenance.
        read: decodes the picture; called when somebody needs its pixels.
        camera: whose picture it is.
        hands: the hands that it shows, right first, at most one of a side, in the axes in which
            ``camera.world_to_camera`` is written; the side says which of the person's it is.
        mask: (H, W) in [0, 1] where the hands are; None while nobody has outlined them.
        labels: (H, W) int32 index into ``hands`` of the hand that each mask pixel shows, -1 for
            none; None without a mask.
        time_s: seconds since the first picture of a video, 0 for photos.
        doubt: (H, W) in [0, 1], 1 where the picture's skin is not to be believed; None: nowhere.
    """

    name: str
    read: Callable[[], Photo]
    camera: Camera
    hands: tuple[HandPose, ...] = ()
    mask: np.ndarray | None = None
    labels: np.ndarray | None = None
    time_s: float = 0.0
    doubt: np.ndarray | None = None

    def __post_init__(self) -> None:
        order = [SIDES.index(hand.side) for hand in self.hands]
        if order != sorted(set(order)):
            raise InputError(
                f"'{self.name}' has hands {[h.side for h in self.hands]}; a view has at most one "
                "right and one left hand, in that order"
            )
        if (self.mask is None) != (self.labels is None):
            raise InputError(f"'{self.name}' has a mask or labels alone; give both or neither")
        for field in ("mask", "labels", "doubt"):
            value = getattr(self, field)
            if value is not None:
                _check(f"{field} of '{self.name}'", value, (self.camera.height, self.camera.width))

    @property
    def estimate(self) -> PoseEstimate:
        """Hands and camera."""
        return PoseEstimate(self.hands, self.camera)

    def hand(self, side: str) -> HandPose | None:
        """The hand of that side, or None."""
        return self.estimate.hand(side)

    def outlined(self) -> tuple[np.ndarray, np.ndarray]:
        """Mask and labels.

        Raises:
            InputError: nobody has outlined the hands.
        """
        if self.mask is None or self.labels is None:
            raise InputError(
                f"the hands of '{self.name}' are not outlined; give masks, or let a segmenter "
                "find them"
            )
        return self.mask, self.labels


@dataclass(frozen=True, repr=False)
class ViewSet(_Repr):
    """Pictures of the hands of one person; a single photo is a set of one view.

    Attributes:
        views: in the order of time, or of the names of photos.
        name: of the whole: a file's or folder's.
        fps: frames a second of a video, None for photos that do not follow each other.
        left_out: one sentence for every picture that was given and is not among the views.
    """

    views: tuple[View, ...]
    name: str = "views"
    fps: float | None = None
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.views:
            raise InputError("a view set needs at least one view; received none")
        models = sorted({hand.hand_model for view in self.views for hand in view.hands})
        if len(models) > 1:
            raise InputError(
                f"the views are of hand models {', '.join(models)}; fit all with the same one"
            )
        if self.fps is not None and not (np.isfinite(self.fps) and self.fps > 0):
            raise InputError(f"fps is {self.fps}; give a positive number or None")

    def __len__(self) -> int:
        return len(self.views)

    def __iter__(self) -> Iterator[View]:
        return iter(self.views)

    def __getitem__(self, index: int) -> View:
        return self.views[index]

    @property
    def hand_model(self) -> str | None:
        """Name of the hands' model; None where no view shows a hand."""
        return next((hand.hand_model for view in self.views for hand in view.hands), None)

    @property
    def reference(self) -> int:
        """Index of the view that shows most: hands first, then pixels of the masks.

        An avatar takes the photographed light, camera and pose of that one.
        """

        def amount(index: int) -> tuple[int, int]:
            view = self.views[index]
            return len(view.hands), 0 if view.mask is None else int((view.mask > 0.5).sum())

        return max(range(len(self.views)), key=amount)

    @property
    def sides(self) -> tuple[str, ...]:
        """The person's hands that some view shows, right first."""
        return tuple(side for side in SIDES if self.shows(side).any())

    def shows(self, side: str) -> np.ndarray:
        """(T,) bool, the views that show that hand."""
        return np.array([view.hand(side) is not None for view in self.views])

    def shape(self, side: str) -> np.ndarray:
        """(S,) shape of that hand: the median over the views that show it.

        Raises:
            InputError: no view shows it.
        """
        shapes = [hand.shape for view in self.views if (hand := view.hand(side)) is not None]
        if not shapes:
            raise InputError(f"no view shows the {side} hand; shown are: {', '.join(self.sides)}")
        return np.median(shapes, axis=0)

    def gaps(self, side: str) -> list[tuple[int, int]]:
        """First and last view of each stretch without that hand, between views that show it."""
        seen = np.flatnonzero(self.shows(side))
        return [(int(a) + 1, int(b) - 1) for a, b in itertools.pairwise(seen) if b - a > 1]

    def select(self, indices: Sequence[int], left_out: Sequence[str] = ()) -> ViewSet:
        """Some of the views; ``left_out`` says why further ones are missing.

        Raises:
            InputError: none is left.
        """
        return dataclasses.replace(
            self,
            views=tuple(self.views[k] for k in indices),
            left_out=(*self.left_out, *left_out),
        )

    def with_hands(self) -> ViewSet:
        """The views that show a hand.

        Raises:
            InputError: there are none.
        """
        return self.select([k for k, view in enumerate(self.views) if view.hands])

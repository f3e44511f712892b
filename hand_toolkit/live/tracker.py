"""From frame to frame: each hand's crop follows its keypoints, its fit starts at its pose."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ..animate.motion import OneEuro
from ..core.conventions import SIDES
from ..core.types import Camera, Photo
from ..geometry.rotations import axis_angle_from_quat, quat_from_axis_angle
from ..pose.camera import photo_camera
from ..pose.fit import FitWeights, HandFit, fit_hand, hand_chain, make_targets, to_hand_pose
from ..pose.kinematics import State
from ..pose.observe import observation
from ..pose.solver import Problem, Targets, solve
from ..see.crops import crop_of_palm, crop_of_points
from ..see.finder import MIN_LONELY_PALM, MIN_PRESENCE
from ..see.inference import find_landmarks, find_palms
from ..see.landmarks import CROP_SIZE
from ..see.palm import PICTURE_SIZE
from ..see.views import Detection, View, build_pyramid, distance

ITERATIONS = 3
"""Of the fit, from the pose of the frame before."""

SEARCH_EVERY = 6
"""Frames between two looks at the whole picture while a hand is missing."""

SAME_HAND = 0.35
"""Tracks nearer than this, in units of the hand's size, follow one hand."""

SHAPE_FRAMES = 12
"""Frames after which a hand keeps the shape that it had in most of them."""

SIDE_MEMORY = 0.9
"""Share of the past in the evidence for a hand's side."""


@dataclass(frozen=True)
class LiveHand:
    """One hand of one frame.

    Attributes:
        side: "right" or "left", of the person.
        theta: (16, 3) pose, radians, the wrist's rotation in the camera's axes.
        translation: (3,) wrist, metres in the camera's axes.
        shape: (S,) of the default hand.
        keypoints_2d: (21, 2) of the fitted hand, pixels.
        confidence: presence that the network gives its crop, 0 to 1.
    """

    side: str
    theta: np.ndarray
    translation: np.ndarray
    shape: np.ndarray
    keypoints_2d: np.ndarray
    confidence: float


@dataclass(frozen=True)
class LiveFrame:
    """Hands of one frame.

    Attributes:
        seconds: when the picture was taken, on the feed's clock.
        hands: right first.
        camera: that the hands are placed in.
    """

    seconds: float
    hands: tuple[LiveHand, ...]
    camera: Camera


@dataclass
class _Track:
    seen: Detection
    rightness: float
    fit: HandFit | None = None
    seconds: float = 0.0
    shapes: list[np.ndarray] = field(default_factory=list)
    turn: OneEuro = field(default_factory=OneEuro)
    place: OneEuro = field(default_factory=lambda: OneEuro(beta=4.0))
    quats: np.ndarray | None = None

    @property
    def shape(self) -> np.ndarray | None:
        """The median over the first frames, once there are enough."""
        if len(self.shapes) < SHAPE_FRAMES:
            return None
        return np.median(self.shapes[:SHAPE_FRAMES], axis=0)


class Tracker:
    """Follows up to two hands of one person.

    Args:
        hands: how many to look for, 1 or 2.
        focal_px: of the camera; None takes a webcam's usual one.
        smooth: whether poses pass a One-Euro filter.
    """

    def __init__(
        self, hands: int = 2, *, focal_px: float | None = None, smooth: bool = True
    ) -> None:
        self.hands = hands
        self.focal_px = focal_px
        self.smooth = smooth
        self._tracks: list[_Track] = []
        self._since_search = SEARCH_EVERY
        # two crops in one batch take longer on a CPU than one after the other
        self._pool = ThreadPoolExecutor(2)

    def step(self, pixels: np.ndarray, seconds: float) -> LiveFrame:
        """The hands of the next frame.

        Args:
            pixels: (H, W, 3) uint8 sRGB.
            seconds: when it was taken; later than the frame before.
        """
        photo = Photo(pixels=pixels, focal_px=self.focal_px, name="frame")
        camera = photo_camera(photo)
        pyramid = build_pyramid(pixels)
        self._follow(pyramid, photo)
        self._since_search += 1
        missing = len(self._tracks) < self.hands
        if missing and (not self._tracks or self._since_search >= SEARCH_EVERY):
            self._since_search = 0
            self._search(pyramid, photo)
        self._choose_sides()
        self._fit(photo, camera)
        hands = [self._hand(track, camera, seconds) for track in self._tracks]
        hands.sort(key=lambda hand: SIDES.index(hand.side))
        return LiveFrame(seconds, tuple(hands), camera)

    def warm(self) -> None:
        """Load the networks and the hand model, so that the first frame waits for nothing."""
        blank = [np.zeros((PICTURE_SIZE, PICTURE_SIZE, 3), np.uint8)]
        view = View((PICTURE_SIZE / 2,) * 2, float(PICTURE_SIZE), size=PICTURE_SIZE)
        find_palms(blank, [view], MIN_LONELY_PALM)
        crop = dataclasses.replace(view, size=CROP_SIZE)
        list(self._pool.map(partial(_look, blank), [crop, crop]))
        hand_chain("default")

    def _follow(self, pyramid: list[np.ndarray], photo: Photo) -> None:
        """Look again where the hands were."""
        views = [crop_of_points(track.seen.keypoints) for track in self._tracks]
        kept: list[_Track] = []
        pairs = zip(self._tracks, self._pool.map(partial(_look, pyramid), views))
        for track, seen in sorted(pairs, key=lambda pair: -pair[1].presence):
            if seen.presence < MIN_PRESENCE or not _inside(seen, photo):
                continue
            if any(distance(seen, other.seen) < SAME_HAND for other in kept):
                continue
            track.rightness = SIDE_MEMORY * track.rightness + (1 - SIDE_MEMORY) * _rightness(seen)
            track.seen = seen
            kept.append(track)
        self._tracks = kept

    def _search(self, pyramid: list[np.ndarray], photo: Photo) -> None:
        """Look for palms in the whole picture, and for hands around them."""
        width, height = photo.size
        whole = View((width / 2, height / 2), float(max(width, height)), size=PICTURE_SIZE)
        palms = find_palms(pyramid, [whole], MIN_LONELY_PALM)[0][:4]
        for seen in find_landmarks(pyramid, [crop_of_palm(palm) for palm in palms]):
            if len(self._tracks) >= self.hands:
                return
            new = all(distance(seen, track.seen) > SAME_HAND for track in self._tracks)
            if new and seen.presence >= MIN_PRESENCE and _inside(seen, photo):
                # one more look, at the crop that the next frame will use
                again = _look(pyramid, crop_of_points(seen.keypoints))
                if again.presence >= MIN_PRESENCE:
                    self._tracks.append(_Track(again, _rightness(again)))

    def _choose_sides(self) -> None:
        """One person has one hand of each side; of two, one looks more like a right one."""
        ordered = sorted(self._tracks, key=lambda track: -track.rightness)
        for number, track in enumerate(ordered):
            left = number == 1 or (len(ordered) == 1 and track.rightness < 0.5)
            if track.fit is not None and (track.fit.side == "left") != left:
                track.fit, track.quats = None, None  # a mirrored hand is no start
                track.turn, track.place, track.shapes = OneEuro(), OneEuro(beta=4.0), []
            track.seen = dataclasses.replace(track.seen, left=left)

    def _fit(self, photo: Photo, camera: Camera) -> None:
        """Fit all hands, those that have a pose already together and from there."""
        chain, warm = hand_chain("default"), []
        for track in self._tracks:
            seen = observation(track.seen, photo)
            if track.shape is not None:
                seen = dataclasses.replace(seen, shape=track.shape, hand_model="default")
            if track.fit is None:
                track.fit = fit_hand(seen, camera)
            else:
                warm.append((track, seen, make_targets(seen, camera, chain, "default")))
        if not warm:
            return
        targets = Targets.stack([targets for _, _, targets in warm])
        start = State.stack([track.fit.state for track, _, _ in warm if track.fit is not None])
        state = solve(Problem(chain, targets, FitWeights()), start, ITERATIONS)
        for number, (track, seen, own) in enumerate(warm):
            track.fit = HandFit(seen, state.take(np.array([number])), own, 0.0)

    def _hand(self, track: _Track, camera: Camera, seconds: float) -> LiveHand:
        assert track.fit is not None
        if len(track.shapes) < SHAPE_FRAMES:
            track.shapes.append(track.fit.state.shape[0])
        pose = to_hand_pose(track.fit, camera, "default")
        theta, translation = pose.theta, pose.translation
        if self.smooth:
            theta, translation = _smoothed(track, theta, translation, seconds - track.seconds)
        track.seconds = seconds
        assert pose.keypoints_2d is not None
        return LiveHand(pose.side, theta, translation, pose.shape, pose.keypoints_2d,
                        track.seen.presence)  # fmt: skip


def _look(pyramid: list[np.ndarray], view: View) -> Detection:
    return find_landmarks(pyramid, [view])[0]


def _rightness(seen: Detection) -> float:
    return 1 - seen.score if seen.left else seen.score


def _inside(seen: Detection, photo: Photo) -> bool:
    """Whether half of the keypoints lie in the picture."""
    x, y = seen.keypoints.T
    width, height = photo.size
    return bool(((x > 0) & (x < width) & (y > 0) & (y < height)).mean() > 0.5 and seen.size > 12)


def _smoothed(
    track: _Track, theta: np.ndarray, translation: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray]:
    quats = quat_from_axis_angle(theta)
    if track.quats is not None:  # the same rotation as the nearer of its two quaternions
        quats = quats * np.where((quats * track.quats).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    track.quats = track.turn.step(quats, step)
    return axis_angle_from_quat(track.quats), track.place.step(translation, step)

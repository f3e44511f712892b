"""What stands behind hands in training crops: photos without hands, noise, shapes, heads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SIZE = 224
LEAST_PATCH = 72
"""Pixels of the shorter edge of a photo's part that is used."""

HAND_MARGIN = 0.35
"""A hand's box is widened by this share of its size before a photo's parts are cut around it."""

ARM_LENGTHS = 4.0
"""The forearm is taken to reach this many palm lengths below the wrist."""


@dataclass(frozen=True)
class Backdrops:
    """Sources of backgrounds.

    Attributes:
        patches: (h, w, 3) uint8 parts of real photos in which no hand is.
        maps: (E, H, W, 3) uint8 tone-mapped environment maps.
        bodies: (N, S, S, 4) uint8 heads and shoulders with alpha; may be empty.
    """

    patches: list[np.ndarray]
    maps: np.ndarray
    bodies: np.ndarray

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """(SIZE, SIZE, 3) float32 in [0, 255]."""
        kind = rng.random()
        if kind < 0.4 and self.patches:
            picture = self._part(rng, self.patches[rng.integers(len(self.patches))])
        elif kind < 0.52 and len(self.maps):
            picture = self._part(rng, self.maps[rng.integers(len(self.maps))])
        elif kind < 0.68:
            picture = noise_picture(rng)
        else:
            picture = shapes_picture(rng)
        if rng.random() < 0.25:
            picture = picture[..., rng.permutation(3)]
        picture = picture.astype(np.float32)
        if rng.random() < 0.12:
            picture = skin_limb(rng, picture)
        if len(self.bodies) and rng.random() < 0.28:
            picture = self.with_body(rng, picture)
        return picture

    def _part(self, rng: np.random.Generator, source: np.ndarray) -> np.ndarray:
        """A random square part, turned in quarters and mirrored."""
        import cv2

        high, wide = source.shape[:2]
        edge = int(min(high, wide) * rng.uniform(0.45, 1.0))
        y, x = int(rng.integers(high - edge + 1)), int(rng.integers(wide - edge + 1))
        part = np.rot90(source[y : y + edge, x : x + edge], int(rng.integers(4)))
        if rng.random() < 0.5:
            part = part[:, ::-1]
        return np.asarray(cv2.resize(np.ascontiguousarray(part), (SIZE, SIZE)))

    def with_body(self, rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
        """``picture`` with a head somewhere."""
        import cv2

        sprite = np.asarray(self.bodies[rng.integers(len(self.bodies))])
        scale = float(np.exp(rng.uniform(np.log(0.5), np.log(1.8)))) * SIZE / sprite.shape[0]
        angle = float(rng.normal() * 25 if rng.random() < 0.8 else rng.uniform(-180, 180))
        matrix: Any = cv2.getRotationMatrix2D(
            (sprite.shape[1] / 2, sprite.shape[0] / 2), angle, scale
        )
        matrix[:, 2] += SIZE / 2 - sprite.shape[0] / 2 + rng.normal(size=2) * 0.3 * SIZE
        moved = cv2.warpAffine(sprite, matrix, (SIZE, SIZE))
        alpha = moved[..., 3:].astype(np.float32) / 255
        return np.asarray(picture * (1 - alpha) + moved[..., :3] * alpha, np.float32)


def noise_picture(rng: np.random.Generator, size: int = SIZE) -> np.ndarray:
    """(size, size, 3) uint8 coloured 1/f noise, smooth to rough."""
    import cv2

    small = 112
    frequency = np.fft.fftfreq(small)
    radius = np.hypot(frequency[:, None], frequency[None])
    radius[0, 0] = 1
    falloff = radius ** -rng.uniform(0.8, 2.0)
    common = np.fft.fft2(rng.normal(size=(small, small)))
    layers = [
        np.real(np.fft.ifft2((0.8 * common + 0.5 * np.fft.fft2(rng.normal(size=(small, small))))
                             * falloff))
        for _ in range(3)
    ]  # fmt: skip
    texture = np.stack(layers, -1)
    texture = (texture - texture.mean()) / (texture.std() + 1e-9)
    picture = rng.uniform(20, 220, 3) + texture * rng.uniform(8, 55)
    return np.asarray(cv2.resize(np.clip(picture, 0, 255).astype(np.uint8), (size, size)))


def _color(rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.25:
        tone = np.array([200, 150, 120.0]) * np.exp(rng.normal(size=3) * 0.12)
        return np.clip(tone * rng.uniform(0.25, 1.2), 0, 255)
    if rng.random() < 0.3:
        return np.full(3, rng.uniform(0, 255))
    return rng.uniform(0, 255, 3)


def shapes_picture(rng: np.random.Generator, size: int = SIZE) -> np.ndarray:
    """(size, size, 3) uint8 a slope of colour, cloth or not, with shapes, lines and letters."""
    import cv2

    first, second = _color(rng), _color(rng)
    if rng.random() < 0.15:
        first = second = np.full(3, rng.uniform(0, 255))
    angle, ramp = rng.uniform(0, 2 * np.pi), np.linspace(0, 1, size)
    slope = (np.cos(angle) * ramp[:, None] + np.sin(angle) * ramp[None])[..., None]
    picture = first + (second - first) * slope
    if rng.random() < 0.2:
        y, x = np.mgrid[:size, :size]
        pitch = rng.uniform(0.03, 0.9)
        weave = np.sign(np.sin(x * pitch + y * rng.normal() * 0.3))
        picture = picture * (1 + rng.uniform(0.05, 0.4) * weave[..., None])
    picture = np.ascontiguousarray(np.clip(picture, 0, 255).astype(np.uint8))
    for _ in range(int(rng.integers(0, 26)) if rng.random() < 0.75 else 0):
        color: Any = tuple(float(v) for v in _color(rng))
        points = rng.integers(-30, size + 30, (5, 2))
        start: Any = tuple(int(v) for v in points[0])
        end: Any = tuple(int(v) for v in points[1])
        kind = rng.random()
        if kind < 0.3:
            axes = (int(rng.uniform(4, 70)), int(rng.uniform(4, 70)))
            turn = float(rng.uniform(0, 180))
            cv2.ellipse(picture, start, axes, turn, 0, 360, color, -1, cv2.LINE_AA)
        elif kind < 0.55:
            cv2.rectangle(picture, start, end, color, -1 if rng.random() < 0.7 else 3)
        elif kind < 0.75:
            cv2.line(picture, start, end, color, int(rng.integers(1, 30)), cv2.LINE_AA)
        elif kind < 0.9:
            cv2.fillPoly(picture, [points[: int(rng.integers(3, 6))].astype(np.int32)], color)
        else:
            word = "".join(chr(int(c)) for c in rng.integers(48, 90, 5))
            font, width = int(rng.integers(0, 4)), int(rng.integers(1, 5))
            cv2.putText(picture, word, start, font, float(rng.uniform(0.4, 2.2)), color, width)
    if rng.random() < 0.6:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.5, 5))))
    return picture


def skin_limb(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """``picture`` with something smooth in skin colour, round or long: a cheek, an arm, a leg."""
    import cv2

    size = picture.shape[0]
    mask: Any = np.zeros((size, size), np.float32)
    ends = rng.uniform(-40, size + 40, (2, 2))
    width = int(rng.uniform(0.12, 0.6) * size)
    if rng.random() < 0.6:
        a, b = (tuple(int(v) for v in end) for end in ends)
        cv2.line(mask, a, b, (1.0,), width, cv2.LINE_AA)
    else:
        axes = (width, int(width * rng.uniform(0.5, 1)))
        centre = tuple(int(v) for v in ends[0])
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, (1.0,), -1)
    # rounded shading from the distance to the outline
    depth = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    shade = np.clip(depth / (0.5 * width + 1), 0, 1)[..., None] ** 0.5
    tone = np.array([200, 150, 120.0]) * np.exp(rng.normal(size=3) * 0.12) * rng.uniform(0.3, 1.25)
    limb = tone * (1 - rng.uniform(0.1, 0.6) * (1 - shade))
    mask = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.6, 2.5)))[..., None]
    return np.asarray(picture * (1 - mask) + limb * mask, np.float32)


def hand_free_parts(
    picture: np.ndarray, hands: list[np.ndarray], least: int = LEAST_PATCH
) -> list[np.ndarray]:
    """The strips beside, above and below all hands with their forearms.

    Args:
        picture: (H, W, 3).
        hands: (21, 2+) keypoints of every hand in it.
        least: shorter edge of a strip that is kept.

    Returns:
        Parts of ``picture``, at most four.
    """
    high, wide = picture.shape[:2]
    low, top = np.array([wide, high], float), np.zeros(2)
    for hand in hands:
        points = np.asarray(hand)[:, :2]
        arm = points[0] + ARM_LENGTHS * (points[0] - points[9])
        size = float((points.max(0) - points.min(0)).max())
        around = np.concatenate([points, arm[None]])
        low = np.minimum(low, around.min(0) - HAND_MARGIN * size)
        top = np.maximum(top, around.max(0) + HAND_MARGIN * size)
    x0, y0 = (int(max(v, 0)) for v in low)
    x1, y1 = int(min(top[0], wide)), int(min(top[1], high))
    parts = [picture[:, :x0], picture[:, x1:], picture[:y0], picture[y1:]]
    return [part for part in parts if min(part.shape[:2]) >= least]


def photo_patches(folder: Path, hands: dict[str, Any]) -> list[np.ndarray]:
    """Hand-free parts of every photo whose hands are known.

    Args:
        folder: of photos.
        hands: file name below ``folder`` -> {"hands": [{"points": (21, 2+)}, ...]}; photos
            without hands found are left out, for one may have been missed.
    """
    import cv2

    patches = []
    for name, entry in hands.items():
        if not entry["hands"]:
            continue
        picture = cv2.imread(str(folder / name))
        if picture is None:
            continue
        known = [np.asarray(hand["points"]) for hand in entry["hands"]]
        for part in hand_free_parts(picture[..., ::-1], known):
            scale = min(1.0, 320 / min(part.shape[:2]))
            size = (max(int(part.shape[1] * scale), 1), max(int(part.shape[0] * scale), 1))
            patches.append(cv2.resize(np.ascontiguousarray(part), size))
    return patches

"""Ink patterns, drawn in the plane of the back of the hand or around the fingers."""

from __future__ import annotations

import numpy as np

from .texels import TexelMap

CANVAS = 512


def ink_coverage(texels: TexelMap, kind: str, rng: np.random.Generator) -> np.ndarray:
    """(n,) ink density in [0, 1] of a pattern of ``kind`` (see ``appearance.TATTOOS``)."""
    out = np.zeros(len(texels.index))
    if kind in ("band", "dots"):
        for f in rng.choice(5, size=int(rng.integers(1, 4)), replace=False):
            along = texels.along[:, f]
            own = texels.finger_weight[:, f] > 0.5
            centre = texels.bones[f][0] * rng.uniform(0.45, 0.75)
            if kind == "band":
                for shift in np.arange(int(rng.integers(1, 4))) * 0.004:
                    out = np.maximum(out, own * _edge(0.0009 - np.abs(along - centre - shift)))
            else:
                gap = np.hypot(along - centre, texels.lateral[:, f])
                out = np.maximum(out, own * (texels.dorsal[:, f] > 0) * _edge(0.0022 - gap))
        if kind == "band":
            wrist = np.abs(texels.palm[:, 0] + rng.uniform(0.1, 0.35)) * 0.095
            out = np.maximum(out, _edge(0.002 - wrist))
        return out
    canvas = _drawing(kind, rng)
    size = rng.uniform(0.8, 1.3)
    centre = np.array([rng.uniform(0.45, 0.6), rng.uniform(-0.2, 0.2)])
    x = (texels.palm[:, 1] - centre[1]) / (2.0 * size) + 0.5
    y = (centre[0] - texels.palm[:, 0]) / (0.75 * size) + 0.5
    inside = (x > 0) & (x < 1) & (y > 0) & (y < 1) & (texels.back > 0.1)
    column = np.clip((x * CANVAS).astype(int), 0, CANVAS - 1)
    row = np.clip((y * CANVAS).astype(int), 0, CANVAS - 1)
    fingers = texels.finger_weight[:, 1:].sum(1) > 0.5
    return np.where(inside & ~fingers, canvas[row, column], 0.0)


def _edge(signed: np.ndarray) -> np.ndarray:
    return np.clip(signed / 0.0003 + 0.5, 0, 1)


def _drawing(kind: str, rng: np.random.Generator) -> np.ndarray:
    """(512, 512) ink density of a flat drawing, antialiased."""
    from PIL import Image, ImageDraw, ImageFilter

    scale = 2
    size = CANVAS * scale
    picture = Image.new("L", (size, size), 0)
    draw = ImageDraw.Draw(picture)
    middle, width = size / 2, int(size * rng.uniform(0.012, 0.03))
    if kind == "star":
        points = int(rng.integers(5, 9))
        angles = np.arange(2 * points) * np.pi / points - np.pi / 2
        radius = np.where(np.arange(2 * points) % 2 == 0, 0.42, rng.uniform(0.15, 0.25)) * size
        corners = [(middle + r * np.cos(a), middle + r * np.sin(a)) for a, r in zip(angles, radius)]
        if rng.random() < 0.5:
            draw.polygon(corners, fill=255)
        else:
            draw.line([*corners, corners[0]], fill=255, width=width, joint="curve")
    elif kind == "stripes":
        phase = rng.uniform(0, 6)
        for k in range(int(rng.integers(3, 7))):
            y = np.linspace(0.05, 0.95, 60) * size
            x = (0.15 + 0.14 * k + 0.05 * np.sin(y / size * 9 + phase + k)) * size
            draw.line(list(zip(x, y)), fill=255, width=int(width * rng.uniform(0.6, 1.8)))
    elif kind == "script":
        for row in range(int(rng.integers(1, 4))):
            t = np.linspace(0, 1, 240)
            shape = sum(
                rng.normal() * np.sin(2 * np.pi * k * t + rng.uniform(0, 6)) for k in range(5, 16)
            )
            y = (0.3 + 0.22 * row) * size + 0.03 * size * shape / max(np.std(shape), 1e-6)
            draw.line(list(zip((0.1 + 0.8 * t) * size, y)), fill=255, width=max(width // 2, 4))
    else:
        petals = int(rng.integers(6, 13))
        for ring in range(1, int(rng.integers(3, 5))):
            reach, petal = float(0.13 * ring * size), float(0.07 * size * rng.uniform(0.7, 1.2))
            box = (middle - reach, middle - reach, middle + reach, middle + reach)
            draw.ellipse(box, outline=255, width=max(width // 2, 4))
            for k in range(petals):
                angle = 2 * np.pi * (k + 0.5 * (ring % 2)) / petals
                across = float(middle + reach * np.cos(angle))
                down = float(middle + reach * np.sin(angle))
                box = (across - petal, down - petal, across + petal, down + petal)
                draw.ellipse(box, outline=255, width=width // 2)
    picture = picture.filter(ImageFilter.GaussianBlur(scale * 1.2))
    return np.asarray(picture.resize((CANVAS, CANVAS), Image.Resampling.BOX)) / 255.0

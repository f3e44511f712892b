"""Plain line plots, without a plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..core.files import atomic_write

SIZE = (900, 420)
MARGIN = (70, 20, 50, 45)
"""Left, right, top, bottom, pixels."""

COLOURS = ((198, 60, 50), (40, 110, 190), (60, 150, 80), (150, 100, 30))


def write_lines(path: Path, lines: np.ndarray, names: Sequence[str], title: str) -> Path:
    """Write a PNG of lines over frames.

    Args:
        path: the file.
        lines: (L, T) not negative.
        names: of the lines.
        title: what is plotted, with its unit.
    """
    import io

    from PIL import Image, ImageDraw

    width, height = SIZE
    left, right, top, bottom = MARGIN
    picture = Image.new("RGB", SIZE, (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    lines = np.atleast_2d(lines)
    highest = max(float(lines.max()), 1e-6)
    step = 10 ** np.floor(np.log10(highest)) / 2
    step = step * (2 if highest / step > 8 else 1)
    ceiling = step * np.ceil(highest / step)

    def spot(frame: float, value: float) -> tuple[float, float]:
        across = frame / max(lines.shape[1] - 1, 1)
        return (
            left + across * (width - left - right),
            height - bottom - value / ceiling * (height - top - bottom),
        )

    for value in np.arange(0, ceiling + step / 2, step):
        draw.line([spot(0, value), spot(lines.shape[1] - 1, value)], (225, 225, 225))
        draw.text((8, spot(0, value)[1] - 6), f"{value:g}", (80, 80, 80))
    for frame in np.unique(np.linspace(0, lines.shape[1] - 1, 8).astype(int)):
        draw.text((spot(float(frame), 0)[0] - 8, height - bottom + 8), str(frame), (80, 80, 80))
    draw.text((width / 2 - 20, height - 20), "frame", (80, 80, 80))
    draw.text((left, 10), title, (20, 20, 20))
    for number, (line, name) in enumerate(zip(lines, names)):
        colour = COLOURS[number % len(COLOURS)]
        draw.line([spot(float(t), float(v)) for t, v in enumerate(line)], colour, 2)
        draw.text((left + 90 * number, 28), name, colour)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    atomic_write(path, buffer.getvalue())
    return path

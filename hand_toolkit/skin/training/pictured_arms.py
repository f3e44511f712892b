"""Skins of pictured arms without their mesh: flattened palms and backs, aligned by landmarks.

Joints and finger widths, marked by hand on a picture, meet those of the default hand seen along
its palm's normal; a thin-plate spline carries the picture over, palm and back apart.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from ...avatar import surface
from ...core.errors import InputError
from ...geometry.colour import srgb_to_linear
from ...hand_model import vertex_normals
from ..observe import smoothstep
from ..uv_layout import LEVEL, bilinear
from ..uv_observation import DARKEST
from .subjects import NAIL_FACTOR, layout, nail_mask, without_rips

SIDE = 8192
"""Of the pictures of CharMorph's Reom, pixels."""

PALM = [
    (5330, 1800),
    (5010, 1560), (4830, 1300), (4640, 1130), (4500, 1000),
    (5150, 990), (5110, 575), (5105, 360), (5110, 165),
    (5330, 950), (5475, 540), (5495, 300), (5490, 110),
    (5520, 980), (5750, 705), (5855, 550), (5895, 385),
    (5700, 1090), (5935, 930), (6045, 870), (6145, 770),
]  # fmt: skip
BACK = [
    (4700, 2200),
    (4900, 1800), (4700, 1540), (4530, 1330), (4410, 1120),
    (4240, 1510), (3925, 1280), (3770, 1100), (3540, 1010),
    (3970, 1640), (3590, 1450), (3400, 1350), (3215, 1285),
    (3850, 1800), (3420, 1790), (3220, 1740), (3100, 1705),
    (3790, 2120), (3420, 2130), (3260, 2120), (3150, 2130),
]  # fmt: skip
"""Pixels of the 21 keypoints on either side of Reom's left hand."""

HALF_WIDTH = (80, 72, 58)
"""Of the fingers at their three outer joints' places, pixels: between knuckle and middle joint,
at the middle joint, at the last."""

OWN_HALF_WIDTH_M = (0.0095, 0.0085, 0.0072)
SMOOTHING = 1e-2


@lru_cache(maxsize=1)
def _places() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the layout's texels lie on the picture's palm and back (N, 2), and (N,) 1 on backs."""
    from scipy.interpolate import RBFInterpolator

    model, own = surface("default", "right", LEVEL), layout()
    points = model.keypoint_template[:, [0, 2]]
    flat = own.rest[:, [0, 2]]
    result = []
    for marks in (PALM, BACK):
        target = np.array(marks, float)
        source, goal = [points], [target]
        theirs_turned = _handedness(points) * _handedness(target)
        for finger in range(5):
            for k, (mine, theirs) in enumerate(zip(OWN_HALF_WIDTH_M, HALF_WIDTH)):
                a, b = 1 + 4 * finger + k, 2 + 4 * finger + k
                share = 0.6 if k == 0 else 0.0
                for side in (-1.0, 1.0):
                    source.append(_beside(points, a, b, share, side * mine)[None])
                    goal.append(_beside(target, a, b, share, theirs_turned * side * theirs)[None])
        spline = RBFInterpolator(
            np.concatenate(source) * 10, np.concatenate(goal) / SIDE, smoothing=SMOOTHING
        )
        result.append(spline(flat * 10) * SIDE)
    normal = own.at(vertex_normals(model.template, model.faces))
    return result[0], result[1], smoothstep(normal[:, 1], -0.35, 0.35)


def _handedness(points: np.ndarray) -> float:
    """1 or -1: on which side of the middle finger's way the thumb lies."""
    along, thumb = points[12] - points[0], points[4] - points[0]
    return float(np.sign(along[0] * thumb[1] - along[1] * thumb[0]))


def _beside(points: np.ndarray, a: int, b: int, share: float, distance: float) -> np.ndarray:
    """A place beside the way from one point to the next; at the second one by default."""
    along = points[b] - points[a]
    across = np.array([-along[1], along[0]]) / max(float(np.linalg.norm(along)), 1e-9)
    base: np.ndarray = points[b] if share == 0 else points[a] + share * along
    return base + across * distance


def reom_skin(path: Path) -> np.ndarray:
    """(N, 3) log albedo of one of Reom's pictures on the subjects' layout.

    Its nails are meshes of their own: drawn ones take their place.

    Raises:
        InputError: the picture cannot be read.
    """
    import cv2

    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None or pixels.shape[:2] != (SIDE, SIDE):
        raise InputError(f"cannot read the skin {path.name}; give Reom's 8192 x 8192 picture")
    pixels = cv2.GaussianBlur(pixels[..., ::-1], (0, 0), 1.5)
    palm, back, behind = _places()
    linear = [srgb_to_linear(bilinear(pixels, at) / 255) for at in (palm, back)]
    logs = [np.log(np.maximum(part, DARKEST)) for part in linear]
    log_albedo = logs[0] + behind[:, None] * (logs[1] - logs[0])
    nails = nail_mask()
    filled = without_rips(log_albedo, np.zeros((len(nails), 2)), extra=nails[:, 0] > 0.05)
    return filled + nails * np.log(NAIL_FACTOR)

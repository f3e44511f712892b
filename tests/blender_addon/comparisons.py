"""What ``scenarios/engine.py`` left, compared with the toolkit: the test and the benchmark ask."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter


@dataclass(frozen=True)
class Pictures:
    """The engine's saved PNG beside ``hand-toolkit render``.

    Attributes:
        psnr_db: over the premultiplied colours of the pixels that show a hand.
        alpha: largest difference of alpha.
        shown: share of the picture that shows a hand.
    """

    psnr_db: float
    alpha: float
    shown: float


def pictures(folder: Path, hand_file: Path) -> Pictures:
    """Render ``hand_file`` by the command line as the scenario did by Blender, and compare."""
    ours = folder / "toolkit.png"
    subprocess.run(
        [
            *(str(Path(sys.executable).parent / "hand-toolkit"), "render", str(hand_file)),
            *("-o", str(ours)),
            *("--pose", str(folder / "pose.npz"), "--side", "both"),
            *("--camera", str(folder / "camera.json"), "--background", "transparent"),
        ],
        check=True,
        timeout=200,
        stdout=subprocess.DEVNULL,
    )
    a, b = (
        np.asarray(Image.open(p).convert("RGBA"), np.float64) / 255
        for p in (folder / "engine.png", ours)
    )
    if a.shape != b.shape:
        raise ValueError(f"the pictures are {a.shape} and {b.shape}")
    shown = b[..., 3] > 0
    flat = [x[..., :3] * x[..., 3:] for x in (a, b)]
    error = np.mean((flat[0] - flat[1])[shown] ** 2)
    return Pictures(
        float(-10 * np.log10(max(error, 1e-12))),
        float(np.abs(a[..., 3] - b[..., 3]).max()),
        float(shown.mean()),
    )


@dataclass(frozen=True)
class Depths:
    """The engine's depth beside the skinned mesh's, by rays, inside the silhouette.

    Attributes:
        median_m, most_m: 50th and 95th percentile of the difference.
        flat_m: 99.5th percentile away from places where the mesh itself jumps by 6 mm or more.
        flat_share: how much of the silhouette that is.
        count: of compared pixels.
        empty: whether every pixel without a hand is infinitely far.
    """

    median_m: float
    most_m: float
    flat_m: float
    flat_share: float
    count: int
    empty: bool


def depths(folder: Path) -> Depths:
    """Compare what the scenario saved."""
    with np.load(folder / "depth.npz") as arrays:
        depth, proxy, alpha = arrays["depth"], arrays["proxy"], arrays["alpha"]
    inside = np.isfinite(proxy) & (alpha > 0.99)
    error = np.abs(depth - proxy)
    middle, most = np.percentile(error[inside], [50, 95])
    # beside fingers before the palm the mesh itself jumps
    q = proxy[1::2, ::2]
    jumps = np.where(np.isfinite(q), q, 9.0)
    flat = maximum_filter(jumps, 3) - minimum_filter(jumps, 3) < 0.006
    kept = flat & inside[1::2, ::2]
    return Depths(
        float(middle),
        float(most),
        float(np.percentile(error[1::2, ::2][kept], 99.5)),
        float(kept.sum() / inside.sum()),
        int(inside.sum()),
        bool((depth[alpha < 1 / 255] > 1e9).all()),
    )

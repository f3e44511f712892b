"""Skin from one photo, on families of skins that no training subject wears.

    python benchmarks/skin.py FOLDER [--cases 12] [--weights FILE] [--splats] [--json FILE]
        [--subjects FILE] [--families NAME ...] [--parity even] [--template FILE]

FOLDER is that of ``python -m hand_toolkit.skin.training subjects``: its ``held.npz`` holds the
held-out subjects (``--subjects``: another file, of which ``--families`` takes some). The
population template that is shipped has seen MakeHuman's women; ``--template`` takes one that has
not (``scripts/extract_skin_template.py --without female``). ``--parity`` scores the odd or the
even cases alone: choose on the former, report the latter.

Each subject is photographed synthetically and observed with a wrong pose, as in training. Scores
are of albedo, its tone aligned on skin that was rightly seen: PSNR (sRGB) where the photo shows
the skin itself (seen), where it shows background or other skin (wrong), and elsewhere (hidden);
there also the energy of gradients over the truth's and the correlation of detail finer than 3 mm;
and the step of log albedo across the UV layout's cuts, with the truth's. Two rows say what limits
hidden skin: the network's with the truth's mean there, and with the truth blurred by 18 mm, which
no photo of the other side tells. ``--splats`` fits the product as well, before (membrane) and now
(network): half a minute a case.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from hand_toolkit.avatar import Avatar, surface
from hand_toolkit.core.types import HandPose, Photo, PoseEstimate
from hand_toolkit.geometry.colour import linear_to_srgb, srgb_to_linear
from hand_toolkit.hand_model import pose_hand_numpy
from hand_toolkit.skin import completion_weights, template
from hand_toolkit.skin.complete import complete_skin
from hand_toolkit.skin.completion_weights import load_completion
from hand_toolkit.skin.light import LUMINANCE
from hand_toolkit.skin.observe import smoothstep
from hand_toolkit.skin.training.photos import OBSERVED_SIZE, Sample, make_sample
from hand_toolkit.skin.training.subjects import Subject, load_subjects
from hand_toolkit.skin.training.subjects import layout as subject_layout
from hand_toolkit.skin.uv_layout import LEVEL, seam_of, uv_layout
from hand_toolkit.skin.uv_observation import DARKEST, weighted_median
from hand_toolkit.systems.texture.one_photo import TextureConfig, fit_texture
from hand_toolkit.systems.texture.optimize import OptimizeConfig

LEVEL_OF_GREY = 0.3
"""Linear albedo to which the tone is set before it is encoded."""

FINE_TEXELS = 4.0
"""Sigma of the Gaussian whose residual is detail: 3 mm."""

BROAD_TEXELS = 24.0
"""Sigma of the Gaussian below which the truth is broad: 18 mm."""

SEED = 777
COLUMNS = ("seen", "wrong", "hidden", "energy", "detail", "cut")


@dataclass(frozen=True)
class Case:
    """One held-out subject's photo: its family, the sample, and its true skin everywhere."""

    family: str
    sample: Sample
    truth: np.ndarray


def cases(
    subjects: list[Subject], count: int, parity: Literal["all", "odd", "even"] = "all"
) -> Iterator[Case]:
    """Photos of the held-out subjects in turn; one that shows little of the hand is retaken."""
    layout = uv_layout("default", OBSERVED_SIZE)
    for number in range(count):
        if parity != "all" and (parity == "odd") != number % 2:
            continue
        subject = subjects[number // 2 % len(subjects)]  # odd and even cases show everybody
        own = subject.own.astype(np.float64)
        for attempt in range(20):
            sample = make_sample(np.random.default_rng([SEED, number, attempt]), own, own)
            if sample.observation.seen.mean() > 0.12 and sample.right.mean() > 0.08:
                break
        plain = subject_layout()
        yield Case(subject.family, sample, plain.look_up(plain.image(own), layout.uv))


def score(case: Case, log_albedo: np.ndarray) -> dict[str, float]:
    """The columns of one method's (N, 3) log albedo; NaN where a region is too small."""
    layout, sample = uv_layout("default", OBSERVED_SIZE), case.sample
    seen = sample.observation.seen > 0.1
    right = sample.right & seen
    weight = sample.observation.sure * right + 1e-9
    aligned = log_albedo - weighted_median(log_albedo, weight)
    truth = sample.target - weighted_median(sample.target, weight)
    shown = [linear_to_srgb(LEVEL_OF_GREY * np.exp(v)) for v in (aligned, truth)]
    error = (shown[0] - shown[1]) ** 2
    out = {}
    for name, where in (("seen", right), ("wrong", seen & ~right), ("hidden", ~seen)):
        enough = where.sum() > 300
        mean = max(float(error[where].mean()), 1e-10) if enough else np.nan
        out[name] = float(-10 * np.log10(mean))
    hidden = ~seen
    slopes = [np.hypot(*np.gradient(layout.image(v.mean(1)))).ravel() for v in (aligned, truth)]
    slopes = [s[layout.index][hidden].mean() for s in slopes]
    out["energy"] = float(slopes[0] / slopes[1])
    fine = [_fine(layout.image(v.mean(1))).ravel()[layout.index][hidden] for v in (aligned, truth)]
    flat = min(f.std() for f in fine) < 1e-6
    out["detail"] = 0.0 if flat else float(np.corrcoef(*fine)[0, 1])
    out["cut"] = cut_step(aligned)
    return out


def told(case: Case, log_albedo: np.ndarray, sigma: float | None) -> np.ndarray:
    """(N, 3) log albedo whose hidden part is off the truth by no mean, or by nothing so broad.

    Args:
        case: with the truth.
        log_albedo: (N, 3).
        sigma: of the Gaussian in texels; None: one mean of all that is hidden.
    """
    from scipy.ndimage import gaussian_filter

    layout, sample = uv_layout("default", OBSERVED_SIZE), case.sample
    seen = sample.observation.seen > 0.1
    weight = sample.observation.sure * (sample.right & seen) + 1e-9
    off = log_albedo - weighted_median(log_albedo, weight)
    off -= sample.target - weighted_median(sample.target, weight)
    if sigma is None:
        broad = np.broadcast_to(off[~seen].mean(axis=0), off.shape)
    else:
        mask = layout.image((~seen).astype(np.float64)[:, None]) * layout.covered[..., None]
        wide = (sigma, sigma, 0)
        share = np.maximum(gaussian_filter(mask, wide), 1e-3)
        picture = gaussian_filter(layout.image(off) * mask, wide) / share
        broad = picture.reshape(-1, 3)[layout.index]
    return np.where(seen[:, None], log_albedo, log_albedo - broad)


def _fine(image: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return np.asarray(image - gaussian_filter(image, FINE_TEXELS))


def cut_step(log_albedo: np.ndarray) -> float:
    """Mean difference of (N, 3) log albedo between both sides of the layout's cuts."""
    layout, seam = uv_layout("default", OBSERVED_SIZE), seam_of("default", OBSERVED_SIZE)
    here = layout.look_up(layout.image(log_albedo), seam.uv).mean(1)
    group = np.unique(seam.group, return_inverse=True)[1]
    high, low = np.full(group.max() + 1, -np.inf), np.full(group.max() + 1, np.inf)
    np.maximum.at(high, group, here)
    np.minimum.at(low, group, here)
    return float((high - low).mean())


def network(case: Case, without: str = "", person: int | None = None) -> np.ndarray:
    """(N, 3) log albedo of the completion network, composed on the texels."""
    layout, seen = uv_layout("default", OBSERVED_SIZE), case.sample.observation
    skin = complete_skin(seen, layout, load_completion(), without, person)
    return skin.compose(seen.log_albedo)


def believed_template(case: Case) -> np.ndarray:
    """(N, 3) log albedo where the network believes and the template, moved to the tone, is hidden.

    What the product's completion "belief" does on splats, here on the texels.
    """
    layout, seen = uv_layout("default", OBSERVED_SIZE), case.sample.observation
    skin = complete_skin(seen, layout, load_completion())
    observed, trust = seen.log_albedo - skin.shade, skin.belief[:, 0]
    luminance = float(np.exp(seen.tone) @ LUMINANCE)
    plain = template.template_log_albedo(layout.uv, luminance)
    faces = surface("default", "right", LEVEL).faces
    hidden = template.complete_log_albedo(
        observed, trust, plain, layout.corners, layout.barycentric, faces
    )
    blend = smoothstep(trust, 0.05, 0.6)[:, None]
    return blend * observed + (1 - blend) * hidden


def product(case: Case, completion: str) -> np.ndarray:
    """(N, 3) log albedo of the avatar that the product fits, from its splats."""
    sample, posed = case.sample, case.sample.posed
    model = surface("default", "right", LEVEL)
    keypoints = pose_hand_numpy(model, posed.theta, posed.shape, posed.translation)[2]
    hand = HandPose(
        side="right",
        hand_model="default",
        theta=posed.theta,
        shape=posed.shape,
        translation=posed.translation,
        confidence=1.0,
        joints_cam_m=keypoints,
        keypoints_2d=sample.camera.project(keypoints),
    )
    photo = Photo((sample.pixels * 255 + 0.5).astype(np.uint8), name="synthetic")
    labels = np.where(sample.mask > 0.5, 0, -1).astype(np.int32)
    config = TextureConfig(completion=completion, optimize=OptimizeConfig(steps=3))
    estimate = PoseEstimate((hand,), sample.camera)
    return on_texels(fit_texture(photo, sample.mask, labels, estimate, config))


def on_texels(avatar: Avatar) -> np.ndarray:
    """(N, 3) log albedo of an avatar's right hand at the texels: of the three nearest splats."""
    from scipy.spatial import cKDTree

    hand = next(h for h in avatar.hands if h.side == "right")
    model, layout = surface("default", "right", LEVEL), uv_layout("default", OBSERVED_SIZE)
    corners = model.template[model.faces[hand.binding.triangle]]
    places = np.einsum("nk,nkc->nc", hand.binding.barycentric, corners)
    distance, near = cKDTree(places).query(layout.rest, k=3)
    weight = 1 / (distance + 1e-5)
    weight /= weight.sum(1, keepdims=True)
    log_albedo = np.log(np.maximum(srgb_to_linear(hand.albedo), DARKEST))
    return np.einsum("nk,nkc->nc", weight, log_albedo[near])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--weights", type=Path, default=None)
    parser.add_argument("--subjects", type=Path, default=None)
    parser.add_argument("--families", nargs="*", default=[])
    parser.add_argument("--parity", choices=("all", "odd", "even"), default="all")
    parser.add_argument("--template", type=Path, default=None)
    parser.add_argument("--splats", action="store_true")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    if arguments.template is not None:
        template.TEMPLATE_FILE = arguments.template
    if arguments.weights is not None:
        completion_weights.SHIPPED = arguments.weights
    rows: dict[str, list[dict[str, float]]] = {}
    file = arguments.subjects or arguments.folder / "held.npz"
    held = load_subjects(file, tuple(arguments.families))
    for number, case in enumerate(cases(held, arguments.cases, arguments.parity)):
        seen = case.sample.observation
        tried = {
            "flat colour": np.zeros_like(case.truth),
            "network": network(case, person=number),
            "network, people's detail": network(case),
        }
        for name, sigma in (("its mean", None), ("it to 18 mm", BROAD_TEXELS)):
            tried[f"network, told {name}"] = told(case, tried["network"], sigma)
        tried["belief and template"] = believed_template(case)
        for head in ("belief", "shade", "mixture"):
            tried[f"network without {head}"] = network(case, head)
        if arguments.splats:
            tried["product before, splats"] = product(case, "membrane")
            tried["product, belief, splats"] = product(case, "belief")
            tried["product, network, splats"] = product(case, "network")
        tried["truth"] = case.sample.target
        tried["photo over light"] = seen.log_albedo
        for name, log_albedo in tried.items():
            rows.setdefault(name, []).append(score(case, log_albedo))
    table = {
        name: {c: float(np.nanmean([r[c] for r in scores])) for c in COLUMNS}
        for name, scores in rows.items()
    }
    print(f"{'':26s}" + "".join(f"{c:>9s}" for c in COLUMNS))
    for name, values in table.items():
        print(f"{name:26s}" + "".join(f"{values[c]:9.2f}" for c in COLUMNS))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

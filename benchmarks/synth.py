"""How good and how fast rendered hands are.

    python benchmarks/synth.py DATA [--count 60] [--json FILE]
    python benchmarks/synth.py --settings [--json FILE]

The first form reads a folder that ``hand-toolkit synth`` wrote: agreement of outline and file
(IoU of the label picture with the projected level-2 hand), seconds a picture, what remains of
interpenetration, and how often MediaPipe finds the hands in the photographs, calls the side
right, and by how much its landmarks miss the model's keypoints. The second form renders one
hand with several settings and prints CPU seconds a picture and PSNR against 64 samples.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from hand_toolkit.core.conventions import SIDES
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy
from hand_toolkit.synth import HandSample, open_dataset


def outline_iou(sample: HandSample) -> float:
    """IoU of the labelled hands and the projected model, forearms left out."""
    import cv2

    scale, size = 8, sample.camera.width
    canvas = np.zeros((sample.camera.height * scale, size * scale), np.uint8)
    for k, side in enumerate(SIDES):
        if not sample.present[k]:
            continue
        model = load_hand_model(sample.hand_model, side, 2)
        args = (sample.theta[k], sample.shape, sample.translation[k])
        pixels = sample.camera.project(pose_hand_numpy(model, *args)[0])
        for face in np.round(pixels * scale).astype(np.int32)[model.faces]:
            cv2.fillConvexPoly(canvas, face, (1,))
    shape = (size, sample.camera.height)
    covered = cv2.resize(canvas.astype(np.float32), shape, interpolation=cv2.INTER_AREA) > 0.5
    labels = sample.picture("labels")
    hand = np.isin(labels, [1, 2])
    covered &= ~np.isin(labels, [3, 4])
    return float((hand & covered).sum() / max((hand | covered).sum(), 1))


def keypoints_2d(sample: HandSample, k: int) -> np.ndarray:
    """(21, 2) projected keypoints of hand ``k``, pixels."""
    model = load_hand_model(sample.hand_model, SIDES[k])
    args = (sample.theta[k], sample.shape, sample.translation[k])
    return sample.camera.project(pose_hand_numpy(model, *args)[2])


def detection(samples: list[HandSample]) -> dict[str, float]:
    """MediaPipe on the photographs; hands are matched by the nearest keypoints."""
    from hand_toolkit_plugins.mediapipe_source import MediapipeSource
    from PIL import Image

    source = MediapipeSource()
    hands = found = right_side = single = single_found = 0
    errors = []
    for sample in samples:
        photo = np.asarray(
            Image.fromarray(sample.picture("photo")).resize((512, 512), Image.Resampling.BICUBIC)
        )
        seen = detect(source, photo, sample.path.stem)
        scale = 512 / sample.camera.width
        present = np.flatnonzero(sample.present)
        hits = 0
        for k in present:
            truth = keypoints_2d(sample, int(k)) * scale
            extent = float((truth.max(0) - truth.min(0)).max())
            best = min(
                ((float(np.linalg.norm(o.keypoints_2d - truth, axis=1).mean()), o) for o in seen),
                key=lambda pair: pair[0],
                default=None,
            )
            if best is not None and best[0] < 0.35 * extent:
                hits += 1
                right_side += best[1].side == SIDES[k]
                errors.append(best[0] / extent)
        hands += len(present)
        found += hits
        single += len(present) == 1
        single_found += int(len(present) == 1 and hits == 1)
    return {
        "hands": hands,
        "found": found / max(hands, 1),
        "single-hand pictures": single,
        "found in single-hand pictures": single_found / max(single, 1),
        "side right": right_side / max(found, 1),
        "median error, share of the hand's extent": float(np.median(errors)) if errors else 0.0,
    }


def detect(source: Any, pixels: np.ndarray, name: str) -> list[Any]:
    """What the pose source sees; a picture without a hand gives an empty list."""
    from hand_toolkit.core.errors import NoHandError
    from hand_toolkit.core.types import Photo

    try:
        return list(source.detect(Photo(pixels, name=name), 2))
    except NoHandError:
        return []


def judge(folder: Path, count: int) -> dict[str, Any]:
    """All figures of a data folder."""
    samples = open_dataset(folder).samples()
    step = max(1, len(samples) // count)
    some = samples[::step][:count]
    overlap = [outline_iou(sample) for sample in some]

    def collect(key: str, chosen: list[HandSample]) -> np.ndarray:
        return np.array([s.extra[key] for s in chosen if s.extra.get(key) is not None])

    poses = {(s.subject, s.pose): s for s in samples}
    both = [s for s in poses.values() if s.present.all()]
    render, solve = collect("render_seconds", samples), collect("solve_seconds", samples)
    inter, own = collect("penetration_mm", both), collect("self_penetration_mm", [*poses.values()])
    gap = collect("gap_mm", [s for s in both if s.family != "near"])
    return {
        "pictures": len(samples),
        "poses": len(poses),
        "two-hand poses": len(both),
        "outline IoU": {"mean": float(np.mean(overlap)), "lowest": float(np.min(overlap))},
        "seconds a picture (Cycles)": float(np.median(render)) if len(render) else None,
        "seconds a pose (solver)": float(np.median(solve)) if len(solve) else None,
        "penetration of two hands, mm": _spread(inter),
        "self-penetration, mm": _spread(own),
        "gap of touching hands, mm": _spread(gap),
        "MediaPipe": detection(some),
    }


def _spread(values: np.ndarray) -> dict[str, float] | None:
    if not len(values):
        return None
    return {
        "median": float(np.median(values)),
        "95 %": float(np.percentile(values, 95)),
        "worst": float(values.max()),
    }


SETTINGS: dict[str, dict[str, Any]] = {
    "4 samples": {"samples": 4},
    "8 samples": {"samples": 8},
    "16 samples": {"samples": 16},
    "8, accurate prefilter": {"samples": 8, "denoising_prefilter": "ACCURATE"},
    "8, three bounces": {"samples": 8, "max_bounces": 3, "diffuse_bounces": 3},
    "8, no light tree": {"samples": 8, "use_light_tree": False},
    "8, no denoiser": {"samples": 8, "use_denoising": False},
}


def settings() -> dict[str, Any]:
    """CPU seconds and PSNR of render settings on one hand and light."""
    from hand_toolkit.synth.appearance import sample_appearance
    from hand_toolkit.synth.develop import develop, meter
    from hand_toolkit.synth.lighting import sample_lighting
    from hand_toolkit.synth.poses import rest_theta, sample_angles
    from hand_toolkit.synth.scene import HandScene
    from hand_toolkit.synth.skin import bake
    from hand_toolkit.synth.surface import load_surface, pose_surface
    from hand_toolkit.synth.texels import build_texel_map
    from hand_toolkit.synth.views import sample_view

    # Blender talks on stdout; the table is printed after everything.
    rng = np.random.default_rng(0)
    surfaces = {side: load_surface(side) for side in SIDES}
    texels = {side: build_texel_map(surfaces[side], 0.6) for side in SIDES}
    look = sample_appearance(rng, None, False)
    out: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        scene = HandScene(surfaces, texels, Path(scratch), 8, 2)
        scene.set_subject(0, look, {side: bake(texels[side], look, None, side) for side in SIDES})
        theta = rest_theta(sample_angles(rng, "rest"))
        shape = np.zeros(len(load_hand_model("default", "right").shape_names))
        posed = pose_surface(surfaces["right"], theta, shape, np.zeros(3), np.zeros(3))
        points = posed[: surfaces["right"].hand_vertices]
        scene.set_hands({"right": posed})
        scene.set_lighting(sample_lighting(rng), points.mean(0))
        cycles = scene.scene.cycles
        usual = {key: getattr(cycles, key) for values in SETTINGS.values() for key in values}
        camera = sample_view(rng, points, np.array([[1.0, 0, 0]]), 256)
        scene.set_camera(camera)
        cycles.samples = 64
        reference = scene.render()
        development = meter(reference, rng)
        truth = develop(reference, development).astype(float)
        solid = reference.alpha > 0.9
        for name, values in SETTINGS.items():
            for key, value in {**usual, **values}.items():
                setattr(cycles, key, value)
            times = []
            for _ in range(3):
                begun, wall = _cpu(), time.perf_counter()
                passes = scene.render()
                times.append((_cpu() - begun, time.perf_counter() - wall))
            error = develop(passes, development).astype(float)[solid] - truth[solid]
            cpu, elapsed = np.median(np.array(times), axis=0)
            out[name] = {
                "CPU seconds": float(cpu),
                "seconds": float(elapsed),
                "PSNR, dB": float(10 * np.log10(255**2 / np.mean(error**2))),
            }
    return out


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def table(values: dict[str, Any], indent: str = "") -> list[str]:
    """Nested figures as lines."""
    lines = []
    for key, value in values.items():
        if isinstance(value, dict) and any(isinstance(v, dict) for v in value.values()):
            lines += [f"{indent}{key}", *table(value, indent + "  ")]
        elif isinstance(value, dict):
            parts = ", ".join(f"{k} {_number(v)}" for k, v in value.items())
            lines.append(f"{indent}{key:<36} {parts}")
        else:
            lines.append(f"{indent}{key:<36} {_number(value)}")
    return lines


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("data", nargs="?", type=Path, help="folder written by hand-toolkit synth")
    parser.add_argument("--count", type=int, default=60, help="pictures for IoU and MediaPipe")
    parser.add_argument("--settings", action="store_true", help="compare render settings instead")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    if not options.settings and options.data is None:
        parser.error("give a data folder, or --settings")
    result = settings() if options.settings else judge(options.data, options.count)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    print("\n".join(table(result)), flush=True)
    if options.settings:
        sys.stdout.flush()
        os._exit(0)  # bpy may hang while the interpreter shuts down


if __name__ == "__main__":
    main()

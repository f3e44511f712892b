"""Figures and pictures of ``fit --contact``: two hands before and after they are fitted together.

``pairs SAMPLES`` takes rendered pairs (``python -m hand_toolkit.systems.im2hands.samples OUT --part
test --predict``) from poses that are right, that are as wrong as eyes are, and that the toolkit's
eyes find in the picture. ``photos PHOTOS -o SHEET.png`` draws real ones from before and the side.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from im2hands import Bodies, penetration, true_pair

from hand_toolkit.core.conventions import SIDES
from hand_toolkit.core.types import Camera, Photo, PoseEstimate
from hand_toolkit.hand_model.crossing import TOUCH_M, find_crossing
from hand_toolkit.pose import estimate_pose, posed_mesh
from hand_toolkit.systems.im2hands.contact import close_hands, refine_contact
from hand_toolkit.systems.im2hands.truth import posed_pair

WAYS: dict[str, dict[str, Any]] = {
    "whole": {},
    "keypoints as they are": {"refine_keypoints": False},
    "no surfaces": {"surfaces": False},
    "not parted": {"part": False},
}
PHOTOS = (
    "interhand_image44669.jpg", "interhand_image69148.jpg", "interhand_image2017.jpg",
    "interhand_image29590.jpg", "crossed_fingers.jpg", "two_hands_face.jpg",
)  # fmt: skip
TILE = 360
COLOURS = np.array([(230.0, 80, 60), (60, 120, 230)])


def crop_camera(lens: np.ndarray, size: int) -> Camera:
    """The camera that took a sample's crop, from its lens (4,)."""
    fx, fy, x, y = (0.5 * size * float(v) for v in lens)
    return Camera(fx, fy, x + size / 2, y + size / 2, size, size)


def wrong_pair(rng: np.random.Generator, theta: np.ndarray, place: np.ndarray,
               shape: np.ndarray, amount: float) -> Any:  # fmt: skip
    """A pair as wrong as eyes are: places along and across the view, turns, bent fingers."""
    from hand_toolkit.pose.parting import SIZE, HandPair
    from hand_toolkit.systems.im2hands.noise import BEND, SIDEWAYS_M, TOWARD_M, TURN

    pair = HandPair(theta[None], place[None], np.stack([shape, shape]))
    scale = np.array([TURN] * 3 + [SIDEWAYS_M, SIDEWAYS_M, TOWARD_M] + [BEND] * (SIZE - 6))
    return pair.moved(amount * scale * rng.normal(size=(1, 2, SIZE)))


def estimate_of(theta: np.ndarray, place: np.ndarray, shape: np.ndarray, camera: Camera
                ) -> PoseEstimate:  # fmt: skip
    """The poses (2, 16, 3) of a pair as an estimate."""
    from hand_toolkit.pose.estimate import known_hand

    hands = tuple(
        known_hand(side, theta[k], shape, place[k], "default", camera)
        for k, side in enumerate(SIDES)
    )
    return PoseEstimate(hands, camera)


def measured(estimate: PoseEstimate, true: np.ndarray) -> dict[str, float]:
    """Joints off the true ones (2, 21, 3) about the pair's middle, mm, crossing, and contact."""
    hands = [next(h for h in estimate.hands if h.side == side) for side in SIDES]
    found = np.stack([hand.joints_cam_m for hand in hands])
    gap = (found - found.mean((0, 1))) - (true - true.mean((0, 1)))
    pair = posed_pair(
        np.stack([h.theta for h in hands]), hands[0].shape, np.stack([h.translation for h in hands])
    )
    volume, near = penetration(Bodies(pair.vertices, pair.faces))
    return {
        "mm": 1e3 * float(np.linalg.norm(gap, axis=-1).mean()),
        "cm3": volume, "deepest mm": 1e3 * max(-near, 0.0), "touch": float(near < TOUCH_M),
    }  # fmt: skip


def pairs(options: argparse.Namespace) -> None:
    """Joints, crossing and contact before and after."""
    import torch

    from hand_toolkit.core.errors import HandToolkitError
    from hand_toolkit.systems.im2hands.batches import USABLE_M, centred, taken
    from hand_toolkit.systems.im2hands.samples import read_samples

    samples = read_samples(options.samples)
    crops = np.concatenate([np.load(p)["crop"] for p in sorted(options.samples.glob("[0-9]*.npz"))])
    off = (centred(samples.predicted) - centred(samples.keypoints)).norm(dim=-1).mean((1, 2))
    found = [int(k) for k in torch.nonzero(off < USABLE_M)[:, 0]]
    chosen: dict[str, list[int]] = {
        "true": list(range(options.count)), "wrong": list(range(options.count)),
        "eyes": found[: options.count],
    }  # fmt: skip
    rows: dict[str, list[dict[str, float]]] = {}
    for source in options.sources.split(","):
        for number in chosen[source]:
            one = taken(samples, torch.tensor([number]))
            true = one.keypoints[0].numpy().astype(float)
            touches = penetration(Bodies(*_both(true_pair(one))))[1] < TOUCH_M
            camera = crop_camera(one.images.lens[0].numpy(), crops.shape[1])
            photo = Photo(crops[number], focal_px=camera.fx)
            theta, shape, place = (
                a[0].numpy().astype(float) for a in (one.theta, one.shape, one.translation)
            )
            if source == "eyes":
                try:
                    given = estimate_pose(photo, hands="both")
                except HandToolkitError:
                    continue
            else:
                amount = 0.0 if source == "true" else 1.0
                pair = wrong_pair(np.random.default_rng(number), theta, place, shape, amount)
                given = estimate_of(pair.theta[0], pair.translation[0], shape, camera)
            ways = {
                n: WAYS[n] for n in options.ways.split(",") if n == "whole" or source == "wrong"
            }
            results = {"before": given}
            results |= {name: refine_contact(photo, given, **way) for name, way in ways.items()}
            for name, result in results.items():
                row = measured(result, true)
                row["touch"] = row["touch"] if touches else np.nan
                row["close"] = float(close_hands(given))
                rows.setdefault(f"{source}: {name}", []).append(row)
    print(f"{'pairs: what':<34}{'pairs':>6}{'close':>6}{'joints mm':>11}{'cm3':>8}"
          f"{'deepest mm':>12}{'touch':>7}")  # fmt: skip
    for name, values in rows.items():
        mean = {key: np.nanmean([v[key] for v in values]) for key in values[0]}
        print(f"{name:<34}{len(values):6}{round(mean['close'] * len(values)):6}{mean['mm']:11.1f}"
              f"{mean['cm3']:8.3f}{mean['deepest mm']:12.2f}"
              f"{100 * mean['touch']:6.0f}%")  # fmt: skip


def _both(pair: Any) -> tuple[Any, Any]:
    return pair.vertices, pair.faces


def drawn(estimate: PoseEstimate, camera: Camera, back: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: both hands shaded over a picture."""
    from hand_toolkit.geometry.raster import rasterize_mesh
    from hand_toolkit.geometry.surfaces import face_normals

    picture, nearest = back.astype(float), np.full(back.shape[:2], np.inf)
    for hand in estimate.hands:
        vertices, faces = posed_mesh(hand)
        raster = rasterize_mesh(vertices, faces, camera)
        turned = camera.world_to_camera[:3, :3] @ face_normals(vertices, faces)[0].T
        shade = 0.35 + 0.65 * np.abs(turned[2])
        hit = raster.silhouette & (raster.depth < nearest)
        nearest = np.where(hit, raster.depth, nearest)
        own = COLOURS[SIDES.index(hand.side)] * shade[raster.triangle[hit]][:, None]
        picture[hit] = 0.2 * picture[hit] + 0.8 * own
    return np.round(picture.clip(0, 255)).astype(np.uint8)


def from_side(estimate: PoseEstimate) -> np.ndarray:
    """(TILE, TILE, 3) uint8: the hands from the right of the photo's camera, white behind."""
    points = np.concatenate([posed_mesh(hand)[0] for hand in estimate.hands])
    middle = 0.5 * (points.min(0) + points.max(0))
    matrix = np.eye(4)
    matrix[:3, :3] = [[0, 0, -1], [0, 1, 0], [1, 0, 0]]
    reach = np.linalg.norm(points - middle, axis=1).max()
    matrix[:3, 3] = -matrix[:3, :3] @ middle + [0, 0, 5 * reach]
    focal = 2.3 * TILE
    camera = Camera(focal, focal, TILE / 2, TILE / 2, TILE, TILE, matrix)
    return drawn(estimate, camera, np.full((TILE, TILE, 3), 255, np.uint8))


def photos(options: argparse.Namespace) -> None:
    """A sheet: photo, before, after, and both from the side."""
    from PIL import Image, ImageDraw

    from hand_toolkit.core.errors import HandToolkitError
    from hand_toolkit.core.metrics import pa_mpjpe_mm
    from hand_toolkit.media import load_photo

    known = json.loads((options.folder / "annotations.json").read_text(encoding="utf-8"))
    sheet = Image.new("RGB", (5 * TILE, len(PHOTOS) * TILE), (255, 255, 255))
    for row, name in enumerate(PHOTOS):
        photo = load_photo(options.folder / name)
        try:
            before = estimate_pose(photo)
        except HandToolkitError as error:
            print(f"{name}: {error}")
            continue
        after = refine_contact(photo, before)
        cells = [photo.pixels, drawn(before, before.camera, photo.pixels),
                 drawn(after, after.camera, photo.pixels), from_side(before),
                 from_side(after)]  # fmt: skip
        for column, cell in enumerate(cells):
            image = Image.fromarray(cell)
            image.thumbnail((TILE, TILE))
            sheet.paste(image, (column * TILE, row * TILE))
        said = []
        for estimate in (before, after):
            sides = {hand.side: hand for hand in estimate.hands}
            if set(sides) != set(SIDES):
                said.append(f"{' and '.join(sides)} alone")
                continue
            crossing = find_crossing(np.stack([posed_mesh(sides[s])[0] for s in SIDES]))
            told = f"{1e3 * crossing.depth_m:.1f} mm deep, "
            told += "touching" if crossing.touching() else "apart"
            true = {h["side"]: h for h in known.get(name, {}).get("hands", [])}
            if set(true) == set(SIDES) and all("joints_3d_camera_mm" in h for h in true.values()):
                points = np.concatenate([sides[s].joints_cam_m for s in SIDES])
                real = np.concatenate([true[s]["joints_3d_camera_mm"] for s in SIDES]) / 1e3
                told += f", joints of the pair {np.mean(pa_mpjpe_mm(points, real)):.1f} mm (PA)"
            said.append(told)
        same = "unchanged" if after is before else said[1]
        print(f"{name}: before {said[0]}; after {same}", flush=True)
        ImageDraw.Draw(sheet).text((TILE + 6, row * TILE + 4), f"{said[0]} > {same}", (255, 255, 0))
    sheet.save(options.output)


def main() -> int:
    """Run one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    jobs = parser.add_subparsers(dest="job", required=True)
    part = jobs.add_parser("pairs", help=pairs.__doc__)
    part.add_argument("samples", type=Path)
    part.add_argument("--count", type=int, default=16)
    part.add_argument("--sources", default="true,wrong,eyes")
    part.add_argument("--ways", default=",".join(WAYS), help="of wrong poses")
    part.set_defaults(run=pairs)
    part = jobs.add_parser("photos", help=photos.__doc__)
    part.add_argument("folder", type=Path)
    part.add_argument("-o", "--output", type=Path, required=True)
    part.set_defaults(run=photos)
    options = parser.parse_args()
    options.run(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())

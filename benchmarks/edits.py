"""What edits do to skin, against real skins and known truths.

    python benchmarks/edits.py tone SKINS
    python benchmarks/edits.py paint SKINS
    python benchmarks/edits.py merge SKINS [--skins 3] [--sheet FILE]
    python benchmarks/edits.py given SKINS [--skins 3]
    python benchmarks/edits.py card SKINS [--hands 8]

SKINS is a folder of MakeHuman's skins (docs/synth.md). ``tone`` gives each skin the tone of the
back of every other and compares both by CIEDE2000 of the medians of back, palm and nails;
beside it stands a tint, one factor on all skin, and how lightness' gradients correlate with
those before.
``paint`` writes the textures and reads them back without and with paint. ``merge`` draws palm and
back, in two lights, of a hand with drawings and freckles, fits each with its pose as given, and
scores the albedo (PSNR of sRGB over the texture layout, tone aligned by one gain a channel, and
CIEDE2000 as it is) of either and of both merged. ``given`` fits a drawn picture with its pose given
and with the pose found. ``card`` draws hands of many sizes flat on a table beside a bank card, fits
each picture, and scores the hand's length: as fitted, from the card as found, from its corners
marked 1.5 pixels off, and from its longer edge as a ruler.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path

import numpy as np
from look import picture

from hand_toolkit import edit
from hand_toolkit.avatar import Avatar
from hand_toolkit.avatar.lighting import studio_light
from hand_toolkit.core.metrics import delta_e_2000, mpjpe_mm, psnr
from hand_toolkit.core.types import Photo
from hand_toolkit.edit.apply import linear_albedo, with_albedo
from hand_toolkit.edit.combine import merged
from hand_toolkit.edit.guides import placed_hands
from hand_toolkit.edit.zones import zones_of
from hand_toolkit.export.bake import bake_color, bake_skin
from hand_toolkit.export.scene import build_scene
from hand_toolkit.geometry.colour import linear_to_lab, linear_to_srgb, srgb_to_linear
from hand_toolkit.pictures.drawing import picture_of
from hand_toolkit.pipeline import FitResult, fit_photo
from hand_toolkit.skin.uv_layout import uv_layout
from hand_toolkit.testing.look import laid_avatar

SIZE = 512
ZONES = ("back", "palm", "nail")


def skins(folder: Path, count: int | None = None) -> list[tuple[str, Avatar]]:
    """An avatar in each skin of a folder."""
    paths = sorted(folder.glob("*_diffuse*.png"))
    if count is not None:
        paths = paths[:: max(1, len(paths) // count)][:count]
    return [(p.stem, laid_avatar(16, picture(p))) for p in paths]


def medians(avatar: Avatar) -> dict[str, np.ndarray]:
    """L*a*b* of the medians of back, palm and nails."""
    hand = avatar.hands[0]
    zones = zones_of(avatar.hand_model, avatar.level, hand)
    where = {
        "back": zones.back > 0.9,
        "palm": (zones.palm > 0.9) & (zones.nail < 0.1),
        "nail": zones.nail > 0.8,
    }
    return {z: linear_to_lab(np.median(linear_albedo(hand)[w], axis=0)) for z, w in where.items()}


def tinted(avatar: Avatar, goal: np.ndarray) -> Avatar:
    """One factor on all skin, so that the back's median is ``goal`` (3,) linear."""
    hand = avatar.hands[0]
    factor = goal / edit.tone_of(avatar, hand.side)
    return dataclasses.replace(avatar, hands=(with_albedo(hand, linear_albedo(hand) * factor),))


def baked(avatar: Avatar) -> np.ndarray:
    """(T, 3) sRGB in [0, 1] of the layout's texels."""
    hand = build_scene(avatar, sides=avatar.sides[:1]).hands[0]
    layout = uv_layout(avatar.hand_model, SIZE)
    return np.asarray(bake_color(avatar, hand, SIZE).reshape(-1, 3)[layout.index] / 255)


def gradient_correlation(first: np.ndarray, second: np.ndarray) -> list[float]:
    """Of lightness' gradients on the back, on the palm, and all over, away from the layout's edges.

    Where the back passes into the palm a new step is what the edit is for.
    """
    from scipy.ndimage import binary_erosion

    from hand_toolkit.avatar import surface
    from hand_toolkit.edit.zones import zones_at

    layout = uv_layout("default", SIZE)
    zones = zones_at(surface("default", "right", 1), layout.face, layout.barycentric)
    lightness = [
        layout.image(linear_to_lab(srgb_to_linear(v))[:, :1])[..., 0] for v in (first, second)
    ]
    result = []
    for where in (zones.back > 0.98, zones.palm * (1 - zones.nail) > 0.98, zones.back > -1):
        inside = np.zeros(SIZE * SIZE, bool)
        inside[layout.index[where]] = True
        inside = binary_erosion(inside.reshape(SIZE, SIZE), iterations=4)
        parts = [np.concatenate([g[inside] for g in np.gradient(v)]) for v in lightness]
        result.append(float(np.corrcoef(*parts)[0, 1]))
    return result


def tone(folder: Path) -> None:
    """The table of ``tone``."""
    worn = skins(folder)
    print("CIEDE2000 of zone medians to the real skin, mean (worst)")
    print(f"{'':<10}" + "".join(f"{z:>14}" for z in ZONES))
    errors: dict[str, list[list[float]]] = {"nothing": [], "tint": [], "edit": []}
    kept: list[list[float]] = []
    for a, (_, source) in enumerate(worn):
        before = baked(source)
        for b, (_, goal) in enumerate(worn):
            if a == b:
                continue
            target = edit.tone_of(goal, "right")
            red, green, blue = (linear_to_srgb(target) * 255 + 0.5).astype(int)
            changed = edit.toned(source, f"#{red:02x}{green:02x}{blue:02x}")
            real = medians(goal)
            for name, one in (
                ("nothing", source),
                ("tint", tinted(source, target)),
                ("edit", changed),
            ):
                own = medians(one)
                errors[name].append([float(delta_e_2000(own[z], real[z])) for z in ZONES])
            if (a + b) % 3 == 0:
                kept.append(gradient_correlation(before, baked(changed)))
    for name, rows in errors.items():
        table = np.array(rows)
        cells = [f"{m:.1f} ({w:.1f})" for m, w in zip(table.mean(0), table.max(0))]
        print(f"{name:<10}" + "".join(f"{c:>14}" for c in cells))
    means, worst = np.mean(kept, axis=0), np.min(kept, axis=0)
    words = [f"{w} {m:.3f} (min {v:.3f})" for w, m, v in zip(("back", "palm", "all"), means, worst)]
    print("correlation of gradients of lightness: " + ", ".join(words))


def paint(folder: Path) -> None:
    """The figures of ``paint``."""
    from PIL import Image

    avatar = skins(folder, 1)[0][1]
    with tempfile.TemporaryDirectory() as text:
        edit.export_textures(avatar, text)
        file = Path(text) / "right_albedo.png"
        again = edit.painted(avatar, file)
        off = 255 * np.abs(again.hands[0].albedo - avatar.hands[0].albedo).max()
        print(f"without paint: {off:.3f} of 255 at most")
        pixels = np.array(Image.open(file))
        rows, columns = np.mgrid[: len(pixels), : len(pixels)]
        for width in (6, 12, 24, 48):
            stripes = ((rows + columns) // width % 8 == 0) & (pixels[..., 3] > 0)
            over = pixels.copy()
            over[stripes] = [30, 60, 150, 255]
            after = edit.painted(avatar, over)
            edit.export_textures(after, text)
            back = np.array(Image.open(file)).astype(float)[..., :3]
            layout = uv_layout("default", len(pixels)).covered
            wrong = np.abs(back - over[..., :3]).mean(axis=2)[layout]
            middle = psnr(back[layout] / 255, over[layout][:, :3] / 255)
            print(
                f"stripes of {width} texels: {wrong.mean():.2f} of 255 in the mean, "
                f"{middle:.1f} dB, {len(after)} splats of {len(avatar)}"
            )


def warm_light() -> np.ndarray:
    """(9, 3) a lamp's light from the right."""
    light = studio_light()[:, ::1] * np.array([1.15, 0.95, 0.72])
    light[3] *= -1
    return light * 0.8


def shot(avatar: Avatar, view: str, light: np.ndarray, name: str) -> tuple[Photo, Avatar, object]:
    """A picture of an avatar with its known pose and camera."""
    placed = placed_hands("relaxed", view=view, size=(640, 640), avatar=avatar)
    hand = placed.hands[0]
    pixels = picture_of(
        avatar,
        {hand.side: hand.theta},
        {hand.side: hand.translation},
        placed.camera,
        (0.25, 0.35, 0.3),
        light,
    )
    return Photo(np.ascontiguousarray(pixels), name=name), avatar, placed


def score(avatar: Avatar, truth: Avatar) -> tuple[float, float]:
    """PSNR with the tone aligned by one gain a channel, and mean CIEDE2000 as it is."""
    own, real = baked(avatar), baked(truth)
    lab = delta_e_2000(linear_to_lab(srgb_to_linear(own)), linear_to_lab(srgb_to_linear(real)))
    logs = [np.log(np.maximum(srgb_to_linear(v), 3e-3)) for v in (own, real)]
    moved = np.exp(logs[0] + np.median(logs[1] - logs[0], axis=0))
    return psnr(linear_to_srgb(np.clip(moved, 0, 1)), real), float(lab.mean())


def fitted(photo: Photo, pose: object, **more: object) -> FitResult:
    """A fit of the method that needs no learned prior."""
    return fit_photo(photo, pose=pose, method="texture", **more)  # type: ignore[arg-type]


def marked(avatar: Avatar, seed: int) -> Avatar:
    """The avatar with freckles, veins and drawings on palm and back that nobody can guess.

    MakeHuman's people are among those whose skin the completion learned.
    """
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(seed)
    for place, size in (("back", 55.0), ("palm", 50.0), ("middle", 16.0)):
        drawing = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
        pen = ImageDraw.Draw(drawing)
        for _ in range(9):
            x, y, r = rng.uniform(60, 340), rng.uniform(60, 340), rng.uniform(15, 60)
            ink = (*(int(v) for v in rng.uniform(60, 170, 3) * [1, 0.6, 0.5]), 255)
            pen.ellipse([x - r, y - r, x + r, y + r], outline=ink, width=int(rng.uniform(8, 22)))
        decal = edit.Decal(np.asarray(drawing), place, size, rng.uniform(0, 360), True, "drawing")
        avatar = edit.decalled(avatar, decal)
    return edit.veined(edit.freckled(avatar, 1.5, seed), 0.8, seed)


def merge(folder: Path, count: int, sheet: Path | None) -> None:
    """The table of ``merge``."""
    rows, pictures = [], []
    for number, (name, bare) in enumerate(skins(folder, count)):
        truth = marked(bare, number)
        fits = []
        for view, light in (("palm", studio_light()), ("back", warm_light())):
            photo, _, pose = shot(truth, view, light, f"{name}_{view}.png")
            fits.append(fitted(photo, pose).avatar)
        both = merged(fits)
        scores = [score(a, truth) for a in (*fits, both)]
        rows.append([v for pair in scores for v in pair])
        shown = " | ".join(f"{p:.2f} dB, {e:.2f}" for p, e in scores)
        print(f"{name:<42}{shown}", flush=True)
        if sheet is not None:
            pictures.append(np.concatenate([looks(a) for a in (truth, *fits, both)], axis=1))
    mean = np.mean(rows, axis=0)
    print(
        "mean: palm alone {:.2f} dB, {:.2f}; back alone {:.2f} dB, {:.2f}; merged {:.2f} dB, "
        "{:.2f} (CIEDE2000)".format(*mean)
    )
    if sheet is not None:
        from hand_toolkit.media import save_image

        save_image(sheet, np.concatenate(pictures))


def looks(avatar: Avatar) -> np.ndarray:
    """Palm, side and back in flat light."""
    views = []
    for view in ("palm", "90", "back"):
        placed = placed_hands("flat", view=view, size=(320, 320), avatar=avatar)
        hand = placed.hands[0]
        views.append(
            picture_of(
                avatar,
                {hand.side: hand.theta},
                {hand.side: hand.translation},
                placed.camera,
                (0.3, 0.3, 0.3),
                "flat",
            ).copy()
        )
    return np.concatenate(views, axis=1)


def given(folder: Path, count: int) -> None:
    """The table of ``given``."""
    print("seen skin's error against truth: PSNR, CIEDE2000; joints (mm)")
    for name, truth in skins(folder, count):
        photo, _, pose = shot(truth, "back", studio_light(), f"{name}.png")
        real = pose.hands[0]  # type: ignore[attr-defined]
        for label, known in (("given", pose), ("found", None)):
            avatar = fitted(photo, known).avatar
            side = next(h.side for h in avatar.hands if h.observed)
            if side != real.side:
                print(f"{name:<42}{label:<7}the wrong side")
                continue
            own = avatar.hand(side)
            from hand_toolkit.avatar import surface
            from hand_toolkit.hand_model import pose_hand_numpy

            model = surface("default", side, 0)
            joints = pose_hand_numpy(model, own.source_theta, own.shape, own.source_translation)[2]
            layout = uv_layout("default", SIZE)
            seen = bake_skin(avatar, build_scene(avatar, sides=(side,)).hands[0], SIZE)
            sure = seen.reshape(-1, 4)[layout.index][:, 3] > 0.5
            alone = dataclasses.replace(avatar, hands=(own,))
            lab = [linear_to_lab(srgb_to_linear(baked(a)[sure])) for a in (alone, truth)]
            off = delta_e_2000(*lab).mean()
            value = psnr(baked(alone)[sure], baked(truth)[sure])
            error = float(mpjpe_mm(joints, real.joints_cam_m))
            print(f"{name:<42}{label:<7}{value:.2f} dB, {off:.2f}; {error:.2f}", flush=True)


def card(folder: Path, count: int) -> None:
    """The table of ``card``."""
    from hand_toolkit.edit.metric import CARD_M, FOUND_PX
    from hand_toolkit.testing.cards import card_photo

    worn = skins(folder)
    print("error of the hand's length, per cent: fitted, card found, corners marked, ruler")
    for known in (True, False):
        rows: list[list[float]] = []
        for k in range(count):
            truth = edit.scaled(worn[k % len(worn)][1], 0.86 + 0.28 * k / max(1, count - 1))
            shown = card_photo(truth, k)
            photo = shown.photo if known else dataclasses.replace(shown.photo, focal_px=None)
            avatar = fitted(photo, None, quality="draft").avatar
            side = next(h.side for h in avatar.hands if h.observed)
            rng = np.random.default_rng([k, 7])
            marks = shown.corners + rng.normal(0, 1.5 / np.sqrt(2), (4, 2))
            edges = np.linalg.norm(np.diff(shown.corners[[0, 1, 2]], axis=0), axis=1)
            ends = marks[:2] if edges[0] > edges[1] else marks[1:3]
            found = edit.find_card(photo, avatar.camera)
            made = (
                avatar,
                edit.with_card(avatar, found, FOUND_PX),
                edit.with_card(avatar, marks),
                edit.with_ruler(avatar, ends, CARD_M[0]),
            )
            real = edit.hand_length(truth, "right")
            rows.append([100 * (edit.hand_length(a, side) / real - 1) for a in made])
            row = " ".join(f"{v:+7.2f}" for v in rows[-1])
            wrong = "" if side == "right" else " (wrong side)"
            print(f"{1000 * real:.0f} mm{wrong}: {row}", flush=True)
        mean, worst = np.abs(rows).mean(axis=0), np.abs(rows).max(axis=0)
        words = ", ".join(f"{m:.2f} (worst {w:.2f})" for m, w in zip(mean, worst))
        print(f"focal length {'known' if known else 'not known'}: {words}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=["tone", "paint", "merge", "given", "card"])
    parser.add_argument("skins_folder", type=Path, metavar="SKINS")
    parser.add_argument("--skins", type=int, default=3)
    parser.add_argument("--hands", type=int, default=8)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    folder = arguments.skins_folder
    if arguments.what == "tone":
        tone(folder)
    elif arguments.what == "paint":
        paint(folder)
    elif arguments.what == "merge":
        merge(folder, arguments.skins, arguments.sheet)
    elif arguments.what == "card":
        card(folder, arguments.hands)
    else:
        given(folder, arguments.skins)


if __name__ == "__main__":
    main()

"""Personal hands from many pictures: a rendered person of whom all is known, and a real one.

    python benchmarks/xhand.py views|ablations|swaps|real|speed|cost [--subjects 1] [--size 192]
        [--known] [--avatar FILE.hand] [--photos ../shared/photos] [--pictures FOLDER]
        [--json FILE]

``views``: fits to 1, 5, 10, 20 and 30 pictures of a rendered person, scored on four pictures in
poses that no fit saw, in the same room. The person has a shape, bumps, creases and folds that no
hand model has (``xhand_subject.py``); fits get the mean shape and poses that are off by 0.06 rad
a joint, 0.04 rad at the wrist, 2 mm across and 6 mm in depth, and are told how far depths are
off; with ``--known`` poses and places are the true ones, as in the paper, and the shape alone is
not. Scores are of the union of the true and the drawn hand above the wrist, on black: PSNR, SSIM
of its box, and "grad", a perceptual distance without weights (``learn/losses.py``) in place of
LPIPS, whose weights are a download. "picture" is the PSNR of the whole picture, three quarters of
which are black, and "inside" that of the pixels that both hands cover, which outlines do not
enter. P2S is the mean distance of the true surface from the fitted one, millimetres, both in the
true pose and rigidly aligned, and that of the hand model's mean shape. ``ablations``: five views
without parts of the method. ``swaps``: five views with known poses, the true albedo and the true
light put in. ``real``: 20 frames of one person's hand fitted, drawn in the poses of the other
five, which are estimated as they are and in the avatar's shape (``pose --avatar``;
``real_hand.py drive`` has the metrics), beside ``igsn`` from one of the 20, with the
minutes and memory that both took. ``speed``: frames a second of an avatar (``--avatar``) at 512 x
334, drawn as ``render`` draws it, as ``render --neural`` does, and as the personal mesh through
the rasterizer with gradients. ``cost``: minutes and memory of a fit of 20 rendered pictures whose
hands are 512 pixels long, with the default settings.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import time
from pathlib import Path
from typing import Any

import driving
import numpy as np
import torch
import xhand_subject as rendered

from hand_toolkit.avatar import surface
from hand_toolkit.core.files import atomic_write
from hand_toolkit.core.metrics import mask_box, psnr, psnr_mask, ssim_box
from hand_toolkit.core.types import Camera
from hand_toolkit.geometry.silhouette import wrist_half_plane
from hand_toolkit.hand_model import pose_hand_numpy
from hand_toolkit.learn.losses import gradient_loss
from hand_toolkit.media import save_image
from hand_toolkit.media.viewset import ViewSet
from hand_toolkit.pictures.drawing import picture_of
from hand_toolkit.systems.xhand.config import XHandConfig
from hand_toolkit.systems.xhand.drawables import PersonalAvatar
from hand_toolkit.systems.xhand.drawing import draw, lit
from hand_toolkit.systems.xhand.fit import Fitted, fit_xhand
from hand_toolkit.systems.xhand.skin import visible_part

TESTS = 4
TEST_SEED = 900
ABLATED = 5
"""Pictures of the ablations' fits."""

PROTOCOL = {"level": 1, "place_steps": 15, "steps": 16, "depth_sigma_m": 0.006}
"""What rendered persons are fitted with, to take seconds; the method's default is 2, 40 and 20."""

ABLATIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "no D": {"displacement": False},
    "with W": {"weights": True},
    "with pose-dependent albedo": {"pose_albedo": True},
    "plain Laplacian": {"laplacian": "plain"},
    "pictures not aligned": {"align": False},
    "places not refined": {"place_steps": 0},
    "neural renderer": {"renderer": "mlp"},
    "neural renderer, UNet": {"renderer": "unet"},
}
DEFAULT = {"level": 2, "place_steps": 40, "steps": 20}
Drawing = tuple[np.ndarray, np.ndarray]


def mesh_picture(fitted: Fitted, theta: np.ndarray, where: np.ndarray, camera: Camera) -> Drawing:
    """The personal mesh in the mean light of the fit: (H, W, 3) on black, and its coverage."""
    person = fitted.people[rendered.SIDE]
    with torch.no_grad():
        posed = person(*(torch.tensor(a, dtype=torch.float32) for a in (theta, where)))
        hand = fitted.shown[0].view.hands[0]
        faces = person.model.faces
        dim = visible_part([hand], [posed.vertices.numpy()], [posed.normals.numpy()], [faces])[0]
        light = fitted.places.light.mean(0)
        colour = lit(posed, light, torch.tensor(dim, dtype=torch.float32)[:, None])
        drawn = draw([posed], [faces], [colour], camera)
        if rendered.SIDE in fitted.renderers:
            renderer = fitted.renderers[rendered.SIDE]
            visible = torch.tensor(dim, dtype=torch.float32)[:, None]
            _, where_drawn, made = renderer.picture(person, posed, light, visible, camera)
            flat = drawn.color.reshape(-1, 3).clone()
            flat[where_drawn] = made * drawn.alpha.reshape(-1, 1)[where_drawn].clamp(0, 1)
            return flat.view(drawn.color.shape).clamp(0, 1).numpy(), drawn.alpha.numpy()
    return drawn.color.clamp(0, 1).numpy(), drawn.alpha.clamp(0, 1).numpy()


def baked_picture(drawable: Any, light: np.ndarray, theta: np.ndarray, where: np.ndarray,
                  camera: Camera) -> Drawing:  # fmt: skip
    """Splats in that light."""
    side = rendered.SIDE
    shown = picture_of(drawable, {side: theta}, {side: where}, camera, None, light) / 255.0
    return shown[..., :3] * shown[..., 3:], shown[..., 3]


def cut(drawing: Drawing, region: np.ndarray) -> Drawing:
    """What lies in a region (H, W)."""
    return drawing[0] * region[..., None], drawing[1] * region


def score(drawing: Drawing, truth: Drawing) -> dict[str, float]:
    """Of one picture."""
    (image, alpha), (target, cover) = drawing, truth
    union = (alpha > 0.5) | (cover > 0.5)
    box = mask_box(union)
    a, b = (torch.tensor(x[box][None], dtype=torch.float32) for x in (image, target))
    inside = torch.tensor(union[box][None].astype(np.float32))
    return {
        "psnr": psnr_mask(image, target, union),
        "ssim": ssim_box(image, target, union),
        "grad": float(gradient_loss(a, b, inside)),
        "picture": psnr(image, target),
        "inside": psnr_mask(image, target, (alpha > 0.5) & (cover > 0.5)),
    }


def surface_mm(subject: rendered.Subject, fitted: Fitted | None, theta: np.ndarray) -> float:
    """P2S: mean distance of true vertices from the fitted surface, or the mean hand's, mm."""
    from scipy.spatial import cKDTree

    zero = np.zeros(3)
    truth = subject.vertices(theta, zero)
    if fitted is None:
        model = surface("default", rendered.SIDE, 2)
        flat = np.zeros(len(model.shape_names))
        vertices = pose_hand_numpy(model, theta, flat, zero)[0]
    else:
        person = fitted.people[rendered.SIDE]
        model = person.model
        with torch.no_grad():
            posed = person(torch.tensor(theta, dtype=torch.float32), torch.zeros(3))
        vertices = posed.vertices.double().numpy()
    # a finer mesh begins with the coarser one's vertices
    common = min(len(vertices), len(truth))
    source, goal = vertices[:common], truth[:common]
    u, _, vt = np.linalg.svd((source - source.mean(0)).T @ (goal - goal.mean(0)))
    turn = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
    aligned = (vertices - source.mean(0)) @ turn + goal.mean(0)
    corners = aligned[model.faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    centre = corners.mean(1)
    away, near = cKDTree(centre).query(truth)
    plane = np.abs(((truth - centre[near]) * normal[near]).sum(1))
    return float(1e3 * np.minimum(plane, away).mean())


@dataclasses.dataclass(frozen=True)
class Case:
    """One rendered person with the pictures that test it."""

    subject: rendered.Subject
    size: int
    truths: list[tuple[np.ndarray, np.ndarray]]
    images: list[Drawing]
    camera: Camera
    given: ViewSet
    room: np.ndarray

    @staticmethod
    def of(number: int, size: int, most: int, known: bool = False) -> Case:
        """A person, ``most`` pictures to fit to with poses that are off or known, and the tests."""
        subject = rendered.Subject.of(number)
        views, truth = rendered.views_of(subject, TESTS, TEST_SEED + number, size=size)
        images = []
        for theta, where, light in truth:
            images.append(rendered.picture(subject, theta, where, light, views[0].camera))
        noise = 0.0 if known else 1.0
        given, _ = rendered.views_of(subject, most, number, size=size, noise=noise)
        poses = [(t, w) for t, w, _ in truth]
        return Case(subject, size, poses, images, views[0].camera, given, truth[0][2])

    def fit(self, count: int, **options: Any) -> Fitted:
        """To the first so many pictures."""
        config = XHandConfig(**{"size": self.size, "place_size": self.size, **PROTOCOL, **options})
        return fit_xhand(ViewSet(self.given.views[:count], "rendered"), config)

    def above(self, theta: np.ndarray, where: np.ndarray) -> np.ndarray:
        """(H, W) above the wrist: below it the true mesh is open, and splats are closed."""
        model = surface("default", rendered.SIDE, 0)
        points = self.camera.project(pose_hand_numpy(model, theta, self.subject.shape, where)[2])
        return wrist_half_plane(points, (self.size, self.size), margin=0.0)

    def scores(self, fitted: Fitted) -> dict[str, float]:
        """Means over the test pictures."""
        light = fitted.places.light.detach().mean(0).double().numpy()
        rows: dict[str, list[float]] = {}
        personal = PersonalAvatar(fitted.avatar)
        for (theta, where), truth in zip(self.truths, self.images):
            drawn = {
                "mesh": mesh_picture(fitted, theta, where, self.camera),
                "baked": baked_picture(fitted.avatar, light, theta, where, self.camera),
                "personal": baked_picture(personal, light, theta, where, self.camera),
            }
            for name, drawing in drawn.items():
                above = self.above(theta, where)
                for metric, value in score(cut(drawing, above), cut(truth, above)).items():
                    rows.setdefault(f"{name} {metric}", []).append(value)
            rows.setdefault("P2S mm", []).append(surface_mm(self.subject, fitted, theta))
            rows.setdefault("mean hand mm", []).append(surface_mm(self.subject, None, theta))
        return {name: float(np.mean(values)) for name, values in rows.items()}

    def sheet(self, fitted: Fitted) -> np.ndarray:
        """Truths above the mesh above the baked splats."""
        light = fitted.places.light.detach().mean(0).double().numpy()
        lines = [[image for image, _ in self.images[:6]]]
        lines.append([mesh_picture(fitted, t, w, self.camera)[0] for t, w in self.truths[:6]])
        lines.append(
            [baked_picture(fitted.avatar, light, t, w, self.camera)[0] for t, w in self.truths[:6]]
        )
        return np.concatenate([np.concatenate(line, 1) for line in lines])


def run_rendered(arguments: argparse.Namespace) -> dict[str, Any]:
    """``views`` and ``ablations``."""
    result: dict[str, Any] = {}
    wanted: dict[str, tuple[int, dict[str, Any]]]
    if arguments.section == "views":
        wanted = {f"{n} views": (n, {}) for n in arguments.counts}
    else:
        names = arguments.only or list(ABLATIONS)
        wanted = {name: (ABLATED, ABLATIONS[name]) for name in names}
    head: list[str] = []
    for number in range(arguments.first, arguments.first + arguments.subjects):
        if arguments.known:
            wanted = {n: (c, {**o, "pose_sigma": 0.0}) for n, (c, o) in wanted.items()}
        if arguments.default:
            wanted = {n: (c, {**DEFAULT, **o}) for n, (c, o) in wanted.items()}
        most = max(count for count, _ in wanted.values())
        case = Case.of(number, arguments.size, most, arguments.known)
        for name, (count, options) in wanted.items():
            start = time.process_time()
            fitted = case.fit(count, **options)
            row = case.scores(fitted) | {"CPU s": time.process_time() - start}
            result.setdefault(name, []).append(row)
            if not head:
                head = list(row)
                print(f"{'':28}" + "".join(f"{h:>17}" for h in head), flush=True)
            print(f"{number} {name:26}" + "".join(f"{row[h]:17.3f}" for h in head), flush=True)
            if arguments.pictures:
                arguments.pictures.mkdir(parents=True, exist_ok=True)
                file = f"{arguments.section}_{number}_{name.replace(' ', '_')}.png"
                save_image(arguments.pictures / file, case.sheet(fitted))
    for name, rows in result.items():
        if len(rows) > 1:
            mean = {h: float(np.mean([r[h] for r in rows])) for h in head}
            print(f"mean {name:23}" + "".join(f"{mean[h]:17.3f}" for h in head))
    return result


def run_swaps(arguments: argparse.Namespace) -> dict[str, float]:
    """``swaps``: what of a fit's colours is lost in albedo and what in light."""
    case = Case.of(arguments.first, arguments.size, ABLATED, known=True)
    fitted = case.fit(ABLATED, pose_sigma=0.0)
    person, light = fitted.people[rendered.SIDE], fitted.places.light
    own, own_light = person.albedo.average.data.clone(), light.data.clone()
    # a finer mesh begins with the coarser one's vertices
    truth = torch.tensor(case.subject.log_albedo[: len(own)], dtype=torch.float32)
    room = torch.tensor(case.room, dtype=torch.float32).expand_as(own_light)
    # a bright hand in dim light and the reverse are one picture
    gain = (own - truth).median(0).values
    swaps = {
        "as fitted": (own, own_light),
        "true albedo": (truth + gain, own_light),
        "true light": (own - gain, room),
        "both": (truth, room),
    }
    result = {}
    for name, (albedo, lit_by) in swaps.items():
        person.albedo.average.data, light.data = albedo.clone(), lit_by.clone()
        rows = [
            score(mesh_picture(fitted, t, w, case.camera), image)["inside"]
            for (t, w), image in zip(case.truths, case.images)
        ]
        result[name] = float(np.mean(rows))
        print(f"{name:12} {result[name]:6.2f} dB inside", flush=True)
    return result


def run_real(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """20 frames of one person fitted, the other five driven; and ``igsn`` from one."""
    from hand_toolkit.avatar import Avatar
    from hand_toolkit.pipeline import fit_photos

    folder = arguments.photos / "one_subject"
    paths = driving.frame_paths(folder)
    targets = driving.load_frames(folder, [p.stem for p in paths[2::5]])
    fit = [p for p in paths if p not in paths[2::5]]
    sources = driving.load_frames(folder, ["00102"])
    entries = []
    for file in arguments.avatar or ():
        entries.append(driving.Entry(file.stem, Avatar.load(file), tuple(sources)))
    made = (("igsn", [folder / "00102.jpg"]), ("xhand", fit))
    for method, chosen in made if not entries else ():
        begin = time.perf_counter()
        avatar = fit_photos(chosen, hands="left", method=method, max_views=64).avatar
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        minutes = (time.perf_counter() - begin) / 60
        print(f"{method} of {len(chosen)}: {minutes:.1f} min, peak {peak:.2f} GB", flush=True)
        label = f"{method}, {len(chosen)} photo(s)"
        entries.append(driving.Entry(label, avatar, tuple(sources)))
    rows = driving.run(targets, entries, True, arguments.pictures, own_shape=True)
    print(driving.table(rows))
    return rows


def run_speed(arguments: argparse.Namespace) -> dict[str, float]:
    """Frames a second of one avatar."""
    from hand_toolkit.animate import finger_pose
    from hand_toolkit.avatar import Avatar, display_theta
    from hand_toolkit.render import AvatarRenderer
    from hand_toolkit.systems.xhand.stored import from_extras

    avatar = Avatar.load(arguments.avatar[0])
    camera = Camera(900, 900, 167, 256, 334, 512)
    side = next(h.side for h in avatar.hands if h.observed)
    where = {side: np.array([0.0, 0.09, 0.5])}
    poses = []
    for k in range(60):
        theta = display_theta(side, finger_pose("relaxed", 2.0 + 6.0 * (k % 20) / 20))
        poses.append(({side: theta}, where))
    result = {}
    for name, drawable in (("baked", avatar), ("personal", PersonalAvatar(avatar))):
        renderer = AvatarRenderer(drawable, camera, light="photo")
        some = poses if name == "baked" else poses[:12]
        renderer.render(*some[0])
        start = time.perf_counter()
        for _ in renderer.stream(some):
            pass
        result[name] = len(some) / (time.perf_counter() - start)
    person = from_extras(avatar)[side]
    light = torch.tensor(avatar.light, dtype=torch.float32)
    start = time.perf_counter()
    with torch.no_grad():
        for turned, place in poses[:12]:
            posed = person(*(torch.tensor(x[side], dtype=torch.float32) for x in (turned, place)))
            draw([posed], [person.model.faces], [lit(posed, light, 1.0)], camera)
    result["mesh"] = 12 / (time.perf_counter() - start)
    for name, rate in result.items():
        print(f"{name:10} {rate:7.1f} frames a second, {len(avatar):,} splats")
    return result


SECTIONS = ("views", "ablations", "swaps", "real", "speed", "cost")
COST_VIEWS, COST_SIZE = 20, 800
"""Pictures of ``cost``, and their side: the hands in them are 512 pixels long, or nearly."""


def run_cost(arguments: argparse.Namespace) -> dict[str, float]:
    """A fit of the default settings."""
    subject = rendered.Subject.of(arguments.first)
    given, _ = rendered.views_of(subject, COST_VIEWS, arguments.first, size=COST_SIZE)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    wall, start = time.perf_counter(), time.process_time()
    fitted = fit_xhand(given, XHandConfig())
    result = {
        "photos": float(len(fitted.shown)),
        "longest side": float(np.median([max(s.crop.mask.shape) for s in fitted.shown])),
        "CPU minutes": (time.process_time() - start) / 60,
        "minutes": (time.perf_counter() - wall) / 60,
        "GB before": before,
        "GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
    print("  ".join(f"{name} {value:.2f}" for name, value in result.items()))
    return result


def main() -> None:
    """Run the section that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("section", choices=SECTIONS)
    parser.add_argument("--subjects", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first subject")
    parser.add_argument("--known", action="store_true", help="give the true poses and places")
    parser.add_argument("--size", type=int, default=192, help="side of the rendered pictures")
    parser.add_argument("--default", action="store_true", help="fit with the method's settings")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 5, 10, 20, 30])
    parser.add_argument("--only", nargs="+", choices=list(ABLATIONS), help="of the ablations")
    parser.add_argument(
        "--avatar", type=Path, action="append", help="for speed, or for real instead of fits"
    )
    parser.add_argument("--photos", type=Path, default=driving_photos())
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.section == "speed" and arguments.avatar is None:
        parser.error("speed draws an avatar; give --avatar FILE.hand")
    sections: dict[str, Any] = {
        "real": run_real, "speed": run_speed, "cost": run_cost, "swaps": run_swaps
    }  # fmt: skip
    result = sections.get(arguments.section, run_rendered)(arguments)
    if arguments.json:
        atomic_write(arguments.json, json.dumps(result, indent=1))


def driving_photos() -> Path:
    """Where the photos lie beside a checkout."""
    return Path(__file__).resolve().parents[2] / "shared" / "photos"


if __name__ == "__main__":
    main()

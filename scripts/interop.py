"""Opens exported files in other people's software and prints what came of it as a table.

Run by ``scripts/interop.sh`` (``make interop``), which installs the npm packages first. Checks:
Khronos' glTF validator, Babylon.js (splats against our own render), three.js (skinned mesh in
motion), Blender's glTF importer, UsdValidation and UsdSkel, and splat-transform's conversions.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from hand_toolkit import Avatar, Camera, Splats, export_avatar
from hand_toolkit.animate import Motion, builtin_motion
from hand_toolkit.core.skeletons import SKELETONS
from hand_toolkit.export import import_file
from hand_toolkit.export.scene import build_scene
from hand_toolkit.render import render
from hand_toolkit.testing.avatars import procedural_avatar
from hand_toolkit.testing.browser import drive_page, run_node
from hand_toolkit.testing.interop import (
    blender_errors,
    blender_joint_error,
    usd_errors,
    usd_joint_error,
    usd_problems,
)
from hand_toolkit.view import AvatarViewer, viewer_html

SIZE = 640
FOCAL = 1100.0
BACKGROUND = (0.16, 0.18, 0.21)
DISTANCE = 0.62


def main() -> int:
    """Run every check; the exit status is 1 when one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="folder for files and pictures")
    parser.add_argument("--avatar", type=Path, help=".hand file; default a procedural avatar")
    parser.add_argument("--pictures", type=Path, help="folder that gets the docs' pictures")
    parser.add_argument("--docs", type=Path, help="Markdown file whose marked block gets the table")
    args = parser.parse_args()
    out = args.out or Path(tempfile.mkdtemp(prefix="hand-toolkit-interop-"))
    out.mkdir(parents=True, exist_ok=True)
    avatar = Avatar.load(args.avatar) if args.avatar else procedural_avatar(0, splats_per_face=2)
    rows: list[tuple[str, str, str, str, bool]] = []
    checks = (
        check_gltf,
        check_browsers,
        check_engines,
        check_blender,
        check_skeletons,
        check_usd,
        check_splat_transform,
        check_viewer,
    )
    for check in checks:
        print(f"... {check.__name__}", file=sys.stderr)
        rows += check(avatar, out)
    lines = ["| program | file | what | result | |", "|---|---|---|---|---|"]
    lines += [f"| {a} | {b} | {c} | {d} | {'ok' if ok else 'FAILED'} |" for a, b, c, d, ok in rows]
    print("\n".join(lines))
    if args.docs:
        page = args.docs.read_text(encoding="utf-8")
        before, begin, rest = page.partition("<!-- interop: begin")
        head, _, rest = rest.partition("\n")
        _, end, after = rest.partition("<!-- interop: end -->")
        if not end:
            raise SystemExit(
                f"{args.docs} has no block between 'interop: begin' and 'interop: end'"
            )
        block = "\n".join([begin + head, "", *lines, "", end])
        args.docs.write_text(before + block + after, encoding="utf-8")
    if args.pictures:
        save_pictures(out, args.pictures)
    return 0 if all(row[-1] for row in rows) else 1


def save_pictures(out: Path, folder: Path) -> None:
    """Keep what the documentation shows."""
    folder.mkdir(parents=True, exist_ok=True)
    pair = [read_picture(out / f"{n}.png") for n in ("babylon_splats_ours", "babylon_splats")]
    save_picture(np.concatenate(pair, 1), folder / "babylon.png")
    frames = [read_picture(out / f"three_mesh_{k}.png") for k in range(3)]
    save_picture(np.concatenate(frames, 1), folder / "three.png")
    for name in ("viewer_flat", "viewer_index", "viewer_mesh", "viewer_served"):
        save_picture(read_picture(out / f"{name}.png"), folder / f"{name}.png")


def files(avatar: Avatar, out: Path) -> dict[str, Path]:
    """The exported files, written once."""
    motion = builtin_motion("open-close")
    jobs: dict[str, tuple[str, str, dict[str, Any]]] = {
        "mesh": ("mesh.glb", "glb", {"what": "mesh", "motion": motion}),
        "mesh4": (
            "mesh4.glb",
            "glb",
            {"what": "mesh", "motion": motion, "options": {"influences": 4}},
        ),
        "splats": ("splats.glb", "glb", {"what": "splats"}),
        "both": ("both.glb", "glb", {"motion": motion}),
        "gltf": (
            "mesh.gltf",
            "glb",
            {"what": "mesh", "pose": "fist", "options": {"texture": "photo"}},
        ),
        "ply": ("splats.ply", "ply", {}),
        "spz": ("splats.spz", "spz", {}),
        "splat": ("splats.splat", "splat", {}),
        "usdc": ("hands.usdc", "usd", {"motion": motion}),
        "usdz": ("hands.usdz", "usd", {"pose": "relaxed"}),
        "fist": ("fist.glb", "glb", {"what": "splats", "pose": "fist"}),
    }
    result = {}
    for key, (name, kind, keywords) in jobs.items():
        path = out / name
        if not path.exists():
            export_avatar(avatar, path, kind, **keywords)
        result[key] = path
    return result


def check_gltf(avatar: Avatar, out: Path) -> list[tuple[str, str, str, str, bool]]:
    """Khronos' validator."""
    paths = files(avatar, out)
    chosen = [paths[k] for k in ("mesh", "mesh4", "gltf", "splats", "both")]
    outside = out / "splat-transform.glb"
    run_node(
        "node_modules/@playcanvas/splat-transform/bin/cli.mjs", "-q", "-w", paths["ply"], outside
    )
    reports = json.loads(run_node("validate.mjs", *chosen, outside))
    rows = []
    for path in [*chosen, outside]:
        issues = reports[path.name]
        # The validator's newest release predates KHR_gaussian_splatting: it calls the semantics
        # that the extension defines invalid, in every such file.
        known = [
            m for m in issues["messages"]
            if m["code"] == "MESH_PRIMITIVE_INVALID_ATTRIBUTE"
            and "KHR_gaussian_splatting:" in m["pointer"]
        ]  # fmt: skip
        errors = issues["numErrors"] - len(known)
        text = f"{errors} errors, {issues['numWarnings']} warnings"
        if known:
            text += f" (and {len(known)} for the extension's own attribute names)"
        ok = errors == 0 and issues["numWarnings"] == 0
        rows.append(("gltf-validator", path.name, "valid glTF 2.0", text, ok))
    return rows


def check_browsers(avatar: Avatar, out: Path) -> list[tuple[str, str, str, str, bool]]:
    """Babylon.js and three.js in headless Chromium."""
    paths = files(avatar, out)
    motion = builtin_motion("open-close")
    scene = build_scene(avatar, motion=motion)
    camera = Camera(FOCAL, FOCAL, SIZE / 2, SIZE / 2, SIZE, SIZE, look_from(DISTANCE))
    view = {
        "width": SIZE,
        "height": SIZE,
        "position": [0, 0, DISTANCE],
        "target": [0, 0, 0],
        "fovY": 2 * float(np.arctan(SIZE / 2 / FOCAL)),
    }
    frames = [0, scene.frames // 4, scene.frames // 2]
    times = [f / scene.fps for f in frames]
    shared = {"view": view, "background": BACKGROUND}
    jobs = [
        {"name": "babylon_splats", "page": "babylon", "file": str(paths["splats"]), "args": shared},
        {"name": "babylon_fist", "page": "babylon", "file": str(paths["fist"]), "args": shared},
        {"name": "babylon_mesh", "page": "babylon", "file": str(paths["mesh"]),
         "args": {**shared, "frame": 0.5}},
        {"name": "babylon_both", "page": "babylon", "file": str(paths["both"]),
         "args": {**shared, "hideMesh": True}},
        {"name": "three_mesh", "page": "three", "file": str(paths["mesh"]),
         "args": {**shared, "times": times}},
        {"name": "three_mesh4", "page": "three", "file": str(paths["mesh4"]),
         "args": {**shared, "times": times}},
    ]  # fmt: skip
    (out / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    run_node("render.mjs", out / "jobs.json", out)
    results = {r["name"]: r for r in json.loads((out / "results.json").read_text("utf-8"))}
    rows = []
    for name, key, pose in (
        ("babylon_splats", "splats", None),
        ("babylon_both", "both", None),
        ("babylon_fist", "fist", "fist"),
    ):
        splats = build_scene(avatar, pose=pose).splats(0)
        ours = np.asarray(render(splats, camera, BACKGROUND).color)
        theirs = read_picture(out / f"{name}.png")
        save_picture(ours, out / f"{name}_ours.png")
        value = psnr(ours, theirs)
        text = f"{value:.1f} dB against our render, {results[name]['splats']} splats"
        good = value >= 25 and not results[name]["errors"]
        rows.append(("Babylon.js", paths[key].name, "draws the splats", text, good))
    result = results["babylon_mesh"]
    facts = f"{result['skeletons']} bones, {result['animations']} animation"
    good = result["animations"] == 1 and not result["errors"]
    rows.append(("Babylon.js", "mesh.glb", "skinned mesh in motion", facts, good))
    for name, key in (("three_mesh", "mesh"), ("three_mesh4", "mesh4")):
        worst = 0.0
        for frame, drawn in zip(frames, results[name]["frames"]):
            for hand in scene.hands:
                theirs = np.reshape(drawn["vertices"][f"{hand.side}_hand"], (-1, 3))
                worst = max(worst, nearest_errors(hand.posed_vertices(frame), theirs))
        text = f"largest vertex error {worst * 1000:.4f} mm over {len(frames)} frames"
        limit = 5e-3  # three.js reads four weights of up to eight
        good = worst < limit and not results[name]["errors"]
        rows.append(("three.js", paths[key].name, "skinned mesh in motion (4 weights)", text, good))
    return rows


def check_blender(avatar: Avatar, out: Path) -> list[tuple[str, str, str, str, bool]]:
    """Blender's glTF importer, every frame, in bpy of this Python and in 5.3."""
    paths = files(avatar, out)
    scene = build_scene(avatar, motion=builtin_motion("open-close"))
    pythons = {"5.0": sys.executable}
    newer = Path.home() / ".cache" / "hand-toolkit" / "bpy-5.3" / "bin" / "python"
    if newer.is_file():  # made by the extension's tests with BPY_ALL=1
        pythons["5.3"] = str(newer)
    rows = []
    for version, python in pythons.items():
        for key in ("mesh", "both"):
            report = blender_errors(paths[key], scene, python)
            text = (
                f"largest vertex error {report['error_mm']:.5f} mm over {scene.frames} frames, "
                f"{report['bones']} bones"
            )
            good = report["error_mm"] < 0.1
            what = "joints, weights, animation"
            rows.append((f"Blender (bpy {version})", paths[key].name, what, text, good))
    return rows


def check_skeletons(avatar: Avatar, out: Path) -> list[tuple[str, str, str, str, bool]]:
    """Joints of every skeleton where Blender's three importers and UsdSkel put them."""
    motion = builtin_motion("open-close")
    motion = Motion(
        motion.theta[::20], motion.translation[::20], motion.present[::20], motion.fps, "some"
    )
    small = procedural_avatar(0, limit=40)
    rows = []
    for name, skeleton in SKELETONS.items():
        sides = ("right",) if skeleton.flat else None
        scene = build_scene(small, motion=motion, sides=sides, t_pose=skeleton.t_pose)
        errors = {}
        for suffix in ("glb", "fbx", "usdc", "bvh"):
            options: dict[str, Any] = {"skeleton": name}
            if suffix != "bvh":
                options["texture_size"] = 64
            path = export_avatar(
                small,
                out / f"{name}.{suffix}",
                what="mesh",
                motion=motion,
                sides=sides,
                options=options,
            )[0]
            measure = usd_joint_error if suffix == "usdc" else blender_joint_error
            errors[suffix] = measure(path, scene, name)
        text = ", ".join(f"{suffix} {error:.5f} mm" for suffix, error in errors.items())
        what = f"--skeleton {name}: joints, {len(motion)} frames"
        rows.append(("Blender, UsdSkel", f"{name}.*", what, text, max(errors.values()) < 0.1))
    return rows


def check_engines(avatar: Avatar, out: Path) -> list[tuple[str, str, str, str, bool]]:
    """Pages that play an animated splat hand; see docs/engines.md."""
    motion = builtin_motion("open-close")
    scene = build_scene(avatar, motion=motion)
    options = {"splat_skin": "always", "influences": 4, "binding": False}
    path = out / "moving.glb"
    export_avatar(avatar, path, what="splats", motion=motion, options=options)
    camera = Camera(FOCAL, FOCAL, SIZE / 2, SIZE / 2, SIZE, SIZE, look_from(DISTANCE))
    view = {
        "width": SIZE,
        "height": SIZE,
        "position": [0, 0, DISTANCE],
        "target": [0, 0, 0],
        "fovY": 2 * float(np.arctan(SIZE / 2 / FOCAL)),
    }
    frames = [0, scene.frames // 4, scene.frames // 2]
    args = {"view": view, "background": BACKGROUND, "times": [f / scene.fps for f in frames]}
    pages = {
        "spark": "Spark (three.js)",
        "babylon_motion": "Babylon.js",
        "playcanvas": "PlayCanvas",
    }
    jobs = [{"name": n, "page": n, "file": str(path), "args": args} for n in pages]
    still = files(avatar, out)["splats"]
    jobs.append({"name": "three_splats", "page": "three_splats", "file": str(still), "args": args})
    (out / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    run_node("render.mjs", out / "jobs.json", out)
    results = {r["name"]: r for r in json.loads((out / "results.json").read_text("utf-8"))}
    ours = [np.asarray(render(scene.splats(f), camera, BACKGROUND).color) for f in frames]
    rows = []
    for name, title in pages.items():
        values = [
            psnr(picture, read_picture(out / f"{name}_{k}.png")) for k, picture in enumerate(ours)
        ]
        text = f"{min(values):.1f} to {max(values):.1f} dB against our render, {len(frames)} frames"
        good = min(values) >= 25 and not results[name]["errors"]
        rows.append((title, path.name, "plays the splats", text, good))
    read = results["three_splats"]
    means = np.asarray(build_scene(avatar).splats(0).means) * [1, -1, -1]
    gap = float(np.abs(np.reshape(read["box"], (2, 3)) - [means.min(0), means.max(0)]).max())
    text = f"{read['splats']} splats, bounds within {1000 * gap:.3f} mm"
    good = read["splats"] == len(avatar) and gap < 1e-5 and not read["errors"]
    rows.append(("three.js (splat loader)", still.name, "reads the splats", text, good))
    return rows


def check_usd(avatar: Avatar, out: Path) -> list[tuple[str, str, str, str, bool]]:
    """UsdValidation and UsdSkel's own skinning."""
    paths = files(avatar, out)
    scene = build_scene(avatar, motion=builtin_motion("open-close"))
    rows = []
    for key in ("usdc", "usdz"):
        problems = usd_problems(paths[key])
        text = f"{len(problems)} problems" + (f": {problems[0]}" if problems else "")
        rows.append(("UsdValidation", paths[key].name, "all validators", text, not problems))
    error = usd_errors(paths["usdc"], scene)
    text = f"largest vertex error {error:.5f} mm over {scene.frames} frames"
    rows.append(("UsdSkel", "hands.usdc", "skinning", text, error < 0.1))
    return rows


def check_splat_transform(avatar: Avatar, out: Path) -> list[tuple[str, str, str, str, bool]]:
    """Conversions from each of our formats to each that splat-transform writes."""
    paths = files(avatar, out)
    import plyfile

    rows = []
    vertex = plyfile.PlyData.read(str(paths["ply"]))["vertex"]
    good = len(vertex) == len(avatar) and len(vertex.properties) == 17
    text = f"{len(vertex)} splats, {len(vertex.properties)} properties"
    rows.append(("plyfile", "splats.ply", "reads", text, good))
    for key in ("ply", "spz", "splat"):
        ours = import_file(paths["splat" if key == "splat" else "ply"])
        for target in ("ply", "glb", "spz", "sog"):
            converted = out / f"from_{key}.{target}"
            command = ["-q", "-w", "-g", "cpu", paths[key], converted]
            run_node("node_modules/@playcanvas/splat-transform/bin/cli.mjs", *command)
            final = converted
            if target in ("spz", "sog"):  # we do not read these: let it make a ply of them
                final = out / f"from_{key}_{target}.ply"
                run_node(
                    "node_modules/@playcanvas/splat-transform/bin/cli.mjs",
                    "-q", "-w", "-g", "cpu", converted, final,
                )  # fmt: skip
            back = import_file(final)
            count = len(back)
            if not (isinstance(ours, Splats) and isinstance(back, Splats)):
                raise SystemExit(f"{final.name} was read as an avatar")
            # it turns PLY's axes about z where we turn them about x: half a turn about y apart
            shift = bounds_error(ours, back, [-1, 1, -1] if target == "glb" else [1, 1, 1])
            text = f"{count} of {len(ours)} splats, bounds within {shift * 1000:.3f} mm"
            good = count == len(ours) and shift < 5e-4
            rows.append(
                ("splat-transform", f"{paths[key].name} to {target}", "converts", text, good)
            )
    return rows


def check_viewer(avatar: Avatar, out: Path) -> list[tuple[str, str, str, str, bool]]:
    """The self-contained page and the served one in headless Chromium."""
    page = viewer_html(avatar, out / "viewer.html")
    slide = (
        "const s = document.getElementById('curl-index'); s.value = 80; "
        "s.dispatchEvent(new Event('input'));"
    )
    mesh = (
        "const h = window.handViewer; Object.assign(h.show, {splats: false, mesh: true, "
        "skeleton: true}); h.setPose('relaxed');"
    )
    steps: list[dict[str, Any]] = [
        {"name": "viewer_flat", "script": "await window.handViewer.ready;", "wait": 600},
        {"name": "viewer_index", "script": slide, "wait": 600},
        {"name": "viewer_mesh", "script": mesh, "wait": 600},
    ]
    errors = drive_page(page.as_uri(), (1200, 720), steps, out)["errors"]
    before, after = (read_picture(out / f"viewer_{n}.png") for n in ("flat", "index"))
    changed = np.abs(before - after).max(2) > 0.06
    share = float(changed[:, : 1200 - 268].mean())
    text = f"{100 * share:.1f} % of the picture's pixels change, {len(errors)} errors"
    rows = [
        ("viewer (--html)", "viewer.html", "the index slider moves the finger", text,
         0.005 < share < 0.2 and not errors),
    ]  # fmt: skip
    viewer = AvatarViewer(avatar)
    try:
        steps = [
            {"name": "viewer_start", "wait": 30000,
             "waitFor": "document.querySelectorAll('[role=slider]').length > 5"},
            {"name": "viewer_served", "wait": 5000,
             "keys": {"label": "index", "key": "End", "times": 1}},
        ]  # fmt: skip
        drive_page(viewer.url, (1200, 720), steps, out)
        bend = float(np.degrees(viewer.states[avatar.sides[0]].angles[0, 0]))
    finally:
        viewer.stop()
    text = f"the slider bends the joint by {bend:.0f} degrees"
    rows.append(("viewer (viser)", "http://127.0.0.1", "the page drives it", text, bend > 60))
    return rows


def bounds_error(a: Splats, b: Splats, signs: list[int]) -> float:
    """Largest difference of the two clouds' bounding boxes, ``b`` turned by ``signs``."""
    clouds = [np.asarray(a.means), np.asarray(b.means) * signs]
    boxes = [np.stack([means.min(0), means.max(0)]) for means in clouds]
    return float(np.abs(boxes[0] - boxes[1]).max())


def nearest_errors(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest distance from a vertex of theirs to the nearest of ours, metres."""
    from scipy.spatial import cKDTree

    return float(cKDTree(ours).query(theirs)[0].max())


def look_from(distance: float) -> np.ndarray:
    """World-to-camera matrix of a camera at z = -distance that looks at the origin."""
    matrix = np.eye(4)
    matrix[2, 3] = distance
    return matrix


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two pictures in [0, 1], dB."""
    return float(-10 * np.log10(np.mean((np.clip(a, 0, 1) - b) ** 2) + 1e-12))


def read_picture(path: Path) -> np.ndarray:
    """(H, W, 3) in [0, 1]."""
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB"), np.float64) / 255


def save_picture(picture: np.ndarray, path: Path) -> None:
    """Write (H, W, 3) in [0, 1] as PNG."""
    from PIL import Image

    Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)).save(path)


if __name__ == "__main__":
    raise SystemExit(main())

"""Contract checks for exporters; the built-in ones pass the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..animate import Motion
from ..avatar import Avatar
from ..export.base import Exporter, ExportRequest, parse_options
from ..export.scene import build_scene
from .avatars import procedural_avatar
from .checks import check_names, check_options, require

CONTENTS = ("mesh", "splats", "skeleton")


def check_exporter(
    exporter: Any,
    folder: Path,
    *,
    options: Mapping[str, Any] | None = None,
    same_bytes: bool = True,
) -> None:
    """Check that ``exporter`` keeps the contract of :class:`hand_toolkit.Exporter`.

    It is asked to write a small two-handed avatar: at rest, each content that it says it can
    hold on its own, over an old file, and a left hand in motion where it says that it can.

    Args:
        exporter: what ``register_exporters`` registers.
        folder: an empty folder to write in.
        options: settings that make it quick, e.g. a small texture; the rest are defaults.
        same_bytes: the same request must give the same bytes; turn it off only where a
            library stamps the time into its files.

    Raises:
        AssertionError: with what is wrong.
    """
    _check_declaration(exporter)
    settings = parse_options(exporter, options or {})
    avatar = procedural_avatar(seed=1, limit=60, level=0)
    alone = [what for what in ("mesh", "splats") if what in exporter.contents]
    for what in ("both", *(alone if len(alone) > 1 else ())):
        _check_write(exporter, avatar, folder / what, settings, what=what)
    again = folder / "again"
    again.mkdir()
    target = again / f"hands{exporter.suffixes[0]}"
    target.write_bytes(b"old" * 2_000_000)
    for path in _check_write(exporter, avatar, again, settings):
        require(path != target or path.read_bytes()[-3:] != b"old", "an old file was not replaced")
        twin = folder / "both" / path.relative_to(again)
        require(
            not same_bytes or (twin.is_file() and path.read_bytes() == twin.read_bytes()),
            f"'{path.name}' has other bytes the second time",
        )
    left = procedural_avatar(seed=2, sides=("left",), limit=60, level=0)
    motion = _short_motion() if exporter.animated else None
    _check_write(exporter, left, folder / "left", settings, motion=motion)


def _check_declaration(exporter: Any) -> None:
    check_names(exporter, "exporter")
    require(isinstance(exporter, Exporter), "it lacks a member of hand_toolkit.Exporter")
    require(bool(exporter.suffixes), "suffixes is empty; name at least one")
    for suffix in exporter.suffixes:
        require(
            suffix.startswith(".") and suffix == suffix.lower() and len(suffix) > 1,
            f"suffix {suffix!r} must be lower case and start with a dot",
        )
    require(
        bool(exporter.contents) and set(exporter.contents) <= set(CONTENTS),
        f"contents are {exporter.contents!r}; accepted are {CONTENTS}",
    )
    require(isinstance(exporter.animated, bool), "animated must be True or False")
    check_options(exporter.options)


def _check_write(
    exporter: Any,
    avatar: Avatar,
    folder: Path,
    settings: Mapping[str, Any],
    *,
    what: str = "both",
    motion: Motion | None = None,
) -> list[Path]:
    folder.mkdir(exist_ok=True)
    target = folder / f"hands{exporter.suffixes[0]}"
    reports: list[tuple[float, str]] = []
    scene = build_scene(avatar, motion=motion)
    before = [hand.posed_vertices(0).copy() for hand in scene.hands]
    request = ExportRequest(
        scene,
        target,
        what,
        settings,
        lambda part, text: reports.append((part, text)),
    )
    paths = exporter.write(request)
    case = f"asked for {what}{' with a motion' if motion else ''}, write"
    require(isinstance(paths, list) and bool(paths), f"{case} returned {paths!r}, no list")
    for path in paths:
        require(isinstance(path, Path), f"{case} returned a {type(path).__name__}, no Path")
        require(path.is_file(), f"{case} returned {path.name}, which does not exist")
        require(path.stat().st_size > 0, f"{case} left {path.name} empty")
        require(folder in path.parents, f"{case} wrote outside the folder: {path}")
    names = {p.name for p in paths}
    if motion is None:
        require(paths[0] == target, f"{case} put {paths[0].name} first, not the main file")
    else:
        require(
            all(name.startswith("hands") for name in names),
            f"{case} gave files that are not named after the main file: {sorted(names)}",
        )
    stray = {p for p in folder.rglob("*") if p.is_file()} - set(paths)
    require(not stray, f"{case} left {sorted(p.name for p in stray)} and did not return it")
    for part, text in reports:
        require(0 <= part <= 1, f"progress reported {part}, accepted is 0 to 1")
        require(isinstance(text, str), f"progress reported {text!r}, accepted is a text")
    after = [hand.posed_vertices(0) for hand in scene.hands]
    unchanged = all(np.array_equal(a, b) for a, b in zip(before, after))
    require(unchanged, f"{case} changed the scene that it was given")
    return paths


def _short_motion() -> Motion:
    """Three frames of bending fingers; the left hand is away in the first."""
    theta = np.zeros((3, 2, 16, 3))
    theta[1:, :, 1:, 2] = np.array([0.3, 0.6])[:, None, None]
    translation = np.zeros((3, 2, 3))
    translation[:, 0, 0], translation[:, 1, 0] = -0.1, 0.1
    present = np.array([[True, False], [True, True], [True, True]])
    return Motion(theta, translation, present, 24.0, "contract")

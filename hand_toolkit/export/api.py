"""The public functions: export an avatar, and list the formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..animate import Motion
from ..avatar import Avatar
from ..core.errors import InputError
from ..core.registry import registry
from ..core.skeletons import find_skeleton
from .base import (
    WHATS,
    Exporter,
    ExportRequest,
    Option,
    Progress,
    checked_path,
    parse_options,
)
from .scene import build_scene
from .surface import export_surface


@dataclass(frozen=True)
class FormatInfo:
    """One format, as ``hand-toolkit formats`` and Blender list it.

    Attributes:
        name: the word after ``--format``.
        description: one line.
        suffixes: file suffixes, the first is the default.
        contents: which of "mesh", "splats", "skeleton" it holds.
        animated: whether a motion can be written.
        options: its settings.
    """

    name: str
    description: str
    suffixes: tuple[str, ...]
    contents: tuple[str, ...]
    animated: bool
    options: tuple[Option, ...]


def formats() -> list[FormatInfo]:
    """Every installed format by name."""
    table = registry()
    return [_info(table.get("exporters", name)) for name in table.names("exporters")]


def _info(exporter: Exporter) -> FormatInfo:
    return FormatInfo(
        exporter.name,
        exporter.description,
        tuple(exporter.suffixes),
        tuple(exporter.contents),
        bool(exporter.animated),
        tuple(exporter.options),
    )


def export_avatar(
    avatar: Avatar,
    path: str | Path,
    format: str | None = None,
    *,
    motion: Motion | None = None,
    pose: Any = None,
    what: str = "both",
    lod: int | None = None,
    sides: Sequence[str] | str | None = None,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Write an avatar in a scene format.

    Args:
        avatar: the avatar.
        path: the main file; the format's suffix is added where none is given.
        format: a name of :func:`formats`; None takes it from the suffix.
        motion: θ over time; formats that hold one moment refuse it or write numbered files.
        pose: None (flat, upright), a built-in pose's name, θ (16, 3), or side -> θ.
        what: "mesh", "splats" or "both"; what a format cannot hold is left out. "surface" writes
            the hands closed at the wrist, see :func:`export_surface`.
        lod: 0 full detail to 4; each level has a quarter of the splats.
        sides: "right", "left", "both", a sequence of sides, or None for every hand there is.
        options: the format's own settings by name.
        progress: told a fraction and what is being done; may raise to cancel.

    Returns:
        The files written, the main file first.

    Raises:
        InputError: an argument that is not accepted.
        MissingDependencyError: the format needs a package that is not installed.
    """
    if isinstance(sides, str):
        sides = None if sides == "both" else (sides,)
    if what == "surface":
        return [_surface(avatar, path, format, motion, pose, lod, sides, options)]
    exporter: Exporter = registry().get("exporters", format or format_of(path))
    if what not in WHATS:
        raise InputError(f"unknown content {what!r}; accepted are: {', '.join(WHATS)}, surface")
    if what != "both" and what not in exporter.contents and "skeleton" not in exporter.contents:
        raise InputError(
            f"the format {exporter.name} holds no {what}; it holds: {', '.join(exporter.contents)}"
        )
    if motion is not None and not exporter.animated:
        raise InputError(
            f"the format {exporter.name} holds one pose; give a pose, or choose one of: "
            f"{', '.join(f.name for f in formats() if f.animated)}"
        )
    parsed = parse_options(exporter, options or {})
    target = checked_path(exporter, path)
    skeleton = find_skeleton(parsed.get("skeleton", getattr(exporter, "skeleton", "mano")))
    scene = build_scene(
        avatar, motion=motion, pose=pose, lod=lod, sides=sides, t_pose=skeleton.t_pose
    )
    report = progress or (lambda fraction, text: None)
    report(0.0, "starting")
    paths = exporter.write(ExportRequest(scene, target, what, parsed, report))
    report(1.0, "done")
    return paths


def _surface(
    avatar: Avatar, path: str | Path, format: str | None, motion: Motion | None, pose: Any,
    lod: int | None, sides: Sequence[str] | None, options: Mapping[str, Any] | None,
) -> Path:  # fmt: skip
    if options:
        raise InputError(f"a surface takes no options; received {', '.join(options)}")
    path = Path(path)
    if not path.suffix and format:
        path = path.with_name(f"{path.name}.{format}")
    return export_surface(avatar, path, motion=motion, pose=pose, lod=lod, sides=sides)


def format_of(path: str | Path) -> str:
    """Name of the format that the file's suffix belongs to.

    Raises:
        InputError: no installed format writes it.
    """
    name = Path(path).name.lower()
    for info in formats():
        if any(name.endswith(suffix) for suffix in info.suffixes):
            return info.name
    known = ", ".join(sorted({s for info in formats() for s in info.suffixes}))
    raise InputError(f"no format writes '{Path(path).name}'; known suffixes are: {known}")

"""``demo``, ``plugins``, ``doctor``, ``import-mano``, ``serve``: the installation."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sys
from pathlib import Path

import click

from .common import progress_option, reporting


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Folder for the avatar, its report and a turntable.",
)
@progress_option
def demo(output: Path, progress: str) -> None:
    """Fit an avatar to a picture that comes with the toolkit, and animate it."""
    from ..avatar import Avatar
    from ..media.demo import PICTURE
    from ..pictures.demo_sheet import render_to_file
    from ..pipeline import fit_photo

    output.mkdir(parents=True, exist_ok=True)
    with reporting(progress) as tell:
        result = fit_photo(
            PICTURE,
            report=output / "report",
            progress=lambda fraction, message: tell(0.8 * fraction, message),
        )
        result.avatar.save(output / "demo.hand")
        avatar = Avatar.load(output / "demo.hand")
        for k, (name, options) in enumerate(
            {
                "turntable.mp4": {"camera": "turntable"},
                "open-close.mp4": {"motion": "open-close"},
            }.items()
        ):
            render_to_file(
                avatar,
                output / name,
                size=(512, 512),
                progress=lambda f, m, k=k: tell(0.8 + 0.1 * (k + f), m),  # type: ignore[misc]
                **options,  # type: ignore[arg-type]
            )
    for name in ("demo.hand", "report/sheet.png", "turntable.mp4", "open-close.mp4"):
        click.echo(f"{output / name}")


@click.command()
def plugins() -> None:
    """List what is installed: plugins, what they offer, what failed to load and why."""
    from ..animate import MOTIONS, pose_names
    from ..core.registry import KINDS, registry

    found = registry()
    for record in found.plugins:
        if record.error:
            click.echo(f"FAILED {record.name} ({record.package}): {record.error}")
        else:
            offers = "; ".join(
                f"{kind.replace('_', ' ')}: {', '.join(names)}"
                for kind, names in record.provides.items()
            )
            click.echo(f"{record.name} ({record.package}): {offers or 'nothing'}")
    click.echo()
    for kind in KINDS:
        click.echo(f"{kind.replace('_', ' ') + ':':<15}{', '.join(found.names(kind))}")
    click.echo(f"{'motions:':<15}{', '.join(MOTIONS)}, asl:WORD")
    click.echo(f"{'poses:':<15}{', '.join(pose_names())}")


PARTS = (
    ("torch", "fitting", "torch"),
    ("numba", "the CPU renderer", "numba"),
    ("mediapipe", "the pose source 'mediapipe'", "hand-toolkit[mediapipe]"),
    ("smplx", "hand-toolkit import-mano", "smplx"),
    ("gsplat", "the CUDA renderer", "hand-toolkit[cuda]"),
    ("bpy", "rendering training hands, fbx", "hand-toolkit[blender]"),
    ("pxr", "the formats usd and usdz", "hand-toolkit[usd]"),
    ("gsply", "the format spz", "hand-toolkit[spz]"),
    ("viser", "hand-toolkit view", "hand-toolkit[view]"),
    ("OpenEXR", "hand-toolkit synth", "hand-toolkit[synth]"),
    ("accelerate", "hand-toolkit train", "hand-toolkit[train]"),
)
"""Module, what needs it, what to install."""

_DISTRIBUTION = {"pxr": "usd-core"}


@click.command()
def doctor() -> None:
    """Check the installation: devices, versions, what is missing and the command that adds it."""
    from .. import __version__
    from ..core.registry import registry

    click.echo(f"hand-toolkit {__version__}, Python {platform.python_version()} ({sys.executable})")
    click.echo(f"{platform.platform()}, {_cores()} cores")
    missing = 0
    for module, purpose, package in PARTS:
        if importlib.util.find_spec(module) is None:
            missing += 1
            click.echo(f"missing  {module:<11}{purpose}; add it: pip install '{package}'")
        else:
            version = importlib.metadata.version(_DISTRIBUTION.get(module, module))
            click.echo(f"ok       {module:<11}{version}")
    click.echo(_cuda())
    for record in registry().plugins:
        if record.error:
            click.echo(f"failed   plugin {record.name}: {record.error}")
    try:
        from ..hand_model import load_hand_model

        load_hand_model("mano", "right")
        click.echo("ok       MANO       imported")
    except Exception as error:  # any reason is worth a line here
        click.echo(f"missing  MANO       optional: {str(error).splitlines()[0]}")


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cuda() -> str:
    import torch

    if not torch.cuda.is_available():
        return "device   cpu         (no CUDA device found)"
    return f"device   cuda        {torch.cuda.get_device_name(0)}"


@click.command("import-mano")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def import_mano(files: tuple[Path, ...]) -> None:
    """Convert your MANO_RIGHT.pkl and MANO_LEFT.pkl once, for --hand-model mano.

    The files are read without running any code that they may contain. MANO's licence stays
    yours: nothing of it is put into avatars or exports beyond what the mesh shows.
    """
    from ..hand_model.mano import import_mano as convert

    click.echo(f"{convert(files)}: use it with --hand-model mano")


@click.command()
def serve() -> None:
    """Work for a host program such as Blender over stdin and stdout."""
    from ..worker import serve as run

    sys.exit(run())


COMMANDS = (demo, plugins, doctor, import_mano, serve)

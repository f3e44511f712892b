"""``export``, ``formats``, ``import`` and ``view``: scene formats and the viewer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..core.errors import InputError
from ..core.options import split_settings
from .common import beside, check_output, drawable_of, progress_option, reporting

_input = click.Path(path_type=Path)

SKELETON_NAMES = ("webxr", "unity", "unreal", "vrm", "mixamo", "rigify", "autorigpro")


@click.command()
@click.argument("avatar", type=_input)
@click.option(
    "-f", "--format", "format_name", help="See 'hand-toolkit formats'; default by suffix."
)
@click.option(
    "-o",
    "--output",
    type=_input,
    help="The file to write.  [default: the avatar's name with the format's ending, beside it]",
)
@click.option("--force", is_flag=True, help="Write over files of the default name.")
@click.option("--motion", help="Built in ('hand-toolkit plugins'), asl:WORD, or a motion file.")
@click.option("--pose", help="A built-in pose (fist, asl_a, ...) or the first frame of a file.")
@click.option(
    "--what",
    type=click.Choice(["both", "mesh", "splats", "surface"]),
    default="both",
    show_default=True,
    help="What a format cannot hold is left out; 'surface' closes the hands at the wrist, for "
    "printing (glb, obj, ply, stl).",
)
@click.option("--lod", type=click.IntRange(0, 4), help="Each level has a quarter of the splats.")
@click.option(
    "--side",
    "sides",
    type=click.Choice(["right", "left", "both"]),
    default="both",
    show_default=True,
)
@click.option(
    "--skeleton",
    type=click.Choice(["mano", *SKELETON_NAMES]),
    help="Whose bones glb, fbx, usd and bvh get.  [default: mano]",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="OPTION=VALUE",
    help="An option of the format; 'hand-toolkit formats' lists them.",
)
@progress_option
def export(
    avatar: Path,
    format_name: str | None,
    output: Path | None,
    force: bool,
    motion: str | None,
    pose: str | None,
    skeleton: str | None,
    settings: tuple[str, ...],
    progress: str,
    **options: Any,
) -> None:
    """Write an avatar in a format that other software opens.

    \b
    hand-toolkit export me.hand --format glb
    hand-toolkit export me.hand --format glb -o wave.glb --motion wave
    hand-toolkit export me.hand -o me.ply --pose fist
    hand-toolkit export me.hand -o me.usdz
    hand-toolkit export me.hand -o me.stl --what surface --pose fist
    """
    from ..animate import find_motion, load_motion, pose_names
    from ..avatar import Avatar
    from ..export import export_avatar

    if output is None:
        output = beside(avatar, _ending(format_name), force)
    check_output(output)
    chosen: dict[str, Any] = dict(split_settings(settings))
    if skeleton is not None:
        chosen["skeleton"] = skeleton
    loaded = Avatar.load(avatar)
    sequence = None
    if motion is not None:
        sequence = find_motion(motion)
    held: Any = pose
    if pose is not None and pose not in pose_names():
        held = load_motion(pose).frame(0)[0]
    with reporting(progress) as tell:
        paths = export_avatar(
            loaded,
            output,
            format_name,
            motion=sequence,
            pose=held,
            options=chosen,
            progress=tell,
            **options,
        )
    for path in paths[:10]:
        click.echo(f"{path}: {path.stat().st_size} bytes")
    if len(paths) > 10:
        click.echo(f"... {len(paths)} files")


def _ending(format_name: str | None) -> str:
    """The file ending of a format that was named instead of a file."""
    from ..export import formats as installed

    if format_name is None:
        raise InputError("neither a format nor a file was named; give --format (such as glb) or -o")
    table = {info.name: info for info in installed()}
    if format_name not in table:
        raise InputError(f"no format {format_name!r}; installed are: {', '.join(sorted(table))}")
    return table[format_name].suffixes[0]


@click.command()
def formats() -> None:
    """List the formats of 'export' and their options."""
    from ..export import formats as installed

    for info in installed():
        moves = ", motion" if info.animated else ""
        click.echo(f"{info.name:<8}{', '.join(info.suffixes)}: {info.description}")
        click.echo(f"{'':<8}holds {', '.join(info.contents)}{moves}")
        for option in info.options:
            accepted = f" ({', '.join(option.choices)})" if option.choices else ""
            click.echo(f"{'':<8}--set {option.name}={option.default}: {option.help}{accepted}")


@click.command("import")
@click.argument("source", type=_input, metavar="FILE.ply|glb")
@click.option(
    "-o",
    "--output",
    type=_input,
    help="The avatar, a .hand file.  [default: the source's name, beside it]",
)
@click.option("--force", is_flag=True, help="Write over a file of the default name.")
def import_(source: Path, output: Path | None, force: bool) -> None:
    """Make an avatar again from a file that this toolkit exported.

    Files without the binding hold bare splats: they can be drawn, but not posed; give a .ply
    as output to convert them.
    """
    from ..avatar import Avatar
    from ..core.files import atomic_write
    from ..export import import_file
    from ..export.ply import ply_bytes

    output = beside(source, ".hand", force) if output is None else output
    check_output(output, (".hand", ".ply"))
    found = import_file(source)
    if isinstance(found, Avatar):
        check_output(output, (".hand",))
        found.save(output)
        click.echo(f"{output}: avatar with {len(found)} splats")
        return
    if output.suffix.lower() != ".ply":
        raise InputError(
            f"{source.name} holds {len(found)} splats without a hand's binding, so no avatar can "
            "be made of it; give a .ply as output to convert the splats"
        )
    atomic_write(output, ply_bytes(found))
    click.echo(f"{output}: {len(found)} splats")


@click.command()
@click.argument("avatar", type=_input)
@click.option("--port", type=click.IntRange(1, 65535), help="Default: a free one.")
@click.option("--html", type=_input, help="Write one self-contained page instead of serving.")
@click.option("--photo", type=_input, help="The photo, to show beside the avatar.")
@click.option(
    "--light", default="baked", show_default=True, help="As of 'hand-toolkit render', when served."
)
@click.option("--neural", is_flag=True, help="Evaluate the network for every pose, when served.")
@click.option("--no-browser", is_flag=True, help="Do not open a browser window.")
def view(
    avatar: Path,
    port: int | None,
    html: Path | None,
    photo: Path | None,
    light: str,
    neural: bool,
    no_browser: bool,
) -> None:
    """Look at an avatar in the browser: orbit, bend fingers, play motions.

    Only this machine can connect. --html OUT.html makes a page to send or to host instead.
    """
    from ..avatar import Avatar
    from ..view import serve_viewer, viewer_html

    loaded = Avatar.load(avatar)
    if html is not None:
        check_output(html, (".html",))
        viewer_html(loaded, html, photo=photo)
        click.echo(f"{html}: {html.stat().st_size} bytes")
        return
    serve_viewer(
        loaded,
        drawable=drawable_of(loaded, neural),
        light=light,
        port=port,
        photo=photo,
        open_browser=not no_browser,
        announce=click.echo,
    )


COMMANDS = (export, formats, import_, view)

"""``fit`` and ``pose``: from pictures to avatars and poses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..see.source import DEFAULT_SOURCE
from ..systems.igsn.config import FIT_MODES
from .common import check_output, progress_option, reporting, seed_option

_input = click.Path(path_type=Path)


_segmenter_option = click.option(
    "--segmenter",
    default="grabcut",
    show_default=True,
    help="Who outlines the hands; see 'hand-toolkit plugins'.",
)


def _pose_options(command: Any) -> Any:
    """Options of everything that looks for hands."""
    for option in (
        click.option(
            "--pose-source",
            default=DEFAULT_SOURCE,
            show_default=True,
            help="Who finds the hands; see 'hand-toolkit plugins'.",
        ),
        click.option(
            "--hand-model",
            default="default",
            show_default=True,
            help="'default', or 'mano' after 'hand-toolkit import-mano'.",
        ),
        click.option(
            "--hands",
            type=click.Choice(["auto", "left", "right", "both"]),
            default="auto",
            show_default=True,
            help="Which hands to look for.",
        ),
        click.option(
            "--focal",
            "focal_px",
            type=click.FloatRange(1, 1e6),
            help="Focal length in pixels. Default: the photo's EXIF, else a usual phone's.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("photo", type=_input)
@click.option("-o", "--output", type=_input, required=True, help="The avatar, a .hand file.")
@_pose_options
@click.option(
    "--method",
    type=click.Choice(["auto", "prior", "texture"]),
    default="auto",
    show_default=True,
    help="How appearance is fitted: by the learned prior, which knows skin from all sides, or by "
    "the photo's texture over a template. 'auto': the prior where it knows the hand model.",
)
@click.option(
    "--prior-mode",
    type=click.Choice(FIT_MODES),
    default="full",
    show_default=True,
    help="Ablations of the prior's fit, for research (docs/prior.md).",
)
@click.option("--mask", type=_input, help="Picture of the hands' outline; wins over --segmenter.")
@_segmenter_option
@click.option(
    "--quality",
    type=click.Choice(["draft", "standard", "high"]),
    default="standard",
    show_default=True,
    help="Splats, working size and refinement steps.",
)
@click.option("--report", type=_input, help="Folder for pictures and figures of the fit.")
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
@seed_option
@progress_option
def fit(photo: Path, output: Path, report: Path | None, progress: str, **options: Any) -> None:
    """Make an avatar of the hand, or the two hands, in PHOTO.

    \b
    hand-toolkit fit photo.jpg -o me.hand
    hand-toolkit fit photo.jpg -o me.hand --report report/
    """
    check_output(output, (".hand",))
    from ..pipeline import fit_photo

    with reporting(progress) as tell:
        result = fit_photo(photo, report=report, progress=tell, **options)
        result.avatar.save(output)
    hands = ", ".join(
        f"{h.side} ({'seen' if h.observed else 'mirrored'})" for h in result.avatar.hands
    )
    click.echo(f"{output}: {len(result.avatar)} splats, hands: {hands}")
    if report:
        click.echo(f"{report}/sheet.png shows the fit")


@click.command()
@click.argument("source", type=_input, metavar="PHOTO|VIDEO|FOLDER")
@click.option("-o", "--output", type=_input, required=True, help="The motion, an .npz file.")
@_pose_options
@_segmenter_option
@click.option(
    "--smooth/--no-smooth", default=True, show_default=True, help="One-Euro filter; video only."
)
@seed_option
@progress_option
def pose(source: Path, output: Path, progress: str, smooth: bool, **options: Any) -> None:
    """Estimate the hands' poses in a photo, a video or every picture of a folder.

    The .npz has, sides in the order right, left: poses (T,2,16,3) rad, trans (T,2,3) m,
    present (T,2), keypoints_2d (T,2,21,2) px, joints_cam_m (T,2,21,3), confidence (T,2),
    camera (T,4) fx fy cx cy, size (T,2) width height, shape (T,2,S), frames (names), fps.
    """
    check_output(output, (".npz",))
    from ..pose.views import SeeConfig, described, view_poses, write_poses

    with reporting(progress) as tell:
        views = view_poses(source, SeeConfig(**options), progress=tell)
        write_poses(output, views, smooth)
    click.echo(f"{output}: {described(views)}")


COMMANDS = (fit, pose)

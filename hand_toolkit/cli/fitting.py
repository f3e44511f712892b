"""``fit`` and ``pose``: from pictures to avatars and poses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..core.errors import InputError
from ..core.options import split_settings
from ..see.segment import DEFAULT_SEGMENTER
from ..see.source import DEFAULT_SOURCE
from ..systems.igsn.config import FIT_MODES
from .common import beside, check_output, progress_option, reporting, seed_option

_input = click.Path(path_type=Path)


_segmenter_option = click.option(
    "--segmenter",
    default=DEFAULT_SEGMENTER,
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
        click.option(
            "--mirrored",
            is_flag=True,
            help="The pictures are mirror images, as front cameras store selfies.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("photos", type=_input, nargs=-1, required=True, metavar="PHOTO|FOLDER|VIDEO...")
@click.option(
    "-o",
    "--output",
    type=_input,
    help="The avatar, a .hand file.  [default: the first picture's name, beside it]",
)
@click.option("--force", is_flag=True, help="Write over a file of the default name.")
@_pose_options
@click.option(
    "--method",
    default="auto",
    show_default=True,
    help="How appearance is fitted; see 'hand-toolkit methods'. 'auto': the learned prior where it "
    "knows the hand model, else the photos' texture over a template.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="OPTION=VALUE",
    help="An option of the method; 'hand-toolkit methods' lists them.",
)
@click.option(
    "--trust",
    type=click.FloatRange(0, 1),
    help="How far to trust the photo's skin: 0 invents nearly all of it from its tone, 1 keeps all "
    "that is seen, shadows and spilt background too; .5, the default, is the network's judgement.",
)
@click.option(
    "--paint-out",
    type=_input,
    help="Picture, white (or opaque) where the one photo's skin is not to be believed: a plaster, "
    "a stain, a shadow.",
)
@click.option(
    "--prior-mode",
    type=click.Choice(FIT_MODES),
    help="Old name of --set mode=... of the method igsn (docs/prior.md).",
)
@click.option(
    "--mask",
    type=_input,
    help="Picture of the hands' outline in the one photo; wins over --segmenter.",
)
@click.option(
    "--pose",
    "pose_file",
    type=_input,
    help="The hands' pose and camera in the one photo, taken as given; a file of 'pose' or of "
    "'depth --save-pose'.",
)
@_segmenter_option
@click.option(
    "--max-views",
    type=click.IntRange(1, 64),
    help="Of more pictures, so many that differ most are used.  [default: 6; 20 for the method "
    "xhand]",
)
@click.option(
    "--quality",
    type=click.Choice(["draft", "standard", "high"]),
    default="standard",
    show_default=True,
    help="Splats, working size and refinement steps.",
)
@click.option(
    "--contact/--no-contact",
    default=False,
    show_default=True,
    help="Of one photo, fit close hands once more so that they touch and do not cross.",
)
@click.option(
    "--contact-offset",
    is_flag=True,
    help="With --contact, also move the skin onto the two-hand networks' surfaces.",
)
@click.option("--report", type=_input, help="Folder for pictures and figures of the fit.")
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
@seed_option
@progress_option
def fit(
    photos: tuple[Path, ...],
    output: Path | None,
    force: bool,
    mask: Path | None,
    pose_file: Path | None,
    settings: tuple[str, ...],
    trust: float | None,
    paint_out: Path | None,
    report: Path | None,
    progress: str,
    **options: Any,
) -> None:
    """Make an avatar of the hand, or the two hands, of one person.

    One photo is enough; of several, a folder or a video, all pictures of the same hands are
    evidence, and less skin is invented.

    \b
    hand-toolkit fit photo.jpg -o me.hand
    hand-toolkit fit photo.jpg -o me.hand --report report/
    hand-toolkit fit palm.jpg back.jpg side.jpg -o me.hand
    hand-toolkit fit around_my_hand.mp4 --method xhand -o me.hand
    """
    output = beside(photos[0], ".hand", force) if output is None else output
    check_output(output, (".hand",))
    from ..media.pictures import is_video
    from ..pipeline import fit_photo, fit_photos
    from ..pose.views import doubts
    from ..skin.light import exposure_doubts

    options["settings"] = split_settings(settings)
    if trust is not None:
        options["settings"]["trust"] = trust
    single = len(photos) == 1 and not photos[0].is_dir() and not is_video(photos[0])
    if mask is not None and not single:
        raise InputError(
            "--mask is for one photo; put NAME_mask.png beside each picture of a folder instead"
        )
    if paint_out is not None and not single:
        raise InputError("--paint-out is for one photo; fit the others one by one and merge them")
    if pose_file is not None and not single:
        raise InputError("--pose is for one photo; fit the others one by one and merge them")
    with reporting(progress) as tell:
        if single:
            photo, pose = _posed(photos[0], pose_file)
            result = fit_photo(
                photo,
                pose=pose,
                mask=mask,
                paint_out=paint_out,
                report=report,
                progress=tell,
                **options,
            )
        else:
            result = fit_photos(photos, report=report, progress=tell, **options)
        result.avatar.save(output)
    for sentence in result.views.left_out:
        click.echo(f"left out: {sentence}", err=True)
    light = exposure_doubts(result.photo.pixels, result.mask)
    for sentence in [*doubts(result.views), *light]:
        click.echo(sentence, err=True)
    sure = {h.side: h.confidence for h in result.estimate.hands}
    hands = ", ".join(
        f"{h.side} ({100 * h.evidence.mean():.0f} % of its skin seen"
        + (f", confidence {sure[h.side]:.2f})" if h.side in sure else ")")
        if h.observed
        else f"{h.side} (mirrored)"
        for h in result.avatar.hands
    )
    count = f" from {len(result.views)} pictures" if len(result.views) > 1 else ""
    click.echo(f"{output}: {len(result.avatar)} splats{count}, hands: {hands}")
    if report:
        click.echo(f"{report}/sheet.png shows the fit")


def _posed(photo: Path, pose_file: Path | None) -> tuple[Any, Any]:
    """The photo, read where its size is asked for, and the pose that is given for it."""
    if pose_file is None:
        return photo, None
    from ..media import load_photo
    from ..pose.given import read_estimate

    read = load_photo(photo)
    return read, read_estimate(pose_file, read.size)


@click.command()
def methods() -> None:
    """List the methods of 'fit' and their options."""
    from ..core.registry import registry

    table = registry()
    for name in table.names("methods"):
        method = table.get("methods", name)
        other = f" (also: {', '.join(method.aliases)})" if getattr(method, "aliases", ()) else ""
        click.echo(f"{name:<8}{method.description}{other}")
        for option in method.options:
            accepted = f" ({', '.join(option.choices)})" if option.choices else ""
            click.echo(f"{'':<8}--set {option.name}={option.default}: {option.help}{accepted}")


@click.command()
@click.argument("source", type=_input, metavar="PHOTO|VIDEO|FOLDER")
@click.option(
    "-o",
    "--output",
    type=_input,
    help="The motion, an .npz file.  [default: the source's name, beside it]",
)
@click.option("--force", is_flag=True, help="Write over a file of the default name.")
@_pose_options
@_segmenter_option
@click.option(
    "--avatar",
    type=_input,
    help="The .hand file that the poses are for: its shape is kept, which draws it nearer to "
    "the pictures.",
)
@click.option(
    "--smooth/--no-smooth", default=True, show_default=True, help="One-Euro filter; video only."
)
@seed_option
@progress_option
def pose(
    source: Path,
    output: Path | None,
    force: bool,
    avatar: Path | None,
    progress: str,
    smooth: bool,
    **options: Any,
) -> None:
    """Estimate the hands' poses in a photo, a video or every picture of a folder.

    The .npz has, sides in the order right, left: poses (T,2,16,3) rad, trans (T,2,3) m,
    present (T,2), keypoints_2d (T,2,21,2) px, joints_cam_m (T,2,21,3), confidence (T,2),
    camera (T,4) fx fy cx cy, size (T,2) width height, shape (T,2,S), frames (names), fps.
    """
    output = beside(source, ".npz", force) if output is None else output
    check_output(output, (".npz",))
    from ..pose.views import SeeConfig, described, doubts, view_poses, write_poses

    if avatar is not None:
        options |= _of_person(avatar, options)

    with reporting(progress) as tell:
        views = view_poses(source, SeeConfig(**options), progress=tell)
        write_poses(output, views, smooth)
    for sentence in doubts(views):
        click.echo(sentence, err=True)
    click.echo(f"{output}: {described(views)}")


def _of_person(path: Path, options: dict[str, Any]) -> dict[str, Any]:
    """The options with an avatar's shape and hand model."""
    from ..avatar import Avatar
    from ..edit.size import photo_hand
    from ..pose.person import PersonSource

    avatar = Avatar.load(path)
    model = avatar.hand_model
    if options["hand_model"] not in ("default", model):
        raise InputError(
            f"{path.name} has the hand model '{model}', not '{options['hand_model']}'; "
            "leave --hand-model out"
        )
    source = PersonSource.of(options["pose_source"], photo_hand(avatar).shape, model)
    return {"pose_source": source, "hand_model": model}


COMMANDS = (fit, methods, pose)

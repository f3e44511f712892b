"""Commands on avatars and their files: ``render``, ``info``, ``export``, ``view`` and kin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import drawable_of, parse_background, parse_size, progress_option, reporting

if TYPE_CHECKING:
    from ..avatar import Avatar

_input = click.Path(path_type=Path)


@click.command()
@click.argument("avatar", type=_input)
@click.option(
    "-o",
    "--output",
    type=_input,
    required=True,
    help="A picture (.png .jpg .webp), a video (.mp4 ...), or a folder for numbered pictures.",
)
@click.option(
    "--pose",
    type=_input,
    help="A built-in pose (fist, asl_a, ...), a file of 'hand-toolkit pose', or any motion .npz.",
)
@click.option("--frame", type=click.IntRange(0), help="Which frame of --pose.  [default: 0]")
@click.option("--motion", help="Built in ('hand-toolkit plugins'), asl:WORD, or a motion file.")
@click.option(
    "--camera",
    default="auto",
    show_default=True,
    help="auto (the side that the photo showed), front (the palm), back, orbit:DEGREES[,UP] "
    "(around the upright hand), turntable, photo (where the photo was taken from), from-pose (as "
    "--pose estimated it) or a .json file of cameras "
    "(docs/renderer.md).",
)
@click.option(
    "--size",
    callback=parse_size,
    help="WIDTHxHEIGHT.  [default: the camera's own, else 768x768]",
)
@click.option(
    "--background", default="#292a2c", show_default=True, help="A colour, or 'transparent'."
)
@click.option(
    "--light",
    default="photo",
    show_default=True,
    help="photo (the photo's light, from where it shone on the camera, on the posed hand), baked "
    "(colours as photographed, turning with the skin), flat (the skin's own colour), studio, an "
    "equirectangular .hdr, or SH coefficients as .json.",
)
@click.option(
    "--neural",
    is_flag=True,
    help="Evaluate the network that fitted the avatar for every pose (wrinkles, shadows; some ten "
    "times slower) instead of drawing its fixed splats.",
)
@click.option("--fps", type=click.FloatRange(0.1, 1000), help="Frame rate of the video.")
@click.option(
    "--side",
    type=click.Choice(["right", "left", "both", "photo"]),
    default="photo",
    show_default=True,
    help="Hands to show; 'photo' takes those that the photo showed.",
)
@progress_option
def render(
    avatar: Path, output: Path, progress: str, background: str, neural: bool, **options: Any
) -> None:
    """Draw an avatar: a picture, a turntable, a motion, or another photo's pose.

    \b
    hand-toolkit render me.hand -o me.png
    hand-toolkit render me.hand -o side.png --pose fist --camera orbit:60,15
    hand-toolkit render me.hand -o turn.mp4 --camera turntable
    hand-toolkit render me.hand -o wave.mp4 --motion wave
    hand-toolkit render me.hand -o live.mp4 --motion pinch --neural
    hand-toolkit pose other.jpg -o other.npz
    hand-toolkit render me.hand -o as_other.png --pose other.npz --camera from-pose
    """
    from ..avatar import Avatar
    from ..pictures.demo_sheet import render_to_file

    loaded = Avatar.load(avatar)
    options["drawable"] = drawable_of(loaded, neural)
    options["background"] = parse_background(background)
    with reporting(progress) as tell:
        summary = render_to_file(loaded, output, progress=tell, **options)
    click.echo(f"{output}: {summary}")


@click.command()
@click.argument("avatar", type=_input)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def info(avatar: Path, as_json: bool) -> None:
    """Say what is in an avatar file."""
    import json

    import numpy as np

    from ..avatar import Avatar

    loaded = Avatar.load(avatar)
    data: dict[str, Any] = {
        "file": avatar.name,
        "bytes": avatar.stat().st_size,
        "hand_model": loaded.hand_model,
        "metric_scale": _metric_scale(loaded),
        "mesh_level": loaded.level,
        "splats": len(loaded),
        "hands": {
            h.side: {
                "made_from": "the photo" if h.observed else "the other hand, mirrored",
                "splats": len(h),
                "seen": f"{100 * float(np.mean(h.evidence > 0.5)):.0f}% of the splats",
                "shape": [round(float(v), 4) for v in h.shape],
            }
            for h in loaded.hands
        },
        "photo": f"{loaded.camera.width}x{loaded.camera.height}, focal length "
        f"{loaded.camera.fx:.0f} px",
        **{k: v for k, v in loaded.provenance.items() if k != "photo"},
        "photo_name": loaded.provenance.get("photo", ""),
    }
    if as_json:
        click.echo(json.dumps(data, indent=1))
        return
    for key, value in data.items():
        if isinstance(value, dict):
            for side, entry in value.items():
                shown = ", ".join(
                    f"{k.replace('_', ' ')} {v}" for k, v in entry.items() if k != "shape"
                )
                click.echo(f"{side + ' hand:':<14}{shown}")
        else:
            click.echo(f"{key.replace('_', ' ') + ':':<14}{value}")


def _metric_scale(avatar: Avatar) -> str:
    """The hand's length and what it rests on."""
    import numpy as np

    from ..avatar import surface
    from ..hand_model import rest_hand

    hand = avatar.hands[0]
    model = surface(avatar.hand_model, hand.side, 0)
    length = 1000 * np.abs(rest_hand(model, hand.shape)[2][12, 0])
    return f"{length:.0f} mm from wrist to middle fingertip; {model.metric_scale}"


COMMANDS = (render, info)

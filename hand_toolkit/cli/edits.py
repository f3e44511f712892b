"""Commands that change avatars: ``edit`` and kin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..core.errors import InputError
from .common import check_output, seed_option

_input = click.Path(path_type=Path)
_side_option = click.option(
    "--side",
    type=click.Choice(["right", "left"]),
    help="The hand that --paint and --decal go on.  [default: see there]",
)


@click.command()
@click.argument("avatar", type=_input)
@click.option("-o", "--output", type=_input, help="The changed avatar, a .hand file.")
@click.option(
    "--trust",
    type=click.FloatRange(0, 0.5),
    help="Trust the photo's skin less: .5 leaves it, 0 keeps little but its tone; stains, shadows "
    "and ink go. For more than .5 fit again.",
)
@click.option(
    "--paint-out",
    "paint_outs",
    type=_input,
    multiple=True,
    help="A picture of the photo's size, white (or opaque) where the photo is not believed: there "
    "the skin becomes what it would be if it had not been seen.",
)
@click.option(
    "--paint-out-skin",
    "paint_out_skins",
    type=_input,
    multiple=True,
    help="The same in the layout of --export-textures.",
)
@click.option("--scale", type=float, metavar="FACTOR", help="Larger or smaller hands, 0.25 to 4.")
@click.option(
    "--hand-length",
    metavar="LENGTH",
    help="Metric size: from the wrist to the tip of the middle finger, e.g. 18.4cm or 7.2in.",
)
@click.option(
    "--card",
    metavar="PHOTO|X1,Y1,...,X4,Y4",
    help="Metric size from a bank card that lay beside the hand: the photo that the avatar was "
    "fitted to, in which the card is found, or the card's corners in its pixels.",
)
@click.option(
    "--ruler",
    metavar="X1,Y1,X2,Y2=LENGTH",
    help="Metric size from two points of the photo on what the hand lay on, and their distance, "
    "e.g. 120,80,640,95=10cm.",
)
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="PARAMETER=SIGMAS",
    help="Add standard deviations to a shape parameter of the hand model: finger_length=1.5, "
    "thickness_index=-1, age=2, ... ('hand-toolkit info --json' shows them by number).",
)
@click.option(
    "--tone",
    metavar="TONE",
    help="Skin tone of the back of the hand: monk:1 to 10, fitzpatrick:1 to 6, #rrggbb, or "
    "melanin=AMOUNT,haemoglobin=AMOUNT (-3 to 3). Palms and nails become those of such skin.",
)
@click.option(
    "--paint",
    "paints",
    type=_input,
    multiple=True,
    help="A picture painted over SIDE_albedo.png of --export-textures, or a transparent layer; its "
    "name begins with right or left, or --side says whose it is.",
)
@click.option("--freckles", type=float, metavar="AMOUNT", help="Freckles on the backs, 0 to 3.")
@click.option("--veins", type=float, metavar="AMOUNT", help="Veins on the backs, 0 to 3.")
@click.option("--hair", type=float, metavar="AMOUNT", help="Hair on the backs, 0 to 3.")
@click.option(
    "--decal",
    "decals",
    multiple=True,
    nargs=4,
    metavar="PICTURE PLACE MM DEGREES",
    help="A picture with transparency on the skin: PLACE is back, palm, wrist, wrist_inside, a "
    "finger, or U,V of the texture; MM its longer side; DEGREES turn it counterclockwise from "
    "pointing to the fingertips. On the hand that the photo showed unless --side says.",
)
@click.option("--ink", is_flag=True, help="The decals stain the skin (tattoo, henna).")
@click.option(
    "--lacquer",
    metavar="COLOUR",
    help="Nail lacquer: a colour, thumb=COLOUR,ring=COLOUR,... for some nails, or none for bare "
    "nails.",
)
@_side_option
@click.option("--seed", type=int, default=0, show_default=True, help="Of freckles, veins and hair.")
@click.option(
    "--export-textures",
    "textures",
    type=_input,
    metavar="FOLDER",
    help="Write albedo, normal, roughness and a wireframe guide of the skin, to paint on.",
)
@click.option(
    "--texture-size",
    type=click.IntRange(256, 8192),
    default=2048,
    show_default=True,
    help="Side of the written textures.",
)
def edit(
    avatar: Path,
    output: Path | None,
    textures: Path | None,
    texture_size: int,
    **wanted: Any,
) -> None:
    """Change an avatar; the file it came from stays as it is.

    Edits are made in the order of these options, whatever the order they are given in.

    \b
    hand-toolkit edit me.hand --tone monk:7 -o darker.hand
    hand-toolkit edit me.hand --lacquer '#b00020' --freckles 1 -o dressed.hand
    hand-toolkit edit me.hand --decal henna.png back 50 0 --ink -o henna.hand
    hand-toolkit edit me.hand --hand-length 18.4cm --shape finger_length=1 -o mine.hand
    hand-toolkit edit me.hand --card photo.jpg -o metric.hand
    hand-toolkit edit me.hand --export-textures textures
    hand-toolkit edit me.hand --paint textures/right_albedo.png -o painted.hand
    """
    if output is None and textures is None:
        raise InputError(
            "nothing is written; name the changed avatar with -o, or --export-textures"
        )
    if output is not None:
        check_output(output, (".hand",))
    from ..avatar import Avatar
    from ..edit import EDITS_KEY, EditRequest, edited, export_textures, finished

    loaded = Avatar.load(avatar)
    changed = edited(loaded, EditRequest(**{k: v for k, v in wanted.items() if v is not None}))
    if changed is loaded and output is not None:
        raise InputError("nothing was asked for; give an edit, such as --tone monk:7")
    if output is not None:
        finished(changed).save(output)
        click.echo(f"{output}: {changed.provenance[EDITS_KEY]}")
    if textures is not None:
        for path in export_textures(changed, textures, texture_size):
            click.echo(str(path))


@click.command()
@click.argument("first", type=_input)
@click.argument("second", type=_input)
@click.option("-o", "--output", type=_input, help="A picture of both and of where they differ.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--light", default="studio", show_default=True, help="As for render.")
def compare(first: Path, second: Path, output: Path | None, as_json: bool, light: str) -> None:
    """Say what differs between two avatars, and draw them side by side.

    \b
    hand-toolkit compare me.hand darker.hand -o both.png
    """
    import json

    from ..avatar import Avatar
    from ..edit import compared, comparison
    from ..media import save_image

    if output is not None:
        check_output(output, (".png", ".jpg", ".jpeg", ".webp"))
    pair = Avatar.load(first), Avatar.load(second)
    figures = compared(*pair)
    if output is not None:
        save_image(output, comparison(*pair, light=light))
    if as_json:
        click.echo(json.dumps(figures, indent=1))
        return
    for name, (a, b) in figures["both"].items():
        click.echo(
            f"{name.replace('_', ' ') + ':':<14}{_said(a)}{'' if a == b else ' | ' + _said(b)}"
        )
    for side, entry in figures["hands"].items():
        click.echo(f"{side} hand:")
        for name, value in entry.items():
            click.echo(f"  {name.replace('_', ' ') + ':':<14}{_said(value)}")


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v:+g}" for k, v in value.items()) or "the same"
    if isinstance(value, list):
        return ", ".join(str(v) for v in value) or "-"
    return str(value) or "-"


@click.command()
@click.argument("avatars", type=_input, nargs=-1)
@click.option("-o", "--output", type=_input, required=True, help="The one avatar, a .hand file.")
@click.option("--right", type=_input, help="Take the right hand of this avatar as it is.")
@click.option("--left", type=_input, help="Take the left hand of this avatar as it is.")
@click.option("--match-tone", is_flag=True, help="Give --left's skin the tone of --right's.")
def merge(
    avatars: tuple[Path, ...],
    output: Path,
    right: Path | None,
    left: Path | None,
    match_tone: bool,
) -> None:
    """Make one avatar of several: all that photos of one person show, or two hands.

    Of each place of the skin the avatar counts whose photo saw it best; tone and light are matched.

    \b
    hand-toolkit merge palm.hand back.hand -o whole.hand
    hand-toolkit merge --right me.hand --left you.hand -o pair.hand
    """
    check_output(output, (".hand",))
    if bool(avatars) == (right is not None or left is not None):
        raise InputError("give avatars of one person to merge, or --right and --left, not both")
    from ..avatar import Avatar
    from ..edit import EDITS_KEY, combined, finished, merged

    if avatars:
        whole = merged([Avatar.load(path) for path in avatars])
    else:
        pair = [None if path is None else Avatar.load(path) for path in (right, left)]
        whole = combined(pair[0], pair[1], match_tone)
    finished(whole).save(output)
    click.echo(f"{output}: {whole.provenance[EDITS_KEY]}")


@click.command()
@click.argument("avatar", type=_input)
@click.argument("name", metavar="PAIR")
@click.option(
    "-o", "--output", type=_input, required=True, help="The pose of both hands, an .npz motion."
)
@click.option(
    "--with",
    "other",
    type=_input,
    metavar="AVATAR",
    help="Whose right hand the avatar's right hand shakes; its pose is written beside the first.",
)
@click.option("--picture", type=_input, help="Draw it, too (.png).")
@click.option(
    "--save-avatar",
    type=_input,
    help="The avatar with both hands, where it has one (.hand).",
)
@seed_option
def pair(
    avatar: Path,
    name: str,
    output: Path,
    other: Path | None,
    picture: Path | None,
    save_avatar: Path | None,
    seed: int,
) -> None:
    """Bring hands together: prayer, clasp, interlaced, steeple, fist-in-palm, hand-on-hand or
    hold-wrist of one avatar, or the handshake of two.

    The hands are solved in contact for the avatar's shape, in a few seconds. A hand that the avatar
    lacks is the mirror image of the other; hands of two people come from merge --right --left.

    \b
    hand-toolkit pair me.hand clasp -o clasp.npz --picture clasp.png
    hand-toolkit render me.hand -o turn.mp4 --pose clasp.npz --camera turntable --side both
    hand-toolkit pair me.hand handshake --with you.hand -o shake.npz --picture shake.png
    """
    check_output(output, (".npz",))
    for path, suffixes in ((picture, (".png", ".jpg", ".webp")), (save_avatar, (".hand",))):
        if path is not None:
            check_output(path, suffixes)
    from ..animate import save_motion
    from ..avatar import Avatar
    from ..edit import finished, paired, with_both_hands

    if (name == "handshake") != (other is not None):
        raise InputError(
            "a handshake takes a second avatar, and nothing else does; give: pair ME.hand "
            "handshake --with YOU.hand -o shake.npz"
        )
    if other is not None:
        _shake(avatar, other, output, picture, save_avatar, seed)
        return
    both = with_both_hands(Avatar.load(avatar))
    solved = paired(both, name, seed)
    save_motion(solved.motion, output)
    if save_avatar is not None:
        finished(both).save(save_avatar)
    if picture is not None:
        from ..pictures.demo_sheet import render_to_file

        render_to_file(both, picture, pose=output, side="both")
    click.echo(
        f"{output}: {name}, hands {solved.penetration_mm:.1f} mm in each other at most, "
        f"{solved.gap_mm:.1f} mm apart"
    )


def _shake(
    avatar: Path,
    other: Path,
    output: Path,
    picture: Path | None,
    save_avatar: Path | None,
    seed: int,
) -> None:
    """The handshake of ``pair``."""
    from ..animate import save_motion
    from ..avatar import Avatar
    from ..edit import shake_picture, shaken, with_both_hands
    from ..media import save_image

    if save_avatar is not None:
        raise InputError("--save-avatar is for one avatar's two hands; leave it out")
    beside = output.with_name(f"{output.stem}_other.npz")
    check_output(beside, (".npz",))
    me, you = (with_both_hands(Avatar.load(path)) for path in (avatar, other))
    solved = shaken(me, you, seed)
    assert solved.other is not None
    save_motion(solved.motion, output)
    save_motion(solved.other, beside)
    if picture is not None:
        save_image(picture, shake_picture(solved, me, you))
    click.echo(
        f"{output}, {beside}: handshake, hands {solved.penetration_mm:.1f} mm in each other at "
        f"most, {solved.gap_mm:.1f} mm apart"
    )


COMMANDS = (edit, compare, merge, pair)

"""Hands before a camera, as guides for picture generators: ``depth`` and ``generate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import check_output, parse_size, progress_option, reporting, seed_option

_input = click.Path(path_type=Path)


def _scene_options(command: Any) -> Any:
    """Options that choose hands before a camera."""
    for option in (
        click.option(
            "--pose",
            default="relaxed",
            show_default=True,
            help="A built-in pose ('hand-toolkit plugins' lists them), or a pose file .npz.",
        ),
        click.option(
            "--side",
            type=click.Choice(["right", "left", "both"]),
            default="right",
            show_default=True,
            help="Hands in a built-in pose.",
        ),
        click.option(
            "--view",
            default="palm",
            show_default=True,
            help="palm, back, or degrees around the upright hand.",
        ),
        click.option(
            "--size",
            default="768x768",
            show_default=True,
            callback=parse_size,
            help="WIDTHxHEIGHT.",
        ),
        click.option("--avatar", type=_input, help="Whose hand's shape; else the mean hand's."),
        click.option("--no-forearm", is_flag=True, help="Leave the forearm out of the drawn pose."),
    ):
        command = option(command)
    return command


@click.command()
@_scene_options
@click.option("-o", "--output", type=_input, required=True, help="The picture (.png).")
@click.option(
    "--kind",
    type=click.Choice(["depth", "normal", "canny"]),
    default="depth",
    show_default=True,
    help="Inverse depth (near is white), camera normals, or edges.",
)
@click.option("--save-pose", type=_input, help="The pose and the camera, for 'fit --pose' (.npz).")
def depth(output: Path, kind: str, save_pose: Path | None, **scene: Any) -> None:
    """Draw a pose as a depth picture, for programs that make pictures from one.

    \b
    hand-toolkit depth --pose ok -o depth.png --save-pose pose.npz
    (make picture.png from depth.png with any program or service)
    hand-toolkit fit picture.png --pose pose.npz -o me.hand
    """
    check_output(output, (".png",))
    if save_pose is not None:
        check_output(save_pose, (".npz",))
    from ..edit import guides as drawn
    from ..media import save_image

    pictures = _guides(**scene)
    save_image(output, pictures.picture(kind))
    if save_pose is not None:
        drawn.save_pose(save_pose, pictures.estimate)
    wide, high = pictures.estimate.camera.width, pictures.estimate.camera.height
    click.echo(f"{output}: {wide}x{high} pixels")


def _guides(
    pose: str,
    side: str,
    view: str,
    size: tuple[int, int],
    avatar: Path | None,
    no_forearm: bool,
) -> Any:
    from ..avatar import Avatar
    from ..edit import guides as drawn
    from ..pose.given import read_estimate

    if pose.lower().endswith(".npz"):
        return drawn.guides(read_estimate(pose, size), not no_forearm)
    loaded = None if avatar is None else Avatar.load(avatar)
    estimate = drawn.placed_hands(pose, side=side, view=view, size=size, avatar=loaded)
    return drawn.guides(estimate, not no_forearm)


@click.command()
@click.argument("prompt")
@_scene_options
@click.option(
    "-o",
    "--output",
    type=_input,
    required=True,
    help="The picture (.png), or the avatar that is fitted to it (.hand), the picture beside it.",
)
@click.option(
    "--generator",
    default="diffusers",
    show_default=True,
    help="Who makes the picture; see 'hand-toolkit plugins'.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="OPTION=VALUE",
    help="An option of the generator: folder, controlnet, guide, steps, scale, strength, negative.",
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
@seed_option
@progress_option
def generate(
    prompt: str,
    output: Path,
    generator: str,
    settings: tuple[str, ...],
    device: str,
    seed: int,
    progress: str,
    **scene: Any,
) -> None:
    """Make a picture of a hand from words, in a chosen pose, and an avatar of it.

    Needs pip install 'hand-toolkit[text]' and a pipeline with a ControlNet in a folder of yours;
    nothing is downloaded.

    \b
    hand-toolkit generate "a hand with henna" --pose ok --set folder=sd15-depth -o me.hand
    """
    check_output(output, (".png", ".hand"))
    from ..core.options import split_settings
    from ..edit import guides as drawn
    from ..edit.generator import generated
    from ..media import save_image
    from ..pipeline import fit_photo, pick_device

    pictures = _guides(**scene)
    with reporting(progress) as tell:
        photo = generated(
            generator,
            prompt,
            pictures,
            settings=split_settings(settings),
            seed=seed,
            device=pick_device(device),
            progress=lambda part, text: tell(0.6 * part, text),
        )
        save_image(output.with_suffix(".png"), photo.pixels)
        drawn.save_pose(output.with_suffix(".npz"), pictures.estimate)
        if output.suffix.lower() == ".hand":
            from ..pose.given import read_estimate

            estimate = read_estimate(output.with_suffix(".npz"), photo.size)
            result = fit_photo(
                photo,
                pose=estimate,
                device=device,
                seed=seed,
                progress=lambda part, text: tell(0.6 + 0.4 * part, text),
            )
            result.avatar.save(output)
    click.echo(f"{output}: {photo.size[0]}x{photo.size[1]} pixels by {generator}")


COMMANDS = (depth, generate)

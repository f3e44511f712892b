"""``random-hands``, ``complete-hand``, ``hypotheses``, ``fit-skeleton``: the diffusion model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..core.errors import InputError
from .common import check_output, progress_option, reporting, seed_option

_path = click.Path(path_type=Path)


def _made(command: Any) -> Any:
    """Options that all of these share."""
    for option in (
        seed_option,
        click.option("--steps", default=20, show_default=True, help="Of denoising, 10 to 50."),
        click.option(
            "-o", "--output", type=_path, required=True, help="Motion file (.npz), a hand a frame."
        ),
    ):
        command = option(command)
    return command


_side = click.option(
    "--side", type=click.Choice(["right", "left"]), default="right", show_default=True
)


@click.command("random-hands")
@click.option("-n", "--count", default=1, show_default=True, help="How many hands.")
@_side
@_made
def random_hands(output: Path, count: int, side: str, steps: int, seed: int) -> None:
    """Make random natural hands.

    The file has one hand a frame, θ as in any motion file, and beside it shape (N,S), the
    sampled vertices (N,V,3) m, residual_mm (N,) between the two, and likelihood (N,).
    """
    check_output(output, (".npz",))
    from ..systems.hhmr.files import write_hands
    from ..systems.hhmr.uses import generate

    hands = generate(count, side=side, seed=seed, steps=steps)
    write_hands(output, hands, "random hands")
    click.echo(_said(output, hands))


@click.command("complete-hand")
@click.argument("source", type=_path)
@click.option("--frame", default=0, show_default=True, help="Frame of SOURCE to complete.")
@click.option("--keep", required=True, help="Fingers or joints that stay, e.g. index,thumb1.")
@click.option("-n", "--count", default=1, show_default=True, help="How many completions.")
@_side
@_made
def complete_hand(
    source: Path, output: Path, frame: int, keep: str, count: int, side: str, steps: int, seed: int
) -> None:
    """Keep some fingers of a hand in the motion file SOURCE and sample the others."""
    check_output(output, (".npz",))
    from ..animate import load_motion
    from ..systems.hhmr.files import write_hands
    from ..systems.hhmr.uses import complete

    theta, _ = load_motion(source).frame(frame)
    if side not in theta:
        raise InputError(f"{source.name} has no {side} hand in frame {frame}; give another --side")
    names = [name.strip() for name in keep.split(",") if name.strip()]
    hands = complete(theta[side], names, count=count, side=side, seed=seed, steps=steps)
    write_hands(output, hands, "completed hand")
    click.echo(_said(output, hands))


@click.command()
@click.argument("photo", type=_path)
@click.option("-n", "--samples", default=16, show_default=True, help="Hypotheses of each hand.")
@click.option(
    "--side", type=click.Choice(["auto", "right", "left"]), default="auto", show_default=True
)
@click.option("--no-image", is_flag=True, help="By the keypoints alone.")
@_made
@progress_option
def hypotheses(
    photo: Path, output: Path, samples: int, side: str, no_image: bool, steps: int, seed: int,
    progress: str,
) -> None:  # fmt: skip
    """Draw several hands that may be the one of PHOTO, the likeliest first."""
    check_output(output, (".npz",))
    from ..media.pictures import load_photo
    from ..pose.estimate import detect_hands, select_hands
    from ..systems.hhmr.files import write_hands
    from ..systems.hhmr.source import reconstruct

    with reporting(progress) as tell:
        picture = load_photo(photo)
        found = detect_hands(picture, "network", lambda part, what: tell(0.5 * part, what))
        chosen = select_hands(found, side, picture)[0]
        tell(0.5, "drawing hypotheses")
        hands = reconstruct(
            picture, chosen, samples=samples, steps=steps, seed=seed, image=not no_image
        )
        write_hands(output, hands, f"hypotheses of {picture.name}")
    best = ", ".join(f"{p:.2f}" for p in hands.likelihood[:5])
    click.echo(f"{_said(output, hands)}; likelihoods {best}{' ...' if len(hands) > 5 else ''}")


@click.command("fit-skeleton")
@click.argument("source", type=_path)
@click.option("--size", help="WxH of the picture that 2D points are pixels of.")
@click.option("--focal", "focal_px", type=float, help="Its focal length, pixels.")
@click.option("--sigma", default=None, type=float, help="How far off points are: pixels or m.")
@_side
@_made
def fit_skeleton(
    source: Path, output: Path, size: str | None, focal_px: float | None, sigma: float | None,
    side: str, steps: int, seed: int,
) -> None:  # fmt: skip
    """Fit hands to the 2D or 3D skeletons of a JSON or NPZ file.

    21 points each, wrist first, then thumb to little finger from knuckle to tip; pixels of a
    picture of --size, or metres. A point that is null or NaN is not seen.
    """
    check_output(output, (".npz",))
    from ..systems.hhmr.files import read_skeletons, write_hands
    from ..systems.hhmr.fits import fit_skeletons
    from .common import parse_size

    points = read_skeletons(source)
    shape = None if size is None else parse_size(None, None, size)  # type: ignore[arg-type]
    hands = fit_skeletons(
        points, size=shape, focal_px=focal_px, sigma=sigma, side=side, steps=steps, seed=seed
    )
    write_hands(output, hands, f"fitted to {source.name}")
    click.echo(_said(output, hands))


def _said(output: Path, hands: Any) -> str:
    return (
        f"{output}: {len(hands)} {hands.side} hand{'s' if len(hands) != 1 else ''}, θ and β "
        f"{hands.residual_mm.mean():.2f} mm from the meshes"
    )


COMMANDS = (random_hands, complete_hand, hypotheses, fit_skeleton)

"""``repair-contact``: two-hand motions without skin inside skin."""

from __future__ import annotations

from pathlib import Path

import click

from ..core.errors import InputError
from .common import check_output, progress_option, reporting

_path = click.Path(path_type=Path)


@click.command("repair-contact")
@click.argument("motion")
@click.option(
    "-o", "--output", type=_path, required=True, help="The repaired motion, an .npz file."
)
@click.option(
    "--avatar", type=_path, help="A .hand file whose hands' shape counts.  [default: mean hands]"
)
@click.option("--frames", help="FIRST:LAST, frames that may change.  [default: all]")
@click.option("--plot", type=_path, help="PNG of the depth frame by frame, before and after.")
@progress_option
def repair_contact(
    motion: str, output: Path, avatar: Path | None, frames: str | None, plot: Path | None,
    progress: str,
) -> None:  # fmt: skip
    """Part two hands that go through each other in MOTION, a file or a built-in one.

    Hands that touch still touch, joints stay within their limits, and the change comes and goes
    smoothly; frames that need nothing stay as they are.

    \b
    hand-toolkit repair-contact moves.npz -o clean.npz --plot depth.png
    hand-toolkit repair-contact clasp -o mine.npz --avatar me.hand
    """
    check_output(output, (".npz",))
    if plot is not None:
        check_output(plot, (".png",))
    from ..animate import find_motion, save_motion
    from ..avatar import Avatar
    from ..pose.repair import repair_motion

    shapes, hand_model = {}, "default"
    if avatar is not None:
        loaded = Avatar.load(avatar)
        hand_model = loaded.hand_model
        shapes = {side: loaded.hand(side).shape for side in loaded.sides}
    given = find_motion(motion)
    with reporting(progress) as tell:
        found = repair_motion(given, shapes, hand_model, frames=_range(frames), progress=tell)
    save_motion(found.motion, output)
    if plot is not None:
        from ..pictures.plots import write_lines

        write_lines(
            plot, found.depth_mm.T, ("before", "after"), "deepest skin inside the other hand, mm"
        )
    (before, after), (had, has) = found.depth_mm.max(0), found.volume_cm3.max(0)
    changed = int((found.moved_mm + found.turned_deg > 0).sum())
    click.echo(
        f"{output}: {changed} of {len(given)} frames changed; deepest {before:.1f} to "
        f"{after:.1f} mm, most volume {had:.2f} to {has:.2f} cm3, contact kept in "
        f"{100 * found.kept:.0f} % of the frames that had it"
    )


def _range(text: str | None) -> tuple[int, int] | None:
    """``FIRST:LAST`` as numbers."""
    if text is None:
        return None
    first, _, last = text.partition(":")
    if not (first.isdigit() and last.isdigit()):
        raise InputError(f"--frames is {text!r}; give FIRST:LAST, e.g. 30:110")
    return int(first), int(last)


COMMANDS = (repair_contact,)

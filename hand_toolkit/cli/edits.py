"""Commands that change avatars: ``edit`` and kin."""

from __future__ import annotations

from pathlib import Path

import click

from ..core.errors import InputError
from .common import check_output

_input = click.Path(path_type=Path)


@click.command()
@click.argument("avatar", type=_input)
@click.option(
    "-o", "--output", type=_input, required=True, help="The changed avatar, a .hand file."
)
@click.option(
    "--tone",
    metavar="TONE",
    help="Skin tone of the back of the hand: monk:1 to 10, fitzpatrick:1 to 6, #rrggbb, or "
    "melanin=AMOUNT,haemoglobin=AMOUNT (-3 to 3). Palms and nails become those of such skin.",
)
def edit(avatar: Path, output: Path, tone: str | None) -> None:
    """Change an avatar; the file it came from stays as it is.

    \b
    hand-toolkit edit me.hand --tone monk:7 -o darker.hand
    hand-toolkit edit me.hand --tone '#a0714f' -o mine.hand
    """
    check_output(output, (".hand",))
    from ..avatar import Avatar
    from ..edit import EDITS_KEY, finished, toned

    loaded = Avatar.load(avatar)
    changed = loaded
    if tone is not None:
        changed = toned(changed, tone)
    if changed is loaded:
        raise InputError("nothing was asked for; give an edit, such as --tone monk:7")
    finished(changed).save(output)
    click.echo(f"{output}: {changed.provenance[EDITS_KEY]}")


COMMANDS = (edit,)

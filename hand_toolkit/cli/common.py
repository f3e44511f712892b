"""What several commands share: progress, sizes, colours, output checks."""

from __future__ import annotations

import glob
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.errors import InputError
from ..core.types import Progress

if TYPE_CHECKING:
    from ..avatar import Avatar, Drawable

progress_option = click.option(
    "--progress",
    type=click.Choice(["auto", "bar", "json", "none"]),
    default="auto",
    show_default=True,
    help="A bar on a terminal, or one JSON line per step on stderr for programs.",
)
seed_option = click.option(
    "--seed", type=int, default=0, show_default=True, help="Same seed, same device, same bytes."
)


@contextmanager
def reporting(mode: str) -> Iterator[Progress]:
    """A progress callback that draws a bar, writes JSON lines, or does nothing."""
    if mode == "auto":
        mode = "bar" if sys.stderr.isatty() else "none"
    if mode == "none":
        yield lambda fraction, message: None
    elif mode == "json":

        def line(fraction: float, message: str) -> None:
            click.echo(
                json.dumps({"fraction": round(float(fraction), 4), "message": message}), err=True
            )

        yield line
    else:
        with click.progressbar(
            length=1000,
            file=sys.stderr,
            show_eta=True,
            item_show_func=lambda item: item or "",
            bar_template="%(bar)s %(info)s",
            width=28,
        ) as bar:

            def draw(fraction: float, message: str) -> None:
                step = int(max(0.0, min(1.0, fraction)) * 1000) - bar.pos
                bar.update(max(step, 0), message)

            yield draw


def parse_size(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    """``WxH`` to (width, height)."""
    if value is None:
        return None
    try:
        width, height = (int(v) for v in value.lower().split("x"))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no size; give WxH, e.g. 640x480") from error
    if not (1 <= width <= 16384 and 1 <= height <= 16384):
        raise click.BadParameter(f"{value} is out of range; accepted is 1 to 16384 pixels a side")
    return width, height


def parse_background(value: str) -> tuple[float, float, float] | None:
    """sRGB in [0, 1], or None for transparent.

    Raises:
        InputError: an unknown colour.
    """
    if value == "transparent":
        return None
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(value)[:3]
    except ValueError as error:
        raise InputError(
            f"unknown colour {value!r}; give a name, #rrggbb or transparent"
        ) from error
    return red / 255, green / 255, blue / 255


def check_output(path: Path, suffixes: tuple[str, ...] = ()) -> Path:
    """Fail before the work, not after it, when the output cannot be written.

    Raises:
        InputError: a missing folder, a wrong suffix, or a file that the command also reads.
    """
    if suffixes and path.suffix.lower() not in suffixes:
        raise InputError(f"{path.name} must end in {' or '.join(suffixes)}")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a file name")
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist; create it first")
    context = click.get_current_context(silent=True)
    given = [] if context is None else list(context.params.values())
    for value in given:
        for other in value if isinstance(value, tuple) else (value,):
            if isinstance(other, Path) and other is not path and same_file(other, path):
                raise InputError(
                    f"{path} is given twice; what something is made from is kept, so name another "
                    "output"
                )
    return path


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths name one file, there or not."""
    try:
        return one.resolve() == other.resolve() or one.samefile(other)
    except OSError:
        return False


def drawable_of(avatar: Avatar, neural: bool) -> Drawable:
    """The avatar, or what evaluates its networks for every pose.

    Raises:
        InputError: the avatar has none.
    """
    if not neural:
        return avatar
    if "xhand.level" in avatar.extras:
        from ..systems.xhand.drawables import PersonalAvatar

        return PersonalAvatar(avatar)
    from ..systems.igsn.neural import NeuralAvatar

    return NeuralAvatar(avatar)


def beside(source: Path, suffix: str, force: bool) -> Path:
    """The file that is written where none is named: the source's name with another ending.

    Args:
        source: a picture, video or folder.
        suffix: of the new file.
        force: take the name even where such a file is there.

    Raises:
        InputError: there is such a file already.
    """
    source = Path(source)
    name = source.resolve().name if source.is_dir() else source.stem
    target = (source.resolve().parent if source.is_dir() else source.parent) / f"{name}{suffix}"
    # a format that holds one moment numbers its files: me_0000.ply
    taken = [target, *target.parent.glob(f"{glob.escape(name)}_[0-9][0-9][0-9][0-9]{suffix}")]
    there = next((path for path in taken if path.exists()), None)
    if there is not None and not force:
        raise InputError(
            f"{there} is there already; name another file with -o, or write over it with --force"
        )
    return target

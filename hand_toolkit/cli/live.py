"""``live``: hands from a camera into files, programs and the viewer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..core.errors import InputError
from .common import check_output

if TYPE_CHECKING:
    from ..live import Output

_path = click.Path(path_type=Path)


@click.command()
@click.argument("source", default="0", metavar="[CAMERA|VIDEO]")
@click.option("-o", "--output", type=_path, help="Record the poses into a motion file (.npz).")
@click.option("--view", "avatar", type=_path, help="An avatar (.hand) that follows in the viewer.")
@click.option(
    "--websocket",
    type=click.IntRange(0, 65535),
    help="Send WebXR's joints as JSON to who connects to this port; 0 takes a free one.",
)
@click.option("--vmc", metavar="HOST:PORT", help="Send bones by VMC (OSC), e.g. 127.0.0.1:39539.")
@click.option(
    "--hands",
    type=click.Choice(["1", "2"]),
    default="2",
    show_default=True,
    help="How many hands to look for.",
)
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="End after so long.")
@click.option("--focal", "focal_px", type=click.FloatRange(min=1), help="Focal length, pixels.")
@click.option("--mirrored", is_flag=True, help="The camera gives a mirror image.")
@click.option("--raw", is_flag=True, help="Do not smooth the poses.")
@click.option(
    "--every-frame", is_flag=True, help="Of a video: take every frame, however long it takes."
)
def live(
    source: str,
    output: Path | None,
    avatar: Path | None,
    websocket: int | None,
    vmc: str | None,
    hands: str,
    seconds: float | None,
    focal_px: float | None,
    mirrored: bool,
    raw: bool,
    every_frame: bool,
) -> None:
    """Follow hands live: camera 0, another one by its number, or a video played as a camera.

    Ctrl-C ends it, and what was recorded until then is written.

    \b
    hand-toolkit live -o wave.npz
    hand-toolkit live --view me.hand
    hand-toolkit live 1 --websocket 8765 --vmc 127.0.0.1:39539
    """
    from ..live import Recorder, Tracker, follow, open_feed
    from ..live.outputs import ViewerOutput, VmcOutput, WebSocketOutput

    if output is not None:
        check_output(output, (".npz",))
    outputs: list[Output] = []
    recorder = Recorder()
    outputs.append(recorder)
    try:
        if vmc is not None:
            outputs.append(VmcOutput(*_address(vmc)))
        if websocket is not None:
            socket = WebSocketOutput(websocket)
            outputs.append(socket)
            click.echo(f"{socket.url} (only on this computer)", err=True)
        if avatar is not None:
            from ..avatar import Avatar

            viewer = ViewerOutput(Avatar.load(avatar))
            outputs.append(viewer)
            click.echo(f"{viewer.viewer.url} (only on this computer)", err=True)
        import torch

        torch.set_num_threads(1)  # the crops are looked at in threads of their own
        tracker = Tracker(int(hands), focal_px=focal_px, smooth=not raw)
        tracker.warm()
        feed, fps = open_feed(source, paced=not every_frame, mirror=mirrored)
        shown = sys.stderr.isatty()

        def tell(frame: object) -> None:
            if shown:
                sides = " ".join(hand.side for hand in frame.hands) or "no hand"  # type: ignore[attr-defined]
                click.echo(f"\r{frame.seconds:7.1f} s  {sides:<12}", nl=False, err=True)  # type: ignore[attr-defined]

        report = follow(feed, tracker, outputs, seconds=seconds, tell=tell)
    finally:
        for one in outputs:
            one.close()
    if shown:
        click.echo(err=True)
    click.echo(report.sentence())
    if output is not None:
        motion = recorder.motion(fps)
        recorder.save(output, fps)
        click.echo(f"{output}: {len(motion)} frames, {motion.fps:g} a second")


def _address(text: str) -> tuple[str, int]:
    """``HOST:PORT``.

    Raises:
        InputError: it is something else.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError(f"--vmc is {text!r}; give HOST:PORT, e.g. 127.0.0.1:39539")
    return host, int(port)


COMMANDS = (live,)

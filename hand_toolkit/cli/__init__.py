"""The command line: thin, one module per group of commands."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import threading
from types import FrameType

import click

from .. import __version__
from ..core.errors import HandToolkitError
from . import (
    avatars,
    batch,
    contact,
    edits,
    exchange,
    fitting,
    grasping,
    guided,
    hands,
    live,
    system,
    training,
)

EPILOG = """\b
Exit codes: 0 done, 1 other error, 2 bad argument or input, 3 damaged or foreign file,
4 no hand found, 5 a package is missing, 6 a plugin failed, 70 a fault of the toolkit,
130 stopped with Ctrl-C, 143 stopped by SIGTERM."""


class _Stop:
    """Ctrl-C and SIGTERM end a command once; what it began to write is removed meanwhile.

    Impatient ones would break off the removing: the second is passed over, the third ends the
    process at once.
    """

    code = 130

    def __init__(self) -> None:
        self._times = 0
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread may say what a signal does
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup, shells' background jobs
                signal.signal(number, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._times += 1
        if self._times == 1:
            self.code = 128 + number
            raise KeyboardInterrupt
        if self._times > 2:
            os._exit(128 + number)


class _Group(click.Group):
    """Lists commands in the order of the work."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_Group, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hand-toolkit")
@click.option("-v", "--verbose", count=True, help="Show what the library logs; twice for all.")
def cli(verbose: int) -> None:
    """One photo of a hand to an animatable Gaussian-splat avatar.

    \b
    hand-toolkit fit photo.jpg -o me.hand
    hand-toolkit render me.hand -o me.mp4 --motion open-close
    hand-toolkit export me.hand --format glb -o me.glb
    """
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s")


MODULES = (
    fitting,
    avatars,
    edits,
    guided,
    exchange,
    hands,
    contact,
    grasping,
    live,
    batch,
    system,
    training,
)
for module in MODULES:
    for command in module.COMMANDS:
        cli.add_command(command)


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit; errors are one sentence, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names that the console's code page lacks
            stream.reconfigure(errors="backslashreplace")
    stop = _Stop()
    code = run(args)
    if code == 130:
        # Kernels of other threads may still run; Python taken down under them can crash.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(stop.code)
    sys.exit(code)


def run(args: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    try:
        result = cli.main(args=args, prog_name="hand-toolkit", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Abort:
        return _fail("stopped; nothing was written", 130)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except HandToolkitError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("stopped; nothing was written", 130)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except MemoryError:
        return _fail("out of memory; use a smaller picture or --quality draft", 1)
    except Exception as error:
        if os.environ.get("HAND_TOOLKIT_TRACEBACK"):
            raise
        kind = type(error).__name__
        text = (str(error).splitlines() or [""])[0][:200]
        return _fail(
            f"a fault of the toolkit ({kind}: {text}); please report it with the output of the "
            "same command under HAND_TOOLKIT_TRACEBACK=1",
            70,
        )


def _fail(message: str, code: int) -> int:
    click.echo(f"Error: {message}", err=True)
    return code

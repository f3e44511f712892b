"""A process of :class:`.processes.Processes`: reads tasks from stdin, writes what became of them.

Messages are pickles of the parent's own; nothing else can write to these pipes.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import traceback
from typing import IO, Any

from ..core.errors import HandToolkitError


def main() -> int:
    """Serve until stdin ends; returns the exit code."""
    tasks = os.fdopen(os.dup(0), "rb")
    outcomes = os.fdopen(os.dup(1), "wb")
    # libraries write to stdout, and read from stdin: keep them away from the protocol
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)

    def stop(*_: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # while cleaning up
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    _end_with_parent()
    try:
        # behind one's own: some libraries put folders in front that hide their own modules
        sys.path += [folder for folder in pickle.load(tasks) if folder not in sys.path]
        try:
            with pickle.load(tasks)() as function:
                _say(outcomes, "ready", None)
                while (item := _next(tasks)) is not None:
                    try:
                        _say(outcomes, "result", function(item[0]))
                    except Exception as error:
                        _say(outcomes, "failure", told(error))
        except Exception as error:
            _say(outcomes, "broken", told(error))
            return 1
    except KeyboardInterrupt:
        return 130
    except (OSError, EOFError):  # the parent is gone
        return 1
    return 0


def _end_with_parent() -> None:
    """Where the system can, be killed with the parent, however it dies: no orphan works on."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _next(tasks: IO[bytes]) -> tuple[Any] | None:
    with contextlib.suppress(EOFError):
        item: tuple[Any] = pickle.load(tasks)
        return item
    return None


def _say(outcomes: IO[bytes], kind: str, value: Any) -> None:
    """Send one message whole; a value that cannot be pickled is an error of the work."""
    outcomes.write(pickle.dumps((kind, value)))
    outcomes.flush()


def told(error: Exception) -> dict[str, Any]:
    """What is said of an error: message, trace and exit code."""
    known = isinstance(error, HandToolkitError)
    text = str(error).strip().splitlines()
    name = type(error).__name__
    message = str(error) if known else f"{name}: {text[0]}" if text else name
    return {
        "message": message,
        "trace": traceback.format_exc(),
        "exit_code": error.exit_code if isinstance(error, HandToolkitError) else 1,
    }


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # bpy and others can hang or crash while the interpreter shuts down

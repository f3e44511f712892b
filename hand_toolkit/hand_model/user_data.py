"""Where files that the user brings are kept, per platform."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HOME_VARIABLE = "HAND_TOOLKIT_HOME"


def user_data_folder() -> Path:
    """The folder for imported models; it may not exist yet.

    ``HAND_TOOLKIT_HOME`` wins, then the platform's convention (XDG base directories on
    Linux).
    """
    if os.environ.get(HOME_VARIABLE):
        return Path(os.environ[HOME_VARIABLE]).expanduser()
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"]) / "hand-toolkit"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "hand-toolkit"
    if os.environ.get("XDG_DATA_HOME"):
        return Path(os.environ["XDG_DATA_HOME"]) / "hand-toolkit"
    return Path.home() / ".local" / "share" / "hand-toolkit"

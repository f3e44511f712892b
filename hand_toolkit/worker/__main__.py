"""``python -I -m hand_toolkit.worker``: what the Blender extension starts."""

from __future__ import annotations

from .server import serve

if __name__ == "__main__":
    raise SystemExit(serve())

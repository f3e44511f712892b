"""Looking at avatars in a browser: a served viewer and a self-contained page."""

from __future__ import annotations

from .page import viewer_html
from .server import AvatarViewer, serve_viewer

__all__ = ["AvatarViewer", "serve_viewer", "viewer_html"]

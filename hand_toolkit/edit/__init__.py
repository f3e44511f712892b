"""Edits: pure functions from avatar to avatar, recorded in the file's provenance."""

from .apply import EDITS_KEY, finished, recorded
from .decals import Decal, decalled, read_decal
from .marks import freckled, lacquered, veined
from .paint import export_textures, painted, read_paint
from .tone import Tone, parse_tone, tone_of, toned

__all__ = [
    "EDITS_KEY",
    "Decal",
    "Tone",
    "decalled",
    "export_textures",
    "finished",
    "freckled",
    "lacquered",
    "painted",
    "parse_tone",
    "read_decal",
    "read_paint",
    "recorded",
    "tone_of",
    "toned",
    "veined",
]

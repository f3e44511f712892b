"""Edits: pure functions from avatar to avatar, recorded in the file's provenance."""

from .apply import EDITS_KEY, finished, recorded
from .tone import Tone, parse_tone, tone_of, toned

__all__ = ["EDITS_KEY", "Tone", "finished", "parse_tone", "recorded", "tone_of", "toned"]

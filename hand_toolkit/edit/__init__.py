"""Edits: pure functions from avatar to avatar, recorded in the file's provenance."""

from .apply import EDITS_KEY, finished, recorded
from .combine import combined, merged
from .compare import compared, comparison
from .decals import Decal, decalled, read_decal
from .marks import freckled, lacquered, veined
from .paint import export_textures, painted, read_paint
from .pairs import PAIRS, paired, with_both_hands
from .request import EditRequest, edited
from .size import hand_length, parse_length, scaled, shaped, with_hand_length
from .tone import Tone, parse_tone, tone_of, toned
from .trust import painted_out, trusted

__all__ = [
    "EditRequest",
    "edited",
    "PAIRS",
    "paired",
    "with_both_hands",
    "combined",
    "merged",
    "with_hand_length",
    "shaped",
    "scaled",
    "parse_length",
    "hand_length",
    "comparison",
    "compared",
    "EDITS_KEY",
    "Decal",
    "Tone",
    "decalled",
    "export_textures",
    "finished",
    "freckled",
    "lacquered",
    "painted",
    "painted_out",
    "parse_tone",
    "read_decal",
    "read_paint",
    "recorded",
    "tone_of",
    "toned",
    "trusted",
    "veined",
]

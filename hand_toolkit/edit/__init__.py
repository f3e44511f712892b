"""Edits: pure functions from avatar to avatar, recorded in the file's provenance."""

from .apply import EDITS_KEY, finished, recorded
from .card import find_card, with_card_of
from .combine import combined, merged
from .compare import compared, comparison
from .decals import Decal, decalled, read_decal
from .hair import haired
from .marks import freckled, lacquered, veined
from .metric import parse_ruler, with_card, with_ruler
from .paint import export_textures, painted, read_paint
from .pairs import PAIRS, paired, shake_picture, shaken, with_both_hands
from .request import EditRequest, edited
from .size import hand_length, parse_length, scaled, shaped, with_hand_length
from .tone import Tone, parse_tone, tone_of, toned
from .trust import painted_out, trusted

__all__ = [
    "find_card",
    "parse_ruler",
    "with_card",
    "with_card_of",
    "with_ruler",
    "EditRequest",
    "edited",
    "PAIRS",
    "paired",
    "shake_picture",
    "shaken",
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
    "haired",
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

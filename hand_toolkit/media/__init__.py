"""Photos, masks and videos: decoding, colour, writing."""

from .load import load_mask, load_photo, photo_from_array
from .save import save_image

__all__ = ["load_mask", "load_photo", "photo_from_array", "save_image"]

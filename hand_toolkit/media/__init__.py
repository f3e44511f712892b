"""Photos, masks and videos: decoding, colour, writing."""

from .load import load_mask, load_photo, photo_from_array
from .pictures import open_pictures
from .save import save_image
from .viewset import View, ViewSet

__all__ = [
    "View",
    "ViewSet",
    "load_mask",
    "load_photo",
    "open_pictures",
    "photo_from_array",
    "save_image",
]

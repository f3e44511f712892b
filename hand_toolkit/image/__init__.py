"""Pictures and masks: decoding, colour, silhouettes, segmentation."""

from .load import load_mask, load_photo, photo_from_array
from .save import save_image
from .segment import Segmenter, label_hands, segment_photo
from .silhouette import MeshRaster, hand_silhouettes, rasterize_mesh, wrist_half_plane

__all__ = [
    "MeshRaster",
    "Segmenter",
    "hand_silhouettes",
    "label_hands",
    "load_mask",
    "load_photo",
    "photo_from_array",
    "rasterize_mesh",
    "save_image",
    "segment_photo",
    "wrist_half_plane",
]

"""Pictures to boxes, keypoints and outlines: networks, and the source and segmenter contracts."""

from .segment import (
    SegmentedHands,
    Segmenter,
    SeparatingSegmenter,
    label_hands,
    segment_hands,
    segment_photo,
)
from .source import PoseSource, Progress

__all__ = [
    "PoseSource",
    "Progress",
    "SegmentedHands",
    "Segmenter",
    "SeparatingSegmenter",
    "label_hands",
    "segment_hands",
    "segment_photo",
]

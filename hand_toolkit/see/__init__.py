"""Pictures to boxes, keypoints and outlines: networks, and the source and segmenter contracts."""

from .segment import Segmenter, label_hands, segment_photo
from .source import PoseSource, Progress

__all__ = ["PoseSource", "Progress", "Segmenter", "label_hands", "segment_photo"]

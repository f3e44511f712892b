"""Masks: the segmenter protocol, and which of several masks wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from ..core.errors import InputError, PluginError
from ..core.types import Photo, PoseEstimate

DEFAULT_SEGMENTER = "network"


@runtime_checkable
class Segmenter(Protocol):
    """What ``register_segmenters`` registers: finds the pixels that show hands.

    Attributes:
        name: how the user asks for it.
        description: one line.
    """

    name: str
    description: str

    def segment(
        self, photo: Photo, estimate: PoseEstimate, silhouettes: Sequence[np.ndarray]
    ) -> np.ndarray:
        """The hands' mask.

        Args:
            photo: the picture.
            estimate: the fitted hands, in the picture's pixels.
            silhouettes: per hand of ``estimate`` the (H, W) bool silhouette of its mesh.

        Returns:
            (H, W) float32 in [0, 1]; hands without forearms.
        """
        ...


@runtime_checkable
class SeparatingSegmenter(Segmenter, Protocol):
    """A segmenter that also tells touching hands apart."""

    def separate(
        self, photo: Photo, estimate: PoseEstimate, silhouettes: Sequence[np.ndarray]
    ) -> np.ndarray:
        """Each hand's own pixels.

        Args:
            photo, estimate, silhouettes: as for :meth:`Segmenter.segment`.

        Returns:
            (N, H, W) float32 in [0, 1], one mask a hand of ``estimate``.
        """
        ...


@dataclass(frozen=True)
class SegmentedHands:
    """The pixels of all hands of a photo.

    Attributes:
        mask: (H, W) float32 in [0, 1], all of them.
        shares: (N, H, W) float32 in [0, 1], each hand's own.
    """

    mask: np.ndarray
    shares: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """(H, W) int32 index of the hand that owns a pixel of the mask, -1 outside it."""
        owner = np.where(self.shares.max(axis=0) > 0, self.shares.argmax(axis=0), -1)
        return label_hands(self.mask, owner.astype(np.int32))


def segment_hands(
    photo: Photo,
    estimate: PoseEstimate,
    silhouettes: Sequence[np.ndarray],
    nearest: np.ndarray,
    *,
    segmenter: str = DEFAULT_SEGMENTER,
    mask: np.ndarray | None = None,
) -> SegmentedHands:
    """Masks of several hands, each pixel given to one of them.

    A segmenter that can tell the hands apart does; else the mesh that is in front owns a pixel.

    Args:
        photo, estimate, silhouettes, segmenter, mask: as for :func:`segment_photo`.
        nearest: (H, W) int32 index of the hand whose mesh is in front, -1 for none.

    Raises:
        InputError, PluginError: as :func:`segment_photo`.
    """
    given = mask is not None or photo.mask is not None
    shares = None
    if len(silhouettes) > 1:
        from ..core.registry import registry

        found = registry().get("segmenters", segmenter)
        if isinstance(found, SeparatingSegmenter):
            shares = np.asarray(found.separate(photo, estimate, silhouettes))
            expected = (len(silhouettes), *photo.pixels.shape[:2])
            if shares.shape != expected or not np.isfinite(shares).all():
                raise PluginError(
                    f"segmenter '{segmenter}' returned an array of shape {shares.shape} for each "
                    f"hand's pixels; it must return finite values of shape {expected}"
                )
            shares = np.clip(shares, 0.0, 1.0).astype(np.float32)
    if shares is not None and not given:
        return SegmentedHands(shares.max(axis=0), shares)
    area = segment_photo(photo, estimate, silhouettes, segmenter=segmenter, mask=mask)
    if len(silhouettes) == 1:
        return SegmentedHands(area, area[None])
    if shares is not None:
        nearest = np.where(shares.max(axis=0) > 0.5, shares.argmax(axis=0), nearest)
    owner = label_hands(area, nearest.astype(np.int32))
    split = [np.where(owner == k, area, 0).astype(np.float32) for k in range(len(silhouettes))]
    return SegmentedHands(area, np.stack(split))


def segment_photo(
    photo: Photo,
    estimate: PoseEstimate,
    silhouettes: Sequence[np.ndarray],
    *,
    segmenter: str = DEFAULT_SEGMENTER,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """The mask to use: the given one, else the photo's alpha channel, else the segmenter's.

    Args:
        photo: the picture.
        estimate: the fitted hands.
        silhouettes: per hand the (H, W) bool silhouette of its mesh.
        segmenter: name of an installed segmenter.
        mask: (H, W) in [0, 1] from a file.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        InputError: the mask's size is not the photo's, or the segmenter is not installed.
        PluginError: the segmenter returned something else than a mask.
    """
    shape = photo.pixels.shape[:2]
    for given in (mask, photo.mask):
        if given is not None:
            if given.shape != shape:
                raise InputError(
                    f"the mask has shape {given.shape} and the photo {shape}; give equal sizes"
                )
            return np.clip(given, 0.0, 1.0).astype(np.float32)
    from ..core.registry import registry

    found = registry().get("segmenters", segmenter).segment(photo, estimate, silhouettes)
    found = np.asarray(found)
    if found.shape != shape or not np.isfinite(found).all():
        raise PluginError(
            f"segmenter '{segmenter}' returned an array of shape {found.shape}; "
            f"it must return finite values of shape {shape}"
        )
    return np.clip(found, 0.0, 1.0).astype(np.float32)


def label_hands(mask: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Give every pixel of the mask to a hand.

    Args:
        mask: (H, W) in [0, 1].
        labels: (H, W) int32 index of the hand whose mesh is in front, -1 for none.

    Returns:
        (H, W) int32: the label where there is one, else that of the nearest labelled pixel;
        -1 outside the mask.
    """
    inside = np.asarray(mask) > 0.5
    result = np.full(labels.shape, -1, dtype=np.int32)
    known = labels >= 0
    if not known.any() or not inside.any():
        return result
    if len(np.unique(labels[known])) == 1:
        result[inside] = labels[known][0]
        return result
    from scipy.ndimage import distance_transform_edt

    rows, columns = distance_transform_edt(~known, return_distances=False, return_indices=True)
    result[inside] = labels[rows[inside], columns[inside]]
    return result

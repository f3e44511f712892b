"""Every metric of the project, defined once. Pictures are sRGB floats in [0, 1]."""

from __future__ import annotations

import numpy as np

from .errors import InputError

PSNR_CEILING_DB = 100.0
"""What identical pictures score, so that means over pictures stay finite."""


def similarity_align(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """``points`` moved onto ``target`` by the best rotation, scale and translation.

    The least-squares similarity of Umeyama (1991), equations 40 to 43, without reflection.

    Args:
        points: (..., N, 3).
        target: (..., N, 3), the same unit.

    Returns:
        (..., N, 3) in the target's frame.
    """
    points, target = _pair("points", points, "target", target)
    source_mean = points.mean(axis=-2, keepdims=True)
    target_mean = target.mean(axis=-2, keepdims=True)
    source, goal = points - source_mean, target - target_mean
    u, singular, vt = np.linalg.svd(np.swapaxes(source, -1, -2) @ goal)
    signs = np.ones_like(singular)
    signs[..., -1] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * signs[..., None, :]) @ vt
    variance = np.maximum((source**2).sum(axis=(-1, -2)), 1e-30)
    scale = (singular * signs).sum(axis=-1) / variance
    return scale[..., None, None] * source @ rotation + target_mean


def pa_mpjpe_mm(joints_m: np.ndarray, target_m: np.ndarray) -> np.ndarray:
    """Procrustes-aligned mean per-joint position error, millimetres.

    Args:
        joints_m: (..., J, 3) metres.
        target_m: (..., J, 3) metres.

    Returns:
        (...) millimetres.
    """
    aligned = similarity_align(joints_m, target_m)
    return 1000.0 * np.linalg.norm(aligned - np.asarray(target_m), axis=-1).mean(axis=-1)


def mpjpe_mm(joints_m: np.ndarray, target_m: np.ndarray) -> np.ndarray:
    """Root-relative (joint 0) mean per-joint position error, millimetres; shapes as above."""
    joints, target = _pair("joints_m", joints_m, "target_m", target_m)
    error = (joints - joints[..., :1, :]) - (target - target[..., :1, :])
    return 1000.0 * np.linalg.norm(error, axis=-1).mean(axis=-1)


def keypoint_error_px(
    keypoints: np.ndarray, target: np.ndarray, visible: np.ndarray | None = None
) -> np.ndarray:
    """Mean 2D distance over the visible keypoints, pixels.

    Args:
        keypoints: (..., J, 2).
        target: (..., J, 2).
        visible: (..., J) bool; all where None.

    Returns:
        (...) pixels; NaN where nothing is visible.
    """
    keypoints, target = _pair("keypoints", keypoints, "target", target)
    distance = np.linalg.norm(keypoints - target, axis=-1)
    weight = np.ones_like(distance) if visible is None else np.asarray(visible, dtype=float)
    total = weight.sum(axis=-1)
    return np.where(
        total > 0, (distance * weight).sum(axis=-1) / np.where(total > 0, total, 1), np.nan
    )


def silhouette_iou(
    silhouette: np.ndarray, target: np.ndarray, region: np.ndarray | None = None
) -> float:
    """Intersection over union of two masks, inside ``region`` only.

    Args:
        silhouette: (H, W) bool, or float of which above one half counts.
        target: (H, W) likewise.
        region: (H, W) bool, e.g. above the wrist; everywhere where None.

    Returns:
        0 to 1; 1 where both are empty.
    """
    first, second = _binary(silhouette), _binary(target)
    _same_shape("silhouette", first, "target", second)
    if region is not None:
        inside = _binary(region)
        first, second = first & inside, second & inside
    union = int((first | second).sum())
    return 1.0 if union == 0 else float((first & second).sum() / union)


def boundary_f(mask: np.ndarray, reference: np.ndarray, tolerance_px: float = 2.0) -> float:
    """F-score of an outline (Csurka et al. 2013, section 3; Perazzi et al. 2016, section 5.1).

    Args:
        mask, reference: (H, W), inside where above 0.5.
        tolerance_px: how far outline pixels may lie from the other outline to count.

    Returns:
        Harmonic mean of precision and recall in [0, 1]; 1 where neither has an outline.
    """
    from scipy.ndimage import binary_erosion, distance_transform_edt

    _same_shape("mask", mask, "reference", reference)
    edges = []
    for picture in (_binary(mask), _binary(reference)):
        edges.append(picture & ~binary_erosion(picture, border_value=1))
    found, wanted = edges
    if not found.any() or not wanted.any():
        return float(found.any() == wanted.any())
    precision = float((distance_transform_edt(~wanted)[found] <= tolerance_px).mean())
    recall = float((distance_transform_edt(~found)[wanted] <= tolerance_px).mean())
    return 2 * precision * recall / max(precision + recall, 1e-12)


def psnr(image: np.ndarray, target: np.ndarray) -> float:
    """Peak signal-to-noise ratio, dB, for pictures in [0, 1] of any one shape."""
    image, target = _pair("image", image, "target", target)
    error = float(((image - target) ** 2).mean())
    return PSNR_CEILING_DB if error <= 0 else float(min(-10.0 * np.log10(error), PSNR_CEILING_DB))


def psnr_mask(image: np.ndarray, target: np.ndarray, mask: np.ndarray) -> float:
    """PSNR over the pixels inside the mask, dB.

    Args:
        image: (H, W, 3) in [0, 1].
        target: (H, W, 3) in [0, 1].
        mask: (H, W).

    Raises:
        InputError: shapes differ or the mask is empty.
    """
    inside = _filled_mask(mask)
    image, target = _pair("image", image, "target", target)
    _same_shape("mask", inside, "picture", image[..., 0])
    return psnr(image[inside], target[inside])


def psnr_box(image: np.ndarray, target: np.ndarray, mask: np.ndarray) -> float:
    """PSNR in the mask's box grown by 10 %, both pictures black outside the mask, dB."""
    first, second = _boxed(image, target, mask)
    return psnr(first, second)


def ssim_box(image: np.ndarray, target: np.ndarray, mask: np.ndarray) -> float:
    """SSIM in the mask's box grown by 10 %, both pictures black outside the mask."""
    first, second = _boxed(image, target, mask)
    return ssim(first, second)


def ssim(image: np.ndarray, target: np.ndarray) -> float:
    """Mean structural similarity of two (H, W, C) pictures in [0, 1].

    Wang et al. (2004), equation 13: Gaussian window of 11 pixels, sigma 1.5, K1 = 0.01,
    K2 = 0.03; windows that leave the picture are not counted unless it is smaller than one.
    """
    from scipy.ndimage import gaussian_filter

    image, target = _pair("image", image, "target", target)

    def blur(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values, (1.5, 1.5, 0), truncate=3.5, mode="reflect")

    mean_a, mean_b = blur(image), blur(target)
    var_a = blur(image * image) - mean_a**2
    var_b = blur(target * target) - mean_b**2
    covariance = blur(image * target) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    values = ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    )
    if min(values.shape[:2]) > 10:
        values = values[5:-5, 5:-5]
    return float(values.mean())


def delta_e_2000(lab: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Colour difference CIEDE2000 (Sharma, Wu and Dalal 2005, equations 2 to 22).

    Args:
        lab: (..., 3) CIE L*a*b*.
        target: (..., 3) likewise.

    Returns:
        (...) about 1 where a difference is just seen side by side.
    """
    first, second = _pair("lab", lab, "target", target)
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(first, -1, 0), np.moveaxis(second, -1, 0)
    mean7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    grow = 1.5 - 0.5 * np.sqrt(mean7 / (mean7 + 25.0**7))
    c1, c2 = np.hypot(a1 * grow, b1), np.hypot(a2 * grow, b2)
    h1 = np.degrees(np.arctan2(b1, a1 * grow)) % 360
    h2 = np.degrees(np.arctan2(b2, a2 * grow)) % 360
    grey = c1 * c2 == 0
    turn = (h2 - h1 + 180) % 360 - 180
    turn = np.where(grey, 0.0, np.where(turn == -180, 180.0, turn))
    hue = np.where(np.abs(h1 - h2) > 180, (h1 + h2 + 360) / 2 % 360, (h1 + h2) / 2)
    hue = np.where(grey, h1 + h2, hue)
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    cos = [np.cos(np.radians(v)) for v in (hue - 30, 2 * hue, 3 * hue + 6, 4 * hue - 63)]
    t = 1 - 0.17 * cos[0] + 0.24 * cos[1] + 0.32 * cos[2] - 0.20 * cos[3]
    s_l = 1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2)
    d_l, d_c = (l2 - l1) / s_l, (c2 - c1) / (1 + 0.045 * chroma)
    d_h = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * t)
    spread = 30 * np.exp(-(((hue - 275) / 25) ** 2))
    twist = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(np.radians(2 * spread))
    return np.sqrt(np.maximum(d_l**2 + d_c**2 + d_h**2 + twist * d_c * d_h, 0))


def mask_box(mask: np.ndarray, margin: float = 0.1) -> tuple[slice, slice]:
    """(rows, columns) of the mask's box, each side moved out by ``margin`` of the box's size.

    Raises:
        InputError: the mask is empty.
    """
    inside = _filled_mask(mask)
    result = []
    for axis in (1, 0):
        where = np.flatnonzero(inside.any(axis=axis))
        low, high = int(where[0]), int(where[-1]) + 1
        grow = int(np.ceil(margin * (high - low)))
        result.append(slice(max(0, low - grow), min(inside.shape[1 - axis], high + grow)))
    return result[0], result[1]


def _boxed(
    image: np.ndarray, target: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    inside = _filled_mask(mask)
    image, target = _pair("image", image, "target", target)
    _same_shape("mask", inside, "picture", image[..., 0])
    rows, columns = mask_box(inside)
    keep = inside[rows, columns, None]
    return image[rows, columns] * keep, target[rows, columns] * keep


def _binary(mask: np.ndarray) -> np.ndarray:
    mask = np.asarray(mask)
    return mask if mask.dtype == bool else mask > 0.5


def _filled_mask(mask: np.ndarray) -> np.ndarray:
    inside = _binary(mask)
    if not inside.any():
        raise InputError("the mask is empty; metrics need at least one pixel of hand")
    return inside


def _pair(name_a: str, a: np.ndarray, name_b: str, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    _same_shape(name_a, first, name_b, second)
    return first, second


def _same_shape(name_a: str, a: np.ndarray, name_b: str, b: np.ndarray) -> None:
    if a.shape != b.shape:
        raise InputError(f"{name_a} has shape {a.shape} and {name_b} {b.shape}; give equal shapes")

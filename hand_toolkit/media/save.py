"""Writing pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.files import atomic_path

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def save_image(path: str | os.PathLike[str], image: Any) -> None:
    """Write a picture; the suffix chooses PNG, JPEG or WebP.

    Args:
        path: ends in .png, .jpg, .jpeg or .webp.
        image: (H, W), (H, W, 3) or (H, W, 4), uint8, bool, or float sRGB in [0, 1].

    Raises:
        InputError: another suffix or shape, or the file cannot be written.
    """
    from PIL import Image

    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise InputError(
            f"cannot tell the format of '{path}'; accepted endings are {', '.join(_FORMATS)}"
        )
    array = np.asarray(image)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise InputError(
            f"a picture has shape {array.shape}; accepted are (H, W), (H, W, 3) and (H, W, 4)"
        )
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif array.dtype != np.uint8:
        array = (np.clip(array, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)
    picture = Image.fromarray(array)
    options: dict[str, Any] = {}
    if _FORMATS[suffix] == "JPEG":
        picture = picture.convert("RGB") if picture.mode == "RGBA" else picture
        options = {"quality": 92, "subsampling": 0}
    with atomic_path(path) as temporary:
        picture.save(temporary, format=_FORMATS[suffix], **options)

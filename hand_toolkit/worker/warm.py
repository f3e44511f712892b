"""What a worker does while its host's user still chooses a file: load what every avatar needs."""

from __future__ import annotations

import logging
import threading

import numpy as np

from ..core.errors import HandToolkitError

log = logging.getLogger(__name__)
_loaded = threading.Lock()


def warm() -> None:
    """Load, once, the default hand and what bakes its skin: half of an import by a fresh worker.

    Nothing is lost where that fails: whoever needs it loads it then, and says what is wrong.
    """
    if not _loaded.acquire(blocking=False):
        return  # it was done before, or is being done
    try:
        _load()
    except (HandToolkitError, OSError, ImportError) as error:
        log.info("nothing was loaded ahead: %s", error)


def _load() -> None:
    import scipy.ndimage
    import scipy.spatial  # noqa: F401

    from ..avatar import surface
    from ..export import scene  # noqa: F401
    from ..export._kernels import gather, on_faces
    from ..geometry.raster import rasterize_uv
    from ..skin.uv_layout import LEVEL

    model = surface("default", "right", LEVEL)
    surface("default", "left", LEVEL)
    rasterize_uv(model.uvs, model.uv_faces, 16, 16)
    on_faces(
        np.zeros((1, 6)), model.faces, np.zeros(0, np.int32), np.zeros((0, 3), np.float32),
        np.zeros((0, 6), np.float32),
    )  # fmt: skip
    single, whole = np.zeros((0, 3), np.float32), np.zeros(0, np.float32)
    gather(
        single, single, np.zeros(0, np.int64), np.zeros((0, 1), np.int64), whole,
        single, np.zeros((0, 6), np.float32), single, whole,
        np.zeros((0, 5), np.float32), np.zeros((0, 5), np.float32), whole,
    )  # fmt: skip

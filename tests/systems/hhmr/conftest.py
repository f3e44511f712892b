from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.hand_model.limits import FREE_HIGHEST, FREE_LOWEST
from hand_toolkit.systems.hhmr.recordings import FILE


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two recordings, one of which never trains."""
    folder = tmp_path_factory.mktemp("hhmr")
    rng = np.random.default_rng(0)
    middle, reach = 0.5 * (FREE_LOWEST + FREE_HIGHEST), 0.2 * (FREE_HIGHEST - FREE_LOWEST)
    angles = (middle + reach * rng.uniform(-1, 1, (60, 26))).astype(np.float16)
    owner, names = np.repeat([0, 1], 30).astype(np.int16), np.array(["leap/brian", "leap/grab"])
    np.savez(folder / FILE, angles=angles, owner=owner, names=names)
    return folder

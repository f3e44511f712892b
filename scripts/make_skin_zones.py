"""Write ``hand_toolkit/export/skin_zones.npz``: where the default layout has nails and palm.

python scripts/make_skin_zones.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hand_toolkit.skin.training.subjects import layout, nail_mask, palm_mask

SIZE = 512


def main() -> None:
    """Draw both masks and save them."""
    from scipy.ndimage import zoom

    plain = layout()
    maps = {}
    for name, values in (("nail", nail_mask()), ("palm", palm_mask())):
        image = plain.image(values)[..., 0]
        maps[name] = np.round(255 * zoom(image, SIZE / len(image), order=1).clip(0, 1))
    path = Path(__file__).parents[1] / "hand_toolkit" / "export" / "skin_zones.npz"
    np.savez_compressed(path, **{n: m.astype(np.uint8) for n, m in maps.items()})
    print(path, path.stat().st_size, {n: float(m.mean()) for n, m in maps.items()})


if __name__ == "__main__":
    main()

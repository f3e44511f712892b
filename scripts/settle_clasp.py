"""Write hand_toolkit/animate/clasp.npz, the built-in clasp: as keyed, with its hands parted.

python scripts/settle_clasp.py [-o FILE]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from hand_toolkit.animate.builtin import CLASP, keyed_clasp
from hand_toolkit.core.files import atomic_path
from hand_toolkit.pose.repair import repair_motion


def main() -> None:
    """Repair and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=CLASP)
    path = parser.parse_args().output
    found = repair_motion(keyed_clasp())
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary, theta=found.motion.theta.astype(np.float32),
            translation=found.motion.translation.astype(np.float32),
        )  # fmt: skip
    (before, after), kept = found.depth_mm.max(0), 100 * found.kept
    print(f"{path}: deepest {before:.1f} to {after:.1f} mm, contact kept in {kept:.0f} %")


if __name__ == "__main__":
    main()

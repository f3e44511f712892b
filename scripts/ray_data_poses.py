"""Hands of many photos by Ray Data, into Parquet files.

    python scripts/ray_data_poses.py PHOTOS OUT [--workers 2] [--address auto]

An example of the toolkit inside somebody's data pipeline: each worker loads the networks once and
is given photo after photo; a photo that cannot be read or shows no hand is a row with its sentence.
OUT is a folder of Parquet files with one row for each photo: ``path``, ``sides``, ``confidence``,
``theta`` (16 x 3 a hand, axis-angle), ``shape``, ``translation`` (metres, camera axes), ``error``.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from hand_toolkit.batch.tasks import PICTURES


class Hands:
    """Finds the hands of one photo; what Ray Data keeps alive in each worker."""

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The photo's row."""
        from hand_toolkit.core.errors import HandToolkitError
        from hand_toolkit.media import load_photo
        from hand_toolkit.pose import estimate_pose

        found: dict[str, Any] = {
            "path": row["path"], "sides": [], "confidence": [], "theta": [], "shape": [],
            "translation": [], "error": "",
        }  # fmt: skip
        try:
            hands = estimate_pose(load_photo(row["path"])).hands
        except HandToolkitError as error:
            return {**found, "error": str(error)}
        for hand in hands:
            found["sides"].append(hand.side)
            found["confidence"].append(float(hand.confidence))
            for name in ("theta", "shape", "translation"):
                found[name].append(getattr(hand, name).ravel().tolist())
        return found


def main(arguments: list[str] | None = None) -> int:
    """Run the pipeline."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--address", help="of a running cluster; none starts Ray on this machine")
    options = parser.parse_args(arguments)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if not options.photos.is_dir():
        parser.error(f"{options.photos} is no folder of photos")
    if options.out.exists() and any(options.out.iterdir()):
        parser.error(f"{options.out} is there and not empty; name another folder")
    own = (
        {}
        if options.address
        else {
            "num_cpus": options.workers + 1,  # one writes while the others look
            "include_dashboard": False,
        }
    )
    ray.init(address=options.address, log_to_driver=False, **own)
    photos = sorted(p for p in options.photos.iterdir() if p.suffix.lower() in PICTURES)
    rows = ray.data.from_items([{"path": str(p.resolve())} for p in photos])
    found = rows.repartition(max(1, len(photos) // 64)).map(
        Hands,  # type: ignore[arg-type]
        concurrency=options.workers,
    )
    found.write_parquet(str(options.out.resolve()))
    print(f"{options.out}: {len(photos)} photos")
    ray.shutdown()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

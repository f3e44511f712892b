"""Writes the recorded poses of ``hand_toolkit/animate``: a headset's static poses as joint angles.

    python scripts/record_poses.py quest_static_poses.json

The file holds WebXR's 25 joints, in millimetres, of poses that handy.js (MIT)
recorded with a headset: ``{"right": [{"names": [...], "joints_mm": [[x, y, z], ...]}, ...], ...}``.
Angles are fitted by ``synth.crops.motion.fit_angles``; the mean error is printed in palm sizes.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import numpy as np

from hand_toolkit.hand_model.limits import FREE_ANGLES
from hand_toolkit.synth.crops.motion import HEADSET_JOINTS, fit_angles, read_headset

OUTPUT = Path(__file__).resolve().parents[1] / "hand_toolkit" / "animate" / "recorded_poses.json"
KEPT = {
    "flare": "spread",
    "devil": "horns",
    "love": "love",
    "vulcan": "vulcan",
    "grab": "grab",
    "crook only index": "crook_index",
}
"""Poses beside the letters and numbers, and what they are called here."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    args = parser.parse_args()
    stored = json.loads(args.source.read_text(encoding="utf-8"))
    whole = [
        (side, pose["names"][0])
        for side in stored
        for pose in stored[side]
        if len(pose["joints_mm"]) == HEADSET_JOINTS  # as read_headset takes them
    ]
    angles, errors = fit_angles(read_headset(args.source))
    poses = {}
    for (side, name), row in zip(whole, angles, strict=True):
        letter = re.fullmatch(r"asl ([a-z]|\d+)", name)
        kept = f"asl_{letter[1]}" if letter else KEPT.get(name)
        if side == "right" and kept is not None:
            poses[kept] = [round(float(v), 4) for v in row]
    text = json.dumps({"angles": list(FREE_ANGLES), "poses": poses}, separators=(",", ":"))
    OUTPUT.write_text(text.replace("],", "],\n") + "\n", encoding="utf-8")
    print(f"{len(poses)} poses, mean error {np.mean(errors):.3f} palm sizes, {OUTPUT}")


if __name__ == "__main__":
    main()

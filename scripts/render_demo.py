"""Render hand_toolkit/media/demo.jpg, the picture that comes with the project, with Cycles.

python scripts/render_demo.py --skins SKIN_FOLDER [--subject 3] [-o FILE] [--size 640]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from hand_toolkit.animate import finger_pose
from hand_toolkit.avatar import display_theta
from hand_toolkit.core.cameras import orbit_camera
from hand_toolkit.media.demo import PICTURE
from hand_toolkit.synth.config import SynthConfig
from hand_toolkit.synth.develop import compose_photo
from hand_toolkit.synth.surface import pose_surface
from hand_toolkit.synth.worker import RenderWorker

POSE: dict[str, tuple[float, float, float]] = {
    "index": (6, 14, 7),
    "middle": (8, 16, 8),
    "ring": (9, 20, 10),
    "pinky": (10, 22, 12),
    "thumb": (4, 8, 10),
}
"""Finger flexion, degrees: a hand held up at ease."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--skins", required=True)
    parser.add_argument("--subject", type=int, default=3)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--azimuth", type=float, default=168.0, help="180 shows the back")
    parser.add_argument("-o", "--output", type=Path, default=PICTURE)
    options = parser.parse_args()
    config = SynthConfig(
        size=options.size,
        samples=options.samples,
        train_subjects=options.subject + 1,
        test_subjects=0,
        poses=1,
        views=1,
        skins=options.skins,
    )
    with tempfile.TemporaryDirectory() as folder:
        worker = RenderWorker(Path(folder) / "out", config, options.seed, Path(folder))
        subject = worker.subjects[options.subject]
        worker._show_subject(subject)
        theta = display_theta("right", finger_pose(POSE, 7))
        theta[0] = (
            Rotation.from_euler("z", 8, degrees=True) * Rotation.from_rotvec(theta[0])
        ).as_rotvec()
        surface = worker._surfaces["right"]
        vertices = pose_surface(
            surface, theta, subject.shape, np.zeros(3), np.radians([6.0, -4.0, 0.0])
        )
        hand = vertices[: surface.hand_vertices]
        worker._scene.set_hands({"right": vertices})
        lighting, development = worker._homes[subject.index]
        worker._scene.set_lighting(lighting, hand.mean(axis=0))
        camera = orbit_camera(
            hand, options.size, options.size, np.radians(options.azimuth), 0.06, margin=0.98
        )
        worker._scene.set_camera(camera)
        passes = worker._scene.render()
        noise = np.random.default_rng(options.seed)
        photo = compose_photo(passes, development, lighting.environment, camera, noise)
        Image.fromarray(photo).save(options.output, quality=93, subsampling=0)
        print(f"{options.output}: subject {options.subject}, skin {subject.look.skin}", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()

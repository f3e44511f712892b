"""Make reference.npz: what LiteRT computes with MediaPipe's models, for test_networks.py.

    pip install mediapipe==0.10.21 ai-edge-litert
    python tests/see/make_reference.py tests/see/reference.npz

The pictures are cut from the demo photo at half size and doubled, to keep the file small.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from networks_input import doubled, every

import hand_toolkit

LANDMARK_TENSORS = {"stride_2": 106, "stride_4": 113, "stride_8": 120, "stride_16": 142,
                    "stride_32": 157, "pooled": 160, "points": 165, "world": 166, "presence": 163,
                    "right": 161}  # fmt: skip
PALM_TENSORS = {"pyramid_16": 257, "pyramid_8": 273, "scores": 276, "boxes": 279}


def run(model: Path, picture: np.ndarray, tensors: dict[str, int]) -> dict[str, np.ndarray]:
    interpreter = Interpreter(str(model), num_threads=1, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    x = doubled(picture).astype(np.float32)[None] / 255
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return {name: every(interpreter.get_tensor(index)) for name, index in tensors.items()}


def main() -> None:
    import cv2

    spec = importlib.util.find_spec("mediapipe")
    assert spec is not None and spec.submodule_search_locations
    modules = Path(spec.submodule_search_locations[0]) / "modules"
    demo = cv2.imread(str(Path(hand_toolkit.__file__).parent / "media" / "demo.jpg"))[..., ::-1]
    height, width = demo.shape[:2]
    side = min(height, width)
    square = demo[(height - side) // 2 :, (width - side) // 2 :][:side, :side]
    arrays = {}
    for name, file, size, tensors in (
        ("landmark", "hand_landmark/hand_landmark_full.tflite", 112, LANDMARK_TENSORS),
        ("palm", "palm_detection/palm_detection_full.tflite", 96, PALM_TENSORS),
    ):
        picture = cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
        arrays[f"{name}_picture"] = picture
        for key, value in run(modules / file, picture, tensors).items():
            arrays[f"{name}_{key}"] = value
    np.savez_compressed(sys.argv[1], **arrays)


if __name__ == "__main__":
    main()

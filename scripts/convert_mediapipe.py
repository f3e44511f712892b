"""Make the weights of ``hand_toolkit/see`` from the models in a MediaPipe wheel.

    pip install mediapipe==0.10.21
    python scripts/convert_mediapipe.py hand_toolkit/see/weights

Reads the two ``.tflite`` files itself, so neither TensorFlow nor LiteRT is needed. A model's
layers come in the order in which the torch modules define theirs; kinds and shapes are checked
one by one, and tests/see compares the results with LiteRT's.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import struct
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

MODELS = {
    "palm_detection": "modules/palm_detection/palm_detection_full.tflite",
    "hand_landmark": "modules/hand_landmark/hand_landmark_full.tflite",
}
CONV_2D, DEPTHWISE_CONV_2D, DEQUANTIZE, FULLY_CONNECTED, PRELU = 3, 4, 6, 9, 54
"""Of tflite's schema.fbs, enum BuiltinOperator."""

DTYPES = {0: np.float32, 1: np.float16, 2: np.int32}
"""Of schema.fbs, enum TensorType."""


class Table:
    """A table of a FlatBuffers file; fields are counted as in schema.fbs."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at
        self.fields = at - self._read("<i", at)

    def _read(self, code: str, at: int) -> int:
        return int(struct.unpack_from(code, self.data, at)[0])

    def _place(self, field: int) -> int | None:
        slot = 4 + 2 * field
        if slot >= self._read("<H", self.fields):
            return None
        offset = self._read("<H", self.fields + slot)
        return self.at + offset if offset else None

    def number(self, field: int, code: str) -> int:
        """A number, 0 by default."""
        place = self._place(field)
        return 0 if place is None else self._read(code, place)

    def array(self, field: int, dtype: Any) -> np.ndarray:
        """A vector of numbers."""
        place = self._place(field)
        if place is None:
            return np.zeros(0, dtype)
        start = place + self._read("<I", place)
        return np.frombuffer(self.data, dtype, self._read("<I", start), start + 4)

    def tables(self, field: int) -> list[Table]:
        """A vector of tables."""
        place = self._place(field)
        if place is None:
            return []
        start = place + self._read("<I", place)
        slots = [start + 4 + 4 * k for k in range(self._read("<I", start))]
        return [Table(self.data, slot + self._read("<I", slot)) for slot in slots]


def read_layers(data: bytes) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Each layer with weights, in order: its operator and its constant tensors."""
    model = Table(data, struct.unpack_from("<I", data)[0])
    codes = [max(c.number(0, "<b"), c.number(3, "<i")) for c in model.tables(1)]
    buffers = model.tables(4)
    (graph,) = model.tables(2)
    constants: dict[int, np.ndarray] = {}
    for number, tensor in enumerate(graph.tables(0)):
        raw = buffers[tensor.number(2, "<I")].array(0, np.uint8)
        if len(raw):
            dtype = DTYPES[tensor.number(1, "<b")]
            constants[number] = np.frombuffer(raw.tobytes(), dtype).reshape(tensor.array(0, "<i4"))
    for operator in graph.tables(3):
        code = codes[operator.number(0, "<I")]
        inputs, outputs = operator.array(1, "<i4"), operator.array(2, "<i4")
        if code == DEQUANTIZE:  # stored in float16, computed in float32
            constants[int(outputs[0])] = constants[int(inputs[0])]
        elif code in (CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, PRELU):
            yield code, [constants[int(k)] for k in inputs[1:]]


def to_state(network: Any, data: bytes) -> dict[str, Any]:
    """The model's weights under the names of a torch network, float16.

    Raises:
        ValueError: the model's layers are not the network's, or float16 cannot hold a weight.
    """
    import torch
    from torch import nn

    kinds = (nn.Conv2d, nn.Linear, nn.PReLU)
    modules = [(n, m) for n, m in network.named_modules() if isinstance(m, kinds)]
    layers = list(read_layers(data))
    if len(layers) != len(modules):
        raise ValueError(f"the model has {len(layers)} layers, the network {len(modules)}")
    state: dict[str, Any] = {}
    for (name, module), (code, arrays) in zip(modules, layers):
        weight = arrays[0]
        if code == CONV_2D:
            weight = weight.transpose(0, 3, 1, 2)
        elif code == DEPTHWISE_CONV_2D:
            weight = weight.transpose(3, 0, 1, 2)
        elif code == PRELU:
            weight = weight.reshape(-1)
        values = {"weight": weight}
        if getattr(module, "bias", None) is not None:
            values["bias"] = arrays[1]
        elif len(arrays) > 1 and arrays[1].any():
            raise ValueError(f"{name} has no bias, the model's is not zero")
        for key, value in values.items():
            wanted = tuple(getattr(module, key).shape)
            half = value.astype(np.float16)
            if value.shape != wanted:
                raise ValueError(f"{name}.{key} is {wanted}, the model's is {value.shape}")
            if (half.astype(value.dtype) != value).any():
                raise ValueError(f"{name}.{key} does not fit into float16")
            state[f"{name}.{key}"] = torch.from_numpy(np.ascontiguousarray(half))
    return state


def convert(name: str, make: Callable[[], Any], wheel: Path, target: Path) -> None:
    """Write one network's weights and the note beside them."""
    from safetensors.torch import save_file

    data = (wheel / MODELS[name]).read_bytes()
    state = to_state(make(), data)
    path = target / f"{name}.safetensors"
    save_file(state, path)
    note = {
        "source": f"mediapipe {version('mediapipe')}: {MODELS[name]}",
        "source_sha256": hashlib.sha256(data).hexdigest(),
        "copyright": "Copyright The MediaPipe Authors",
        "licence": "Apache-2.0",
        "changes": "stored under the names of hand_toolkit/see's modules, values unchanged",
        "parameters": sum(value.numel() for value in state.values()),
        "command": "python scripts/convert_mediapipe.py hand_toolkit/see/weights",
    }
    path.with_suffix(".json").write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
    print(f"{path}: {note['parameters']} parameters, {path.stat().st_size / 1e6:.1f} MB")


def main() -> None:
    """Convert both networks."""
    from hand_toolkit.see.landmarks import HandLandmarkNetwork
    from hand_toolkit.see.palm import PalmNetwork

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("target", type=Path, help="folder for the weights")
    options = parser.parse_args()
    spec = importlib.util.find_spec("mediapipe")
    if spec is None or not spec.submodule_search_locations:
        parser.error("mediapipe is not installed; run: pip install mediapipe==0.10.21")
    wheel = Path(spec.submodule_search_locations[0])
    options.target.mkdir(parents=True, exist_ok=True)
    convert("palm_detection", PalmNetwork, wheel, options.target)
    convert("hand_landmark", HandLandmarkNetwork, wheel, options.target)


if __name__ == "__main__":
    main()

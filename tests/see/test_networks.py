"""The networks compute what LiteRT computes with MediaPipe's models (make_reference.py)."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from networks_input import doubled, every

from hand_toolkit.core.errors import FileFormatError, InputError
from hand_toolkit.see.blocks import SameConv2d
from hand_toolkit.see.landmarks import FEATURE_CHANNELS, LandmarkBackbone
from hand_toolkit.see.networks import WEIGHTS, landmark_network, load_weights, palm_network
from hand_toolkit.see.palm import anchor_centers

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def reference() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).with_name("reference.npz")) as arrays:
        return dict(arrays)


def batch(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(doubled(picture)).permute(2, 0, 1)[None].float() / 255


def nhwc(tensor: torch.Tensor) -> np.ndarray:
    return every(tensor.permute(0, 2, 3, 1).numpy() if tensor.ndim == 4 else tensor.numpy())


def largest_error(found: dict[str, np.ndarray], given: dict[str, np.ndarray], part: str) -> None:
    for name, value in found.items():
        wanted = given[f"{part}_{name}"]
        assert value.shape == wanted.shape
        # float32 sums in another order; measured at most 2e-5 of the largest value.
        error = np.abs(value - wanted).max() / np.abs(wanted).max()
        assert error < 1e-4, f"{part} {name}: off by {error:.2g} of the largest value"


def test_landmark_network_is_mediapipes(reference: dict[str, np.ndarray]) -> None:
    network = landmark_network()
    with torch.inference_mode():
        features = network.backbone(batch(reference["landmark_picture"]))
        heads = network.heads(features)
        found = {f"stride_{k}": nhwc(v) for k, v in features.items()}
        found["pooled"] = nhwc(network.pool(features))
    for name in ("points", "world", "presence", "right"):
        found[name] = every(getattr(heads, name).numpy())
    largest_error(found, reference, "landmark")


def test_palm_network_is_mediapipes(reference: dict[str, np.ndarray]) -> None:
    network = palm_network()
    picture = batch(reference["palm_picture"])
    with torch.inference_mode():
        pyramid = network.features(picture)
        out = network(picture)
    boxes = torch.cat([out.boxes, out.points.flatten(2)], dim=2)
    found = {f"pyramid_{k}": nhwc(v) for k, v in pyramid.items()}
    largest_error(
        {**found, "scores": every(out.scores.numpy()), "boxes": every(boxes.numpy())},
        reference,
        "palm",
    )
    assert len(anchor_centers()) == out.scores.shape[1] == 2016


def test_backbone_takes_gradients_and_other_sizes() -> None:
    backbone = LandmarkBackbone()
    features = backbone(torch.rand(2, 3, 160, 96))
    assert {k: tuple(v.shape) for k, v in features.items()} == {
        stride: (2, channels, 160 // stride, 96 // stride)
        for stride, channels in FEATURE_CHANNELS.items()
    }
    features[32].sum().backward()
    assert all(p.grad is not None for p in backbone.parameters())


@pytest.mark.parametrize("kernel", [3, 5])
def test_surplus_padding_lies_right_and_below(kernel: int) -> None:
    conv = SameConv2d(1, 1, kernel, stride=2, bias=False)
    torch.nn.init.ones_(conv.weight)
    counts = conv(torch.ones(1, 1, 8, 8))[0, 0].detach().numpy()
    before, after = (kernel - 2) // 2, kernel - 2 - (kernel - 2) // 2
    assert counts.shape == (4, 4)
    assert counts[0, 0] == (kernel - before) ** 2
    assert counts[-1, -1] == (kernel - after) ** 2


def test_weights_say_where_they_are_from() -> None:
    for path in WEIGHTS.glob("*.safetensors"):
        note = json.loads(path.with_suffix(".json").read_text())
        assert note["licence"] and note["source"] and note["command"]


def test_converter_makes_the_shipped_weights(tmp_path: Path) -> None:
    if importlib.util.find_spec("mediapipe") is None:
        pytest.skip("mediapipe is not installed")
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import convert_mediapipe
    finally:
        sys.path.remove(str(ROOT / "scripts"))
    from importlib.metadata import version

    from safetensors.torch import load_file

    if not version("mediapipe").startswith("0.10."):
        pytest.skip("mediapipe is not installed with its models")
    (spec,) = importlib.util.find_spec("mediapipe").submodule_search_locations
    for name, network in (
        ("palm_detection", palm_network()),
        ("hand_landmark", landmark_network()),
    ):
        made = convert_mediapipe.to_state(
            network, (Path(spec) / convert_mediapipe.MODELS[name]).read_bytes()
        )
        shipped = load_file(WEIGHTS / f"{name}.safetensors")
        assert made.keys() == shipped.keys()
        assert all(torch.equal(made[key], shipped[key]) for key in made)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing"):
        load_weights(LandmarkBackbone(), tmp_path / "none.safetensors")
    for content in (b"\0" * 64, (WEIGHTS / "palm_detection.safetensors").read_bytes()):
        path = tmp_path / "bad.safetensors"
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match="cannot be used"):
            load_weights(LandmarkBackbone(), path)

"""A short training of all parts, its checkpoint and its weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.core.errors import InputError
from hand_toolkit.learn import run_training, settings_of, training_of
from hand_toolkit.systems.im2hands.image import ImageFeatures
from hand_toolkit.systems.im2hands.samples import split_contacts
from hand_toolkit.systems.im2hands.truth import PosedPair, sample_places, signed_distance
from hand_toolkit.systems.im2hands.weights import checkpoint_network, export_weights, read_network

COUNT = 3


@pytest.fixture(scope="module")
def data(
    tmp_path_factory: pytest.TempPathFactory, pair: PosedPair, images: ImageFeatures,
    theta_and_place: tuple[np.ndarray, np.ndarray],
) -> Path:  # fmt: skip
    folder = tmp_path_factory.mktemp("im2hands")
    rng = np.random.default_rng(0)
    places = [sample_places(rng, v, f, 400) for v, f in zip(pair.vertices, pair.faces)]
    distances = [
        [signed_distance(p, v, f)[0] for v, f in zip(pair.vertices, pair.faces)] for p in places
    ]
    one = {
        "coarse": images.coarse[0].half().numpy(), "fine": images.fine[0].half().numpy(),
        "lens": images.lens[0].numpy(), "keypoints": pair.keypoints, "places": places,
        "distances": distances, "theta": theta_and_place[0], "shape": np.zeros(34),
        "translation": theta_and_place[1], "predicted": pair.keypoints + 0.003,
    }  # fmt: skip
    (folder / "train").mkdir()
    arrays = {name: np.stack([np.asarray(value)] * COUNT) for name, value in one.items()}
    np.savez(folder / "train" / "0001_00000.npz", **arrays)
    return folder


def trained(data: Path, out: Path, steps: int, **more: object) -> Path:
    training = training_of("im2hands")
    changes = [f"{name}={value}" for name, value in more.items()]
    config, settings = settings_of(
        training, "tiny", ["batch=4", "queries=64", "log_every=1", *changes], steps=steps
    )
    return run_training(training, [data], out, config=config, settings=settings, device="cpu")


def test_all_parts_learn_and_the_weights_come_back(data: Path, tmp_path: Path) -> None:
    checkpoint = trained(data, tmp_path / "run", 6)
    network, state = checkpoint_network(checkpoint)
    assert state["progress"]["step"] == 6
    begun = checkpoint_network(trained(data, tmp_path / "begun", 1))[0]
    for part in ("initial", "refinement", "keypoints"):
        before, after = getattr(begun, part).state_dict(), getattr(network, part).state_dict()
        assert any(not np.array_equal(before[n], after[n]) for n in before), f"{part} stands still"
    path = export_weights(checkpoint, tmp_path / "im2hands.safetensors", {"command": "test"})
    read, notes = read_network(path)
    assert notes["command"] == "test"
    for name, value in network.state_dict().items():
        assert np.allclose(value, read.state_dict()[name], atol=2e-3, rtol=2e-3)


def test_one_part_leaves_the_others(data: Path, tmp_path: Path) -> None:
    first = trained(data, tmp_path / "first", 3)
    start = f'"{first.as_posix()}"'
    second = trained(data, tmp_path / "second", 2, part='"keypoints"', start=start)
    a, b = checkpoint_network(first)[0], checkpoint_network(second)[0]
    for part, same in (("initial", True), ("keypoints", False)):
        pairs = zip(getattr(a, part).parameters(), getattr(b, part).parameters())
        assert all(np.allclose(x.detach(), y.detach(), atol=1e-6) for x, y in pairs) == same


def test_bad_settings_and_data_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="accepted are all"):
        trained(data, tmp_path / "a", 1, part='"nothing"')
    with pytest.raises(InputError, match="no samples"):
        trained(tmp_path, tmp_path / "b", 1)


def test_test_poses_never_train() -> None:
    poses = list(range(40))
    assert not set(split_contacts(poses, "train")) & set(split_contacts(poses, "test"))
    assert len(split_contacts(poses, "test")) == 5

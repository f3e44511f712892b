"""Synthetic photos, the records of them, and the subjects that training dresses them in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hand_toolkit.core.errors import InputError
from hand_toolkit.skin.completion_weights import load_completion
from hand_toolkit.skin.grid import GRID
from hand_toolkit.skin.network import SEEN, CompletionNetwork, SeenNails
from hand_toolkit.skin.training.dressing import Wardrobe, softened, weighted_medians
from hand_toolkit.skin.training.photos import OBSERVED_SIZE, Sample, make_sample
from hand_toolkit.skin.training.pool import MOVE, RIGHT, SHOWS, TARGET, WORN, Pool
from hand_toolkit.skin.training.records import COLUMNS, covered, record_of
from hand_toolkit.skin.training.subjects import (
    Mixer,
    Subject,
    layout,
    load_subjects,
    save_subjects,
)
from hand_toolkit.skin.training.train import train
from hand_toolkit.skin.uv_layout import uv_layout
from hand_toolkit.skin.uv_observation import CHANNELS, weighted_median


def subject(seed: int, family: str) -> Subject:
    """Skin with soft spots of centimetres and lines of millimetres."""
    rng, place = np.random.default_rng(seed), layout().rest
    waves = rng.normal(size=(6, 3)) * [[80], [80], [80], [700], [700], [700]]
    log_albedo = -1.5 + 0.1 * np.sin(place @ waves.T + rng.uniform(0, 6, 6)).sum(1, keepdims=True)
    values = np.clip(log_albedo + rng.normal(size=3) * 0.2, -3, -0.2).astype(np.float32)
    return Subject(family, values, values)


@pytest.fixture(scope="module")
def mixer() -> Mixer:
    return Mixer([subject(1, "one"), subject(2, "two")])


@pytest.fixture(scope="module")
def worn(mixer: Mixer) -> tuple[Sample, np.ndarray]:
    rng = np.random.default_rng([9, 1])
    canonical, own = mixer.draw(rng)
    return make_sample(rng, canonical, own), own


def test_the_wardrobe_shows_a_photo_s_skin_where_the_photo_showed_it(
    mixer: Mixer, worn: tuple[Sample, np.ndarray]
) -> None:
    sample, own = worn
    grid = torch.zeros(GRID, GRID, len(COLUMNS))
    cover = covered(uv_layout("default", OBSERVED_SIZE))
    grid[torch.tensor(cover)] = torch.tensor(record_of(sample).astype(np.float32))
    grid = grid.permute(2, 0, 1)[None]
    skin = torch.tensor(mixer.layout.image(own)).permute(2, 0, 1)[None].float()
    shown = grid[:, SHOWS : SHOWS + 1] > 0
    seen = Wardrobe.of(mixer, "cpu").at_grid(skin, grid[:, MOVE : MOVE + 2] * shown)
    right = (grid[:, RIGHT] > 0.7)[0]
    assert right.sum() > 1000
    error = (seen - grid[:, WORN : WORN + 3])[0].abs().mean(0)
    assert error[right].mean() < 0.01
    target = (seen - grid[:, TARGET : TARGET + 3])[0][:, right]
    assert target.std(1).max() < 0.02


def test_a_dressed_batch_is_relative_to_its_own_sure_skin(
    mixer: Mixer, worn: tuple[Sample, np.ndarray], tmp_path: Path
) -> None:
    sample = worn[0]
    for number in range(2):
        values, tone = record_of(sample), sample.observation.tone.astype(np.float32)
        np.savez(tmp_path / f"{number:05d}.npz", values=values, tone=tone, plain=number == 0)
    (tmp_path / "00007.npz").write_bytes(b"half a file")
    pool, rng = Pool(tmp_path, Wardrobe.of(mixer, "cpu"), 2, "cpu"), np.random.default_rng(3)
    pool.refresh(rng)
    assert pool.count == 2
    inputs, target, right, tone = pool.batch(4, rng)
    assert inputs.shape == (4, len(CHANNELS), GRID, GRID)
    assert torch.isfinite(inputs).all() and torch.isfinite(target).all()
    unseen = (inputs[:, SEEN : SEEN + 1] == 0).expand(-1, 3, -1, -1)
    assert (inputs[:, :3][unseen] != 0).float().mean() < 0.01
    known = (right > 0).expand(-1, 3, -1, -1)
    assert target[known].abs().mean() < 0.5
    # the photo and the skin agree where the photo shows it, up to light and noise
    assert (inputs[:, :3] - target)[known].abs().median() < 0.35
    assert (tone - torch.tensor(sample.observation.tone)).abs().max() < 3


def test_subjects_survive_as_pictures(tmp_path: Path) -> None:
    made = [subject(1, "one"), subject(2, "two")]
    save_subjects(tmp_path / "train.pack", made)
    assert (tmp_path / "train.pack").stat().st_size < 1e6
    read = load_subjects(tmp_path / "train.pack", ("two",))
    assert [s.family for s in read] == ["two"]
    assert np.abs(read[0].own - made[1].own).mean() < 0.03
    with pytest.raises(InputError, match="nobody"):
        load_subjects(tmp_path / "train.pack", ("three",))


def test_weighted_medians_are_numpy_s() -> None:
    rng = np.random.default_rng(0)
    values, weight = rng.normal(size=(200, 3)), rng.random(200)
    found = weighted_medians(torch.tensor(values.T[None]), torch.tensor(weight[None, None]))
    np.testing.assert_allclose(found[0].numpy(), weighted_median(values, weight))


def test_softening_keeps_the_mean_and_blurs_each_sample_its_own_way() -> None:
    values = torch.zeros(2, 1, 31, 31)
    values[:, 0, 15, 15] = 1
    out = softened(values, torch.tensor([0.1, 2.0]))
    assert torch.allclose(out.sum((1, 2, 3)), torch.ones(2), atol=1e-4)
    assert out[0, 0, 15, 15] > 0.99 > 0.1 > out[1, 0, 15, 15]


def test_the_nails_colour_comes_from_the_nails_that_are_seen() -> None:
    torch.manual_seed(0)
    nails, nail = SeenNails(), torch.zeros(1, GRID, GRID)
    torch.nn.init.normal_(nails.outer.weight)
    nail[:, :10, :10] = 1
    inputs = torch.zeros(3, len(CHANNELS), GRID, GRID)
    for name in ("seen", "mask", "unlike_background"):
        inputs[:, CHANNELS.index(name)] = 1
    inputs[1, :3, :10, :10] = 1.0
    inputs[2, :3, 20:, 20:] = 1.0
    said = nails(inputs, torch.zeros(3, 3), nail)
    assert (said[1] - said[0]).abs().max() > 0.05
    assert torch.allclose(said[2], said[0])


def test_training_writes_weights_that_load(worn: tuple[Sample, np.ndarray], tmp_path: Path) -> None:
    save_subjects(tmp_path / "train.npz", [subject(k, "one") for k in range(3)])
    (tmp_path / "photos").mkdir()
    np.savez(
        tmp_path / "photos" / "00000.npz",
        values=record_of(worn[0]),
        tone=worn[0].observation.tone.astype(np.float32),
        plain=True,
    )
    train(tmp_path, tmp_path / "own.safetensors", 1e-4, 1, 0, ("one",), capacity=2)
    loaded = load_completion(tmp_path / "own.safetensors")
    assert loaded.notes["step"] >= 1
    assert isinstance(loaded.network, CompletionNetwork)

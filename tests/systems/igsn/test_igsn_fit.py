"""One-shot fit, baking, neural drawing, evaluation, on a prior trained for seconds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from hand_toolkit.avatar import Avatar, Drawable
from hand_toolkit.core.cameras import orbit_camera
from hand_toolkit.core.errors import InputError
from hand_toolkit.core.flip import flip
from hand_toolkit.core.metrics import psnr_box, psnr_mask
from hand_toolkit.core.types import Photo
from hand_toolkit.render import AvatarRenderer, render
from hand_toolkit.systems.igsn.checkpoint import load_model
from hand_toolkit.systems.igsn.config import FIT_MODES, TINY, FitConfig, TrainConfig
from hand_toolkit.systems.igsn.dataset import RenderedSet
from hand_toolkit.systems.igsn.evaluate import (
    drawer,
    estimate_of,
    evaluate,
    fit_reference,
    score,
    tasks,
)
from hand_toolkit.systems.igsn.fit import fit_one_shot
from hand_toolkit.systems.igsn.neural import NeuralAvatar
from hand_toolkit.systems.igsn.train import train
from hand_toolkit.systems.igsn.weights import FILE, Prior, load_prior
from hand_toolkit.systems.texture.one_photo import TextureConfig
from hand_toolkit.systems.texture.optimize import OptimizeConfig

QUICK = FitConfig(steps=12, refine=False, patience=0)


@pytest.fixture(scope="module")
def prior(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> Prior:
    folder = tmp_path_factory.mktemp("prior")
    settings = TrainConfig(
        steps=15,
        views_per_scene=1,
        warmup=1,
        learning_rate=5e-3,
        identity_rate=2e-2,
        subject_slots=2,
        checkpoint_every=15,
        perceptual="gradient",
    )
    train(TINY, rendered, folder, settings=settings, device="cpu")
    model, _ = load_model(folder / "checkpoint.safetensors")
    return load_prior(FILE.write(model.network, {"step": 15}, folder / "w.safetensors"))


def test_fit_explains_the_photo_and_generalises(rendered: Path, prior: Prior) -> None:
    data = RenderedSet(rendered, TINY)
    task = tasks(data, "test")[0]
    unfitted, _ = fit_reference(data, task, prior, dataclasses.replace(QUICK, steps=0))
    avatar, live = fit_reference(data, task, prior, dataclasses.replace(QUICK, steps=20))
    assert live is not None
    for fitted in (avatar, live):
        own = score(data, drawer(fitted), [task.reference])["psnr_box"]
        assert own > score(data, drawer(unfitted), [task.reference])["psnr_box"] + 0.5
        assert own > 22
        assert score(data, drawer(fitted), task.novel_view)["psnr_box"] > 15


def test_avatar_is_whole_and_survives_a_file(rendered: Path, prior: Prior, tmp_path: Path) -> None:
    data = RenderedSet(rendered, TINY)
    scene = next(s for s in data.scan("test") if s.sides == ("right",))
    view = scene.views[0]
    picture = data.picture(view)
    mask = picture.mask / 255.0
    photo = Photo(picture.image, name="a.png")
    estimate = estimate_of(scene, view.camera, "default")
    labels = np.where(mask > 0.5, 0, -1).astype(np.int32)
    told: list[float] = []
    avatar = fit_one_shot(
        photo, mask, labels, estimate, QUICK, prior=prior, progress=lambda f, m: told.append(f)
    )
    assert avatar.sides == ("right", "left")
    assert avatar.hand("right").observed and not avatar.hand("left").observed
    seen = avatar.hand("right").evidence
    assert 0.1 < float((seen > 0.3).mean()) < 0.8
    assert told == sorted(told) and told[-1] == 1.0
    again = Avatar.load(avatar.save(tmp_path / "a.hand"))
    live = NeuralAvatar(again, prior)
    pose = {"left": np.zeros((16, 3)), "right": np.zeros((16, 3))}
    place = {"left": np.array([0.1, 0, 0.5]), "right": np.array([-0.1, 0, 0.5])}
    splats = live.splats(pose, place)
    assert np.isfinite(splats.means).all() and splats.colors.max() <= 1
    # the mirrored hand has the fitted hand's skin
    left = splats.means[:, 0] > 0
    assert np.abs(splats.colors[left].mean(0) - splats.colors[~left].mean(0)).max() < 0.05
    assert isinstance(live, Drawable)
    camera = orbit_camera(splats.means, 64, 64)
    lit, flat = (
        AvatarRenderer(live, camera, light=light).render(pose, place).astype(int)
        for light in ("photo", "flat")
    )
    # as the network's splats were trained
    painter = AvatarRenderer(again, camera, light="photo", antialiased=False)
    fixed = painter.render(pose, place).astype(int)
    assert (lit.max(2) > 0).mean() > 0.03
    assert 0 < np.abs(lit - fixed).mean() < np.abs(lit - flat).mean()
    twice = fit_one_shot(photo, mask, labels, estimate, QUICK, prior=prior)
    assert np.array_equal(twice.hand("right").color, avatar.hand("right").color)


def test_the_photo_s_detail_is_laid_over_the_network_s_skin(rendered: Path, prior: Prior) -> None:
    data = RenderedSet(rendered, TINY)
    scene = next(s for s in data.scan("test") if s.sides == ("right",))
    theta, translation = scene.views[0].sample.hands_in_camera()
    small = dataclasses.replace(scene.views[0].camera, world_to_camera=np.eye(4))
    camera = small.resized(4 * small.width, 4 * small.height)
    estimate = estimate_of(
        dataclasses.replace(scene, theta=theta[:1], translation=translation[:1]), camera, "default"
    )
    picture = data.picture(scene.views[0])
    pixels = picture.image.repeat(4, 0).repeat(4, 1) / 255.0
    mask = picture.mask.repeat(4, 0).repeat(4, 1) / 255.0
    # finer than the network's maps: lines 8 pixels, about 4 mm, apart
    pixels *= 1 - 0.3 * (np.arange(len(pixels)) % 8 < 4)[:, None, None]
    inner = binary_erosion(mask > 0.5, iterations=10)
    labels = np.where(mask > 0.5, 0, -1).astype(np.int32)
    args = (Photo((pixels * 255).astype(np.uint8)), mask, labels, estimate, QUICK)
    # the completion network's own skin would take the stripes off as shade
    texture = TextureConfig(16, 256, OptimizeConfig(steps=4), completion="belief")
    plain = fit_one_shot(*args, prior=prior)
    sharp = fit_one_shot(*args, prior=prior, texture=texture)
    assert sharp.provenance["method"] == "prior"
    assert set(sharp.extras) == set(plain.extras)
    assert NeuralAvatar(sharp, prior).splats({"right": np.zeros((16, 3))}).means.shape[1] == 3
    scores = []
    for avatar, smooth in ((plain, False), (sharp, True)):
        splats = avatar.splats({"right": theta[0]}, {"right": translation[0]})
        color = render(splats, camera, antialiased=smooth).color
        scores.append(psnr_mask(color, pixels, inner))
    # measured: 0.8; the stripes' strongest share is clipped as noise would be
    assert scores[1] > scores[0] + 0.5, scores


def test_references_and_targets_share_a_light(rendered: Path) -> None:
    data = RenderedSet(rendered, TINY)
    scenes = data.scan("test")
    lamp = dataclasses.replace
    changed = [
        lamp(s, views=(*(lamp(v, lighting="lamp") for v in s.views[:1]), *s.views[1:]))
        for s in scenes
    ]
    data.scan = lambda split=None: changed  # type: ignore[method-assign]
    for task in tasks(data, "test", per_subject=3):
        pictures = (task.reference, *task.novel_view, *task.novel_pose)
        lights = {scene.views[view].lighting for scene, view in pictures}
        assert lights == {"home"}
        assert task.novel_view and all(v != task.reference[1] for _, v in task.novel_view)


@pytest.mark.parametrize("mode", FIT_MODES)
def test_each_mode_fits(mode: str, rendered: Path, prior: Prior) -> None:
    data = RenderedSet(rendered, TINY)
    task = tasks(data, "test")[0]
    before = {n: p.clone() for n, p in prior.network.named_parameters()}
    avatar, live = fit_reference(data, task, prior, dataclasses.replace(QUICK, mode=mode, steps=3))
    assert (live is None) == (mode == "ohta")
    extras = avatar.extras
    if mode == "code":
        assert extras["prior.identity"].shape[-1] == 1
    if mode == "no-calibration":
        assert np.allclose(extras["prior.gain"], 1)
    if mode == "no-inversion":
        assert not extras["prior.identity"].any()
    if mode in ("no-bias", "code"):
        assert not extras["prior.bias"].any()
    # the prior is shared and frozen, also where OHTA fine-tunes its own copy
    assert all(bool((p == before[n]).all()) for n, p in prior.network.named_parameters())


def test_evaluation_prints_both_tasks_and_writes_a_sheet(
    rendered: Path, prior: Prior, tmp_path: Path
) -> None:
    table = evaluate(
        rendered,
        prior=prior,
        config=dataclasses.replace(QUICK, steps=3),
        targets=1,
        sheet=tmp_path / "sheet.png",
    )
    assert set(table) == {"novel view", "novel pose"}
    # measured: 26.4 dB and 0.82, without a step of the fit 25.7 and 0.77; 23.5 dB and 0.73
    assert table["novel view"]["psnr_box"] > 25.9
    assert table["novel view"]["ssim_box"] > 0.785
    assert table["novel pose"]["psnr_box"] > 22.3
    assert table["novel pose"]["ssim_box"] > 0.68
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_unusable_input_is_named(rendered: Path, prior: Prior) -> None:
    data = RenderedSet(rendered, TINY)
    scene = data.scan("test")[0]
    view = scene.views[0]
    picture = data.picture(view)
    estimate = estimate_of(scene, view.camera, "default")
    photo = Photo(picture.image)
    empty = np.zeros(picture.mask.shape)
    labels = np.full(empty.shape, -1, np.int32)
    with pytest.raises(InputError, match=r"mask of '\w+' is empty"):
        fit_one_shot(photo, empty, labels, estimate, QUICK, prior=prior)
    other = dataclasses.replace(
        estimate, hands=tuple(dataclasses.replace(h, hand_model="mano") for h in estimate.hands)
    )
    with pytest.raises(InputError, match="texture"):
        fit_one_shot(photo, empty + 1, labels, other, QUICK, prior=prior)
    with pytest.raises(InputError, match="accepted are"):
        FitConfig(mode="best")
    from hand_toolkit.testing.avatars import procedural_avatar

    with pytest.raises(InputError, match="not fitted with the learned prior"):
        NeuralAvatar(procedural_avatar(0), prior)


def test_flip_is_zero_for_equal_pictures_and_grows_with_error() -> None:
    rng = np.random.default_rng(0)
    picture = rng.random((40, 40, 3))
    assert flip(picture, picture) == 0
    small = flip(np.clip(picture + 0.02, 0, 1), picture)
    large = flip(np.clip(picture + 0.2, 0, 1), picture)
    assert 0 < small < large < 1
    # the paper's extreme: green against blue is the largest colour difference there is
    green, blue = np.zeros((40, 40, 3)), np.zeros((40, 40, 3))
    green[..., 1], blue[..., 2] = 1, 1
    assert flip(green, blue) == pytest.approx(1, abs=0.02)
    assert psnr_box(picture, picture, np.ones((40, 40))) == 100

"""The avatar path draws what ``Avatar.splats`` and ``render`` draw, without allocating."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest

from hand_toolkit.avatar import (
    Avatar,
    AvatarHand,
    Drawable,
    SurfaceBinding,
    display_theta,
    surface,
)
from hand_toolkit.avatar.lighting import Light, constant_light, rotate
from hand_toolkit.core.errors import InputError
from hand_toolkit.core.types import Camera, Splats
from hand_toolkit.geometry.surfaces import triangle_frames
from hand_toolkit.render import AvatarRenderer, render, set_threads

CAMERA = Camera(230, 230, 101, 75, 201, 150)
BACKGROUND = (0.1, 0.2, 0.3)
TURNED = np.array([[0.8, 0, 0.6, -0.3], [0, 1, 0, 0], [-0.6, 0, 0.8, 0.1], [0, 0, 0, 1]])


@pytest.fixture(autouse=True)
def _default_threads() -> object:
    yield
    set_threads(None)


def make_avatar(
    count: int = 3000, coefficients: int = 0, sides: tuple[str, ...] = ("right", "left")
) -> Avatar:
    """Hands with ``count`` splats each, turned, offset and coloured at random."""
    hands = []
    for number, side in enumerate(sides):
        rng = np.random.default_rng(number)
        model = surface("default", side, 0)
        _, area = triangle_frames(model.template, model.faces)
        triangle = rng.choice(len(area), count, p=area / area.sum())
        shape = (count, coefficients, 3) if coefficients else (count, 3)
        color = 0.3 * rng.standard_normal(shape) if coefficients else rng.random(shape)
        hands.append(
            AvatarHand(
                side=side,
                shape=np.random.default_rng(5).normal(0, 0.5, len(model.shape_names)),
                binding=SurfaceBinding(
                    triangle,
                    rng.dirichlet(np.ones(3), count),
                    rng.normal(0, 5e-4, (count, 3)),
                    rng.standard_normal((count, 4)),
                    np.exp(rng.normal(-6.5, 0.5, (count, 3))),
                ),
                opacity=rng.uniform(0.1, 1, count),
                color=color,
                albedo=rng.random((count, 3)),
                evidence=np.ones(count),
            )
        )
    light = constant_light(0.6) + np.random.default_rng(7).normal(0, 0.3, (9, 3))
    photographed = dataclasses.replace(CAMERA, world_to_camera=TURNED)
    return Avatar("default", 0, tuple(hands), light, photographed)


def pose(seed: int, sides: tuple[str, ...] = ("right", "left")) -> tuple[dict, dict]:
    rng = np.random.default_rng(seed)
    theta = {s: display_theta(s, rng.normal(0, 0.2, (16, 3))) for s in sides}
    places = {"right": np.array([-0.11, 0.08, 0.5]), "left": np.array([0.11, 0.08, 0.55])}
    return theta, {s: places[s] for s in sides}


def eight_bit(color: np.ndarray) -> np.ndarray:
    return np.clip(color * 255 + 0.5, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("coefficients", [0, 9])
@pytest.mark.parametrize("antialiased", [False, True])
def test_pictures_equal_those_of_the_splats(coefficients: int, antialiased: bool) -> None:
    avatar = make_avatar(coefficients=coefficients)
    for camera in (CAMERA, Camera(230, 250, 101, 75, 201, 150, TURNED)):
        renderer = AvatarRenderer(avatar, camera, BACKGROUND, antialiased=antialiased)
        for seed in range(3):
            splats = avatar.splats(*pose(seed))
            want = render(splats, camera, BACKGROUND, antialiased=antialiased)
            assert (want.alpha > 0.5).mean() > 0.1
            got = renderer.render(*pose(seed))
            assert got.shape == (150, 201, 3) and got.dtype == np.uint8
            difference = np.abs(got.astype(int) - eight_bit(want.color))
            assert (difference > 1).mean() < 1e-3
            planes = renderer.render_planes(*pose(seed))
            assert np.abs(planes.color - want.color).mean() < 1e-5
            assert np.abs(planes.alpha - want.alpha).mean() < 1e-5
            assert np.abs(planes.depth - want.depth).mean() < 1e-5


@pytest.mark.parametrize("light", ["photo", "flat", "studio", 4, 9, 16])
def test_lit_pictures_equal_those_of_the_lit_splats(light: str | int) -> None:
    avatar = make_avatar()
    shining: Light = light if isinstance(light, str) else None
    if isinstance(light, int):
        more = np.random.default_rng(light).normal(0, 0.4, (light - 1, 3))
        shining = np.concatenate([constant_light(0.5)[:1], more])
    for camera in (CAMERA, Camera(230, 250, 101, 75, 201, 150, TURNED)):
        world: Light = shining
        if light == "photo":  # it goes with the camera; the photo's own camera was turned
            photo = rotate(avatar.light, avatar.camera.world_to_camera[:3, :3])
            world = rotate(photo, camera.world_to_camera[:3, :3].T)
        want = render(avatar.splats(*pose(1), world), camera, BACKGROUND, antialiased=True)
        renderer = AvatarRenderer(avatar, camera, BACKGROUND, light=shining)
        planes = renderer.render_planes(*pose(1))
        assert np.abs(planes.color - want.color).mean() < 2e-5
        assert (np.abs(planes.color - want.color) > 2e-3).mean() < 1e-3  # ties in depth
        streamed = [p.copy() for p in renderer.stream([pose(1), (*pose(1), camera)])]
        assert (np.abs(streamed[0].astype(int) - eight_bit(want.color)) > 1).mean() < 1e-3
        assert (streamed[0] == streamed[1]).all()
    baked = render(avatar.splats(*pose(1)), camera, BACKGROUND, antialiased=True).color
    assert np.abs(baked - want.color).mean() > 0.01


def test_hands_of_flat_and_of_directional_colour_stand_side_by_side() -> None:
    plain, shiny = make_avatar(), make_avatar(coefficients=4)
    avatar = dataclasses.replace(plain, hands=(plain.hands[0], shiny.hands[1]))
    want = render(avatar.splats(*pose(2)), CAMERA, antialiased=True).color
    got = AvatarRenderer(avatar, CAMERA).render_planes(*pose(2)).color
    assert np.abs(got - want).mean() < 1e-5


def test_a_transparent_picture_has_straight_colours() -> None:
    avatar = make_avatar()
    clear = AvatarRenderer(avatar, CAMERA, None, light="photo").render(*pose(1)).astype(float)
    over = AvatarRenderer(avatar, CAMERA, BACKGROUND, light="photo").render(*pose(1))
    alpha = clear[..., 3:] / 255
    assert clear.shape == (150, 201, 4) and (alpha == 0).any() and (alpha > 0.99).any()
    joined = clear[..., :3] * alpha + np.array(BACKGROUND) * 255 * (1 - alpha)
    assert np.abs(joined - over).max() < 2.5


class Glove:
    """Something posed that makes its splats anew: every other splat of an avatar."""

    sides = ("right",)

    def __init__(self, avatar: Avatar) -> None:
        self.avatar = avatar
        self.photo_light = avatar.photo_light
        self.asked: list[Light] = []

    def splats(self, theta: dict, translation: dict | None, light: Light) -> Splats:
        self.asked.append(light)
        s = self.avatar.splats(theta, translation, light)
        names = ("means", "quats", "scales", "opacities", "colors")
        return Splats(**{n: getattr(s, n)[::2].copy() for n in names})


def test_any_drawable_is_drawn() -> None:
    glove = Glove(make_avatar())
    assert isinstance(glove, Drawable) and isinstance(glove.avatar, Drawable)
    renderer = AvatarRenderer(glove, CAMERA, BACKGROUND, light="photo")
    theta, translation = pose(1, ("right",))
    (picture,) = renderer.stream([(theta, translation)])
    world = rotate(glove.photo_light, CAMERA.world_to_camera[:3, :3].T)
    np.testing.assert_allclose(glove.asked[0], world)
    want = render(glove.splats(theta, translation, world), CAMERA, BACKGROUND).color
    np.testing.assert_array_equal(picture, eight_bit(want))


def test_stream_gives_the_pictures_of_single_calls_on_any_threads() -> None:
    avatar = make_avatar()
    poses = [pose(k) for k in range(6)]
    poses[3] = pose(3, ("left",))
    want = None
    for threads in (1, 2, 5):
        set_threads(threads)
        renderer = AvatarRenderer(avatar, CAMERA, BACKGROUND)
        single = [renderer.render(*p).copy() for p in poses]
        streamed = [p.copy() for p in renderer.stream(iter(poses))]
        assert all((a == b).all() for a, b in zip(single, streamed, strict=True))
        want = want or [p.tobytes() for p in single]
        assert [p.tobytes() for p in single] == want
    assert list(renderer.stream([])) == []


def test_one_hand_of_two_and_an_avatar_of_one() -> None:
    avatar = make_avatar()
    alone = make_avatar(sides=("right",))
    theta, translation = pose(1, ("right",))
    picture = AvatarRenderer(avatar, CAMERA).render(theta, translation)
    np.testing.assert_array_equal(picture, AvatarRenderer(alone, CAMERA).render(theta, translation))
    assert not picture[:, 150:].any() and picture[:, :100].any()


def test_size_and_view_may_change_between_frames() -> None:
    avatar = make_avatar()
    renderer = AvatarRenderer(avatar, CAMERA, BACKGROUND)
    for camera in (CAMERA, CAMERA.resized(64, 48), CAMERA, CAMERA.resized(333, 20)):
        got = renderer.render(*pose(0), camera=camera)
        want = eight_bit(
            render(avatar.splats(*pose(0)), camera, BACKGROUND, antialiased=True).color
        )
        assert got.shape == want.shape
        assert (np.abs(got.astype(int) - want) > 1).mean() < 1e-3


def test_nothing_of_weight_is_allocated_after_the_first_frames() -> None:
    renderer = AvatarRenderer(make_avatar(), CAMERA)
    poses = [pose(k) for k in range(12)]
    for p in poses:
        renderer.render(*p)
    for _ in renderer.stream(poses):
        pass
    tracemalloc.start()
    for p in poses:
        renderer.render(*p)
    for _ in renderer.stream(poses):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Small Python objects only, some waiting for a worker; a picture alone is 94 kB.
    assert peak < 80_000


def test_two_pictures_are_valid_at_once() -> None:
    renderer = AvatarRenderer(make_avatar(), CAMERA)
    first = renderer.render(*pose(0))
    kept = first.copy()
    second = renderer.render(*pose(1))
    assert (first == kept).all() and not np.shares_memory(first, second)


@pytest.mark.parametrize(
    ("theta", "translation", "message"),
    [
        ({}, None, "no hand was posed"),
        ({"up": np.zeros((16, 3))}, None, "no up hand; it has: right, left"),
        ({"right": np.zeros((15, 3))}, None, r"theta of the right hand has shape \(15, 3\)"),
        ({"right": np.full((16, 3), np.nan)}, None, "NaN or infinite"),
        ({"right": np.zeros((16, 3))}, {"right": [0, 0]}, r"translation of the right hand"),
    ],
)
def test_wrong_poses_are_explained(theta: dict, translation: dict | None, message: str) -> None:
    renderer = AvatarRenderer(make_avatar(50), CAMERA)
    with pytest.raises(InputError, match=message):
        renderer.render(theta, translation)


def test_wrong_background_and_light_are_explained() -> None:
    avatar = make_avatar(50)
    with pytest.raises(InputError, match=r"background has shape \(2,\)"):
        AvatarRenderer(avatar, CAMERA, (0, 0))
    with pytest.raises(InputError, match="unknown light 'moon'; give photo, baked, flat, studio"):
        AvatarRenderer(avatar, CAMERA, light="moon")
    with pytest.raises(InputError, match=r"the light has shape \(2, 3\); accepted is \(K, 3\)"):
        AvatarRenderer(avatar, CAMERA, light=np.zeros((2, 3)))

"""The avatar path draws what ``Avatar.splats`` and ``render`` draw, without allocating."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from hand_toolkit.avatar import Avatar, AvatarHand, SurfaceBinding, display_theta, surface
from hand_toolkit.avatar.binding import triangle_frames
from hand_toolkit.core.errors import InputError
from hand_toolkit.core.types import Camera
from hand_toolkit.render import AvatarRenderer, render, set_threads

CAMERA = Camera(230, 230, 101, 75, 201, 150)
BACKGROUND = (0.1, 0.2, 0.3)


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
                albedo=np.full((count, 3), 0.5),
                evidence=np.ones(count),
            )
        )
    return Avatar("default", 0, tuple(hands), np.zeros((9, 3)), CAMERA)


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
    turned = np.eye(4)
    turned[:3, :3] = [[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]]
    turned[:3, 3] = [-0.3, 0.0, 0.1]
    for camera in (CAMERA, Camera(230, 250, 101, 75, 201, 150, turned)):
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
        want = eight_bit(render(avatar.splats(*pose(0)), camera, BACKGROUND).color)
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


def test_wrong_background_is_explained() -> None:
    with pytest.raises(InputError, match=r"background has shape \(2,\)"):
        AvatarRenderer(make_avatar(50), CAMERA, (0, 0))

"""The texture fit on a drawn hand, of which everything is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hand_toolkit.animate import finger_pose
from hand_toolkit.avatar import display_theta, surface, triangle_frames
from hand_toolkit.avatar.layout import DEEPEST_M, lay_splats
from hand_toolkit.avatar.lighting import shade
from hand_toolkit.core.metrics import psnr_mask
from hand_toolkit.core.types import Camera, HandPose, Photo, PoseEstimate
from hand_toolkit.geometry import rasterize_mesh
from hand_toolkit.geometry.colour import linear_to_srgb, srgb_to_linear
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy, rest_hand
from hand_toolkit.pictures.drawing import picture_of, source_view
from hand_toolkit.skin.light import estimate_light, visibility
from hand_toolkit.skin.observe import observe, pose_surfaces
from hand_toolkit.skin.template import complete_log_albedo, template_log_albedo
from hand_toolkit.systems.texture.one_photo import TextureConfig, fit_texture
from hand_toolkit.systems.texture.optimize import OptimizeConfig

CAMERA = Camera(420, 420, 96, 112, 192, 224)
SKIN = np.array([0.44, 0.27, 0.2])
LIGHT = np.zeros((9, 3))
LIGHT[0] = 2.4
LIGHT[1] = 0.55  # band 1, towards -y: from above
LIGHT[3] = -0.35


def hand_pose(side: str = "right", x: float = 0.0) -> HandPose:
    model = load_hand_model("default", side, 0)
    pose = finger_pose("relaxed", 8)
    theta = display_theta(side, pose if side == "right" else pose * [1, -1, -1])
    where = np.array([x, 0.09, 0.45])
    shape = np.zeros(len(model.shape_names))
    joints = pose_hand_numpy(model, theta, shape, where)[2]
    return HandPose(side, theta, shape, where, "default", 1.0, CAMERA.project(joints), joints)


def drawn_photo(hands: tuple[HandPose, ...]) -> tuple[Photo, np.ndarray, np.ndarray]:
    """A picture of uniformly skin-coloured hands under ``LIGHT`` over green; mask and labels."""
    surfaces = pose_surfaces(hands, 1)
    pixels = np.full((CAMERA.height, CAMERA.width, 3), (0.2, 0.5, 0.25))
    labels = np.full(pixels.shape[:2], -1, np.int32)
    nearest = np.full(pixels.shape[:2], np.inf)
    for k, posed in enumerate(surfaces):
        raster = rasterize_mesh(posed.vertices, posed.faces, CAMERA)
        hit = raster.silhouette & (raster.depth < nearest)
        nearest[hit], labels[hit] = raster.depth[hit], k
        normals = posed.normals[posed.faces[raster.triangle[hit]]].mean(axis=1)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        pixels[hit] = linear_to_srgb(SKIN * shade(LIGHT, normals))
    photo = Photo((pixels * 255).astype(np.uint8), name="drawn")
    return photo, (labels >= 0).astype(np.float32), labels


@pytest.fixture(scope="module")
def one_hand():
    hands = (hand_pose(),)
    photo, mask, labels = drawn_photo(hands)
    config = TextureConfig(1, 256, OptimizeConfig(steps=4))
    avatar = fit_texture(photo, mask, labels, PoseEstimate(hands, CAMERA), config)
    return photo, mask, avatar


def test_the_avatar_reproduces_its_photo(one_hand) -> None:
    photo, mask, avatar = one_hand
    theta, where, camera = source_view(avatar)
    shown = picture_of(avatar, theta, where, camera, light="baked") / 255.0
    assert psnr_mask(shown, photo.pixels / 255.0, mask > 0.5) > 27


def own_skin(hand) -> np.ndarray:
    """(N,) the splats of the mesh itself, not those that close the wrist."""
    return np.abs(hand.binding.offset[:, :2]).max(axis=1) == 0


def test_evidence_is_where_the_photo_looked(one_hand) -> None:
    _, _, avatar = one_hand
    hand = avatar.hand("right")
    model = surface("default", "right", 1)
    skin = own_skin(hand)
    palm = skin & (rest_normals(model, hand)[:, 1] < -0.8)
    back = skin & (rest_normals(model, hand)[:, 1] > 0.8)
    assert hand.evidence[palm].mean() > 0.8
    assert hand.evidence[back].mean() < 0.02
    assert avatar.hand("left").evidence.max() == 0
    assert not avatar.hand("left").observed


def rest_normals(model, hand) -> np.ndarray:
    return triangle_frames(rest_hand(model, hand.shape)[0], model.faces)[0][
        hand.binding.triangle, :, 2
    ]


def test_the_unseen_back_is_this_person_s_skin_not_shadow_nor_background(one_hand) -> None:
    _, _, avatar = one_hand
    hand = avatar.hand("right")
    back = own_skin(hand) & (rest_normals(surface("default", "right", 1), hand)[:, 1] > 0.5)
    seen = hand.evidence > 0.9
    invented = srgb_to_linear(hand.albedo[back]).mean(axis=0)
    observed = srgb_to_linear(hand.albedo[seen]).mean(axis=0)
    ratio = invented / observed
    # the template's own backs are .56 times palms of this tone
    assert (ratio > 0.53).all()
    assert (ratio < 1.4).all()
    green = hand.color[:, 1] > hand.color[:, 0]
    assert green.mean() < 0.002


def test_hidden_splats_stay_as_laid_out(one_hand) -> None:
    _, _, avatar = one_hand
    hand = avatar.hand("right")
    hidden = own_skin(hand) & (hand.evidence == 0)
    assert hidden.mean() > 0.2
    assert (
        -DEEPEST_M < hand.binding.offset[hidden, 2].min() < hand.binding.offset[hidden, 2].max() < 0
    )
    assert hand.opacity[hidden].min() > 0.95


def test_two_hands_share_what_only_one_shows() -> None:
    right, left = hand_pose("right", -0.05), hand_pose("left", 0.05)
    photo, mask, labels = drawn_photo((right, left))
    config = TextureConfig(1, 256, OptimizeConfig(steps=0))
    avatar = fit_texture(photo, mask, labels, PoseEstimate((right, left), CAMERA), config)
    assert avatar.sides == ("right", "left")
    assert all(h.observed and h.evidence.max() > 0.9 for h in avatar.hands)


def test_the_same_seedless_input_gives_the_same_avatar() -> None:
    hands = (hand_pose(),)
    photo, mask, labels = drawn_photo(hands)
    config = TextureConfig(1, 128, OptimizeConfig(steps=3))
    a, b = (fit_texture(photo, mask, labels, PoseEstimate(hands, CAMERA), config) for _ in range(2))
    np.testing.assert_array_equal(a.hand("right").color, b.hand("right").color)


def test_stopping_from_the_progress_callback() -> None:
    hands = (hand_pose(),)
    photo, mask, labels = drawn_photo(hands)

    def stop(fraction: float, message: str) -> None:
        if fraction > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_texture(
            photo, mask, labels, PoseEstimate(hands, CAMERA), TextureConfig(1, 128), progress=stop
        )


@pytest.mark.parametrize("per_face", [1, 4])
def test_laid_splats_close_the_surface(per_face: int) -> None:
    from hand_toolkit.avatar import place
    from hand_toolkit.core.types import Splats
    from hand_toolkit.render import render

    hand = hand_pose()
    posed = pose_surfaces((hand,), 1)[0]
    model = surface("default", "right", 1)
    binding = lay_splats(rest_hand(model, hand.shape)[0], model.faces, per_face)
    _, area = triangle_frames(rest_hand(model, hand.shape)[0], model.faces)
    means, quats, scales = place(binding, posed.vertices, posed.faces, area)
    n = len(means)
    splats = Splats(
        means, quats, scales, np.full(n, 0.98, np.float32), np.zeros((n, 3), np.float32)
    )
    alpha = render(splats, CAMERA).alpha
    from scipy.ndimage import binary_erosion

    inside = binary_erosion(
        rasterize_mesh(posed.vertices, posed.faces, CAMERA).silhouette, iterations=3
    )
    assert np.quantile(alpha[inside], 0.005) > (0.95 if per_face == 1 else 0.97)
    assert alpha[inside].min() > 0.85


def test_observation_sees_the_front_and_knows_creases() -> None:
    hand = hand_pose()
    posed = pose_surfaces((hand,), 1)
    model = surface("default", "right", 1)
    binding = lay_splats(rest_hand(model, hand.shape)[0], model.faces, 1)
    photo, mask, _ = drawn_photo((hand,))
    seen, rim = observe(posed, [binding], photo.pixels / 255.0, [mask], CAMERA)
    o = seen[0]
    facing = -(o.normals * o.points).sum(1) / np.linalg.norm(o.points, axis=1)
    assert o.evidence[facing < 0].max() == 0
    assert 0.75 < o.openness.mean() < 1
    assert o.openness.min() < 0.6
    assert rim.shape == mask.shape


def test_the_light_is_recovered_up_to_its_level() -> None:
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(6000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    normals[:, 2] = -np.abs(normals[:, 2])
    openness = rng.uniform(0.6, 1, len(normals))
    template = rng.normal(0, 0.1, (len(normals), 3))
    linear = SKIN * np.exp(template) * shade(LIGHT, normals) * visibility(openness)[:, None]
    light = estimate_light(linear, template, normals, openness, np.ones(len(normals)))
    shading = shade(light, normals)[:, 1]
    truth = shade(LIGHT, normals)[:, 1]
    assert np.corrcoef(shading, truth)[0, 1] > 0.97
    ratio = shading / truth
    assert ratio.std() / ratio.mean() < 0.12


def test_nothing_seen_means_plain_light_and_the_template() -> None:
    n = 100
    light = estimate_light(
        np.zeros((n, 3)), np.zeros((n, 3)), np.tile([0, 0, -1.0], (n, 1)), np.ones(n), np.zeros(n)
    )
    np.testing.assert_allclose(shade(light, np.array([[0, 1.0, 0]])), 1)
    template = np.random.default_rng(0).normal(size=(n, 3))
    out = complete_log_albedo(
        template, np.zeros(n), template, np.zeros((n, 3), int), np.ones((n, 3)) / 3,
        np.array([[0, 1, 2]]),
    )  # fmt: skip
    np.testing.assert_array_equal(out, template)


def test_the_template_knows_palms_and_nails() -> None:
    model = load_hand_model("default", "right", 1)
    rest = rest_hand(model)[0]
    normal = triangle_frames(rest, model.faces)[0][:, :, 2]
    centre = rest[model.faces].mean(axis=1)
    uv = model.uvs[model.uv_faces].mean(axis=1)
    palm = (normal[:, 1] < -0.8) & (np.abs(centre[:, 0] + 0.07) < 0.03)
    back = (normal[:, 1] > 0.8) & (np.abs(centre[:, 0] + 0.07) < 0.03)
    dark = template_log_albedo(uv, 0.1).mean(axis=1)
    light = template_log_albedo(uv, 0.42).mean(axis=1)
    contrast = [t[palm].mean() - t[back].mean() for t in (dark, light)]
    assert contrast[0] > contrast[1]
    assert contrast[0] > 0.4, "dark skin has a paler palm"


def test_crop_keeps_the_projection() -> None:
    from hand_toolkit.skin.crop import crop_to_hands

    hand = hand_pose()
    photo, mask, labels = drawn_photo((hand,))
    big = dataclasses.replace(
        CAMERA, width=CAMERA.width * 4, height=CAMERA.height * 4, fx=CAMERA.fx * 4,
        fy=CAMERA.fy * 4, cx=CAMERA.cx * 4, cy=CAMERA.cy * 4,
    )  # fmt: skip
    large = [np.repeat(np.repeat(a, 4, 0), 4, 1) for a in (photo.pixels, mask, labels)]
    hand4 = dataclasses.replace(hand, keypoints_2d=hand.keypoints_2d * 4)
    crop = crop_to_hands(*large, PoseEstimate((hand4,), big), 200)
    assert max(crop.pixels.shape[:2]) == 200
    posed = pose_surfaces((hand,), 1)[0]
    silhouette = rasterize_mesh(posed.vertices, posed.faces, crop.camera).silhouette
    union = (silhouette | (crop.mask > 0.5)).sum()
    assert (silhouette & (crop.mask > 0.5)).sum() / union > 0.96


def test_background_beside_a_finger_is_told_from_skin_and_from_paint() -> None:
    from hand_toolkit.skin.observe import background_distance, shows_background

    skin, wall, paint = np.array([0.8, 0.6, 0.5]), np.array([0.2, 0.5, 0.8]), [0.9, 0.05, 0.4]
    pixels = np.tile(wall, (80, 80, 1))
    mask = np.zeros((80, 80))
    mask[20:60, 20:60] = 1
    pixels[22:60, 20:58] = skin  # the mask takes in two columns and rows of wall
    pixels[30:36, 30:36] = paint
    expected = np.tile(skin, (80, 80, 1))
    shown = shows_background(background_distance(pixels, mask), pixels, expected)
    assert shown[20:22, 20:60].min() > 0.9 and shown[20:60, 58:60].min() > 0.9
    assert shown[22:60, 20:58].max() < 0.1
    outside = shows_background(background_distance(pixels, mask * 0), pixels, expected)
    assert not outside.any()


def test_the_inner_rim_is_where_one_finger_passes_another() -> None:
    from hand_toolkit.skin.observe import inner_rim, outline_rim

    depth = np.full((100, 100), np.inf)
    depth[20:80, 20:80] = 0.5
    assert not inner_rim(depth).any()
    depth[20:80, 45:55] = 0.46
    inner = inner_rim(depth)
    assert inner[50, 44:46].min() == 1 and inner[50, 25] == 0 and inner[50, 21] == 0
    assert outline_rim(depth)[50, 21] == 1


def test_known_skin_completes_what_the_photo_hides() -> None:
    from hand_toolkit.skin.template import detail_log_albedo
    from hand_toolkit.systems.texture.one_photo import KnownSkin

    hands = (hand_pose(),)
    photo, mask, labels = drawn_photo(hands)
    faces = len(surface("default", "right", 1).faces)
    config = TextureConfig(1, 128, OptimizeConfig(steps=2))
    results = []
    for tone in (0.2, 0.4):
        known = KnownSkin((np.full((faces, 3), tone),), LIGHT)
        estimate = PoseEstimate(hands, CAMERA)
        results.append(fit_texture(photo, mask, labels, estimate, config, known=known))
    for avatar in results:
        hand = avatar.hand("right")
        hidden = hand.evidence < 0.01
        assert 0.2 < hidden.mean() < 0.9
        # hidden skin has the tone of the skin beside it, whatever tone was supposed
        assert np.abs(hand.albedo[hidden].mean(0) - hand.albedo[~hidden].mean(0)).max() < 0.12
        np.testing.assert_allclose(avatar.light, LIGHT, atol=0.05)  # fitted to the skin again
    # nails and creases are drawn: the detail is not flat, and weak on average
    uv = np.random.default_rng(0).random((4000, 2))
    detail = detail_log_albedo(uv)
    assert detail.std() > 0.02 and np.abs(detail).max() < 0.8


def test_no_splat_is_a_spike() -> None:
    model = surface("default", "right", 1)
    binding = lay_splats(rest_hand(model, hand_pose().shape)[0], model.faces, 4)
    assert (binding.scale[:, 0] / binding.scale[:, 1]).max() < 9.1

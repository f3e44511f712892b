"""The way of the data: what it stops at, what it says, and how good what comes out must be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hand_toolkit import Avatar, HandObservation, Photo, PoseEstimate
from hand_toolkit.core.errors import InputError, NoHandError
from hand_toolkit.core.metrics import psnr_mask, silhouette_iou
from hand_toolkit.core.registry import registry
from hand_toolkit.media import View, ViewSet
from hand_toolkit.media.demo import PICTURE
from hand_toolkit.pictures.drawing import picture_of
from hand_toolkit.pipeline import fit_photo, fit_photos
from hand_toolkit.see.segment import DEFAULT_SEGMENTER
from hand_toolkit.testing.views import drawn_views

QUICK = {"refinement": 4, "splats_per_face": "1", "working_size": 160}


class Knows:
    """A pose source that is told the keypoints of each photo by its name."""

    name = "knows"
    description = "for tests"

    def __init__(self, views: ViewSet) -> None:
        self.views = {view.name: view for view in views}

    def detect(self, photo: Photo, max_hands: int, progress: Any = None) -> list[HandObservation]:
        view = self.views.get(photo.name)
        return [
            HandObservation(h.side, 0.9, h.keypoints_2d, h.joints_cam_m - h.joints_cam_m[0])
            for h in (view.hands if view else ())
        ]


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], list[int]]:
    """Counts the calls of a function of a module."""

    def counted(module: Any, name: str) -> list[int]:
        calls: list[int] = []
        inner = getattr(module, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            calls.append(1)
            return inner(*args, **kwargs)

        monkeypatch.setattr(module, name, call)
        return calls

    return counted


def test_a_photo_is_cropped_and_segmented_once(
    count: Callable[[Any, str], list[int]],
) -> None:
    import hand_toolkit.pose.estimate
    import hand_toolkit.pose.views
    import hand_toolkit.skin.crop
    import hand_toolkit.systems.igsn.fit
    import hand_toolkit.systems.texture.many_views

    views = drawn_views(size=192)
    segmented = [
        count(hand_toolkit.pose.estimate, "segment_hands"),
        count(hand_toolkit.pose.views, "segment_hands"),
    ]
    cropped = count(hand_toolkit.skin.crop, "crop_to_hands")
    for method in ("texture", "igsn"):
        settings = dict(QUICK, steps=2) if method == "igsn" else QUICK
        fit_photo(views[0].read(), pose_source=Knows(views), method=method, settings=settings)
        assert sum(map(len, segmented)) == 1
        assert len(cropped) == 1
        for calls in (*segmented, cropped):
            calls.clear()


def test_the_chosen_segmenter_is_the_only_one_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine:
        name = "mine"
        description = "for tests"

        def segment(self, photo: Photo, estimate: PoseEstimate, silhouettes: Any) -> np.ndarray:
            return np.any(silhouettes, axis=0).astype(np.float32)

    monkeypatch.setitem(registry().tables["segmenters"], "mine", Mine())
    monkeypatch.delitem(registry().tables["segmenters"], DEFAULT_SEGMENTER)
    views = drawn_views(size=160)
    result = fit_photo(
        views[0].read(), pose_source=Knows(views), segmenter="mine", method="texture",
        settings=QUICK,
    )  # fmt: skip
    assert silhouette_iou(result.mask > 0.5, views[0].outlined()[0] > 0.5) > 0.8


def test_a_known_pose_is_taken_as_it_is() -> None:
    view = drawn_views(size=160)[0]
    mask = view.outlined()[0]
    result = fit_photo(view.read(), pose=view.estimate, mask=mask, method="texture", settings=QUICK)
    np.testing.assert_array_equal(result.mask, mask)
    hand = result.avatar.hand("right")
    np.testing.assert_array_equal(hand.source_theta, view.hands[0].theta)
    np.testing.assert_array_equal(hand.source_translation, view.hands[0].translation)
    assert result.avatar.provenance["pose_source"] == "given"
    assert result.avatar.preview.startswith(b"\x89PNG")


def test_progress_goes_forward_to_the_end() -> None:
    views = drawn_views(size=160)
    told: list[float] = []
    fit_photo(
        views[0].read(), pose_source=Knows(views), method="texture", settings=QUICK,
        progress=lambda fraction, message: told.append(fraction),
    )  # fmt: skip
    assert told == sorted(told)
    assert told[0] == 0
    assert told[-1] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "magic"}, "no method 'magic' is installed; installed are: igsn, texture"),
        ({"method": "texture", "settings": {"mode": "full"}}, "has no option 'mode'"),
        ({"settings": {"steps": "many"}}, "option steps is 'many'; give a whole number"),
        ({"prior_mode": "worst"}, "option mode is 'worst'; accepted are: full"),
        ({"quality": "best"}, "accepted are: draft, standard, high"),
        ({"device": "tpu"}, "accepted are auto, cpu and cuda"),
        ({"colour": "blue"}, "fit has no option colour"),
    ],
)
def test_bad_options_are_refused_before_the_work(options: dict[str, Any], message: str) -> None:
    def work(fraction: float, text: str) -> None:
        assert fraction < 0.02, "worked before it looked"

    with pytest.raises(InputError, match=message):
        fit_photo(PICTURE, progress=work, **options)


def test_old_names_of_the_prior_still_work() -> None:
    views = drawn_views(size=160)
    result = fit_photo(
        views[0].read(), pose_source=Knows(views), method="prior", prior_mode="no-bias",
        settings=dict(QUICK, steps=2),
    )  # fmt: skip
    assert "no-bias" in result.avatar.provenance["method"]


# Several photos ------------------------------------------------------------------------------


def evidence_on(avatar: Avatar) -> float:
    """Part of the right hand's splats that were seen."""
    return float((avatar.hand("right").evidence > 0.3).mean())


@pytest.mark.parametrize("method", ["texture", "igsn"])
def test_more_photos_leave_less_to_invent(method: str) -> None:
    turns, exposures = (0.0, 180.0, 90.0), (1.0, 0.6, 1.3)
    views = drawn_views(turns, size=192, exposures=exposures)
    settings = dict(QUICK, steps=6) if method == "igsn" else QUICK
    how: dict[str, Any] = {
        "pose_source": Knows(views), "method": method, "settings": settings,
        "segmenter": "grabcut",  # drawn hands on drawn walls: colour tells them apart
    }  # fmt: skip
    photos = [view.read() for view in views]
    empty = Photo(np.full((192, 192, 3), 90, np.uint8), name="wall.png")
    one = fit_photos(photos[:1], **how)
    result = fit_photos([*photos, empty], **how)
    assert evidence_on(result.avatar) > 1.5 * evidence_on(one.avatar)
    assert [v.name for v in result.views] == ["drawn_0", "drawn_1", "drawn_2"]
    assert "no hand was found in 'wall.png'" in result.views.left_out[0]
    assert "drawn_" in result.avatar.provenance["further_photos"]
    # the back is as dark as the palm, though its photo was taken at another exposure
    hand = result.avatar.hand("right")
    both = [np.exp(np.log(hand.albedo[part] + 1e-3).mean(axis=0)) for part in _palm_and_back(hand)]
    assert np.abs(both[0] - both[1]).max() < 0.12
    # and the back is what its own photo shows, better than what one photo lets one suppose
    back = views[1]
    errors = [_against(fitted.avatar, back) for fitted in (one, result)]
    assert errors[1] > errors[0]


def _palm_and_back(hand: Any) -> tuple[np.ndarray, np.ndarray]:
    from hand_toolkit.avatar import surface
    from hand_toolkit.geometry.surfaces import triangle_frames
    from hand_toolkit.hand_model import rest_hand

    mesh = surface("default", "right", 1)
    normals = triangle_frames(rest_hand(mesh, hand.shape)[0], mesh.faces)[0][:, :, 2]
    up = normals[hand.binding.triangle, 1]
    return up < -0.7, up > 0.7


def _against(avatar: Avatar, view: View) -> float:
    """PSNR of the avatar's own skin, lit as it was, in another view, up to exposure.

    Without three pixels at the outline, which say where the outline lies.
    """
    from scipy.ndimage import binary_erosion

    hand = view.hands[0]
    flat = picture_of(
        avatar, {"right": hand.theta}, {"right": hand.translation}, view.camera, light="flat"
    )
    mask = binary_erosion(view.outlined()[0] > 0.5, iterations=3)
    shown, target = flat / 255.0, view.read().pixels / 255.0
    gain = target[mask].mean(axis=0) / np.maximum(shown[mask].mean(axis=0), 1e-3)
    return psnr_mask(np.clip(shown * gain, 0, 1), target, mask)


def test_a_folder_with_nothing_in_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no pictures"):
        fit_photos(tmp_path)
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(tmp_path / "b.png")
    with pytest.raises(NoHandError, match="no hand was found in"):
        fit_photos(tmp_path, pose_source=Knows(drawn_views()))

"""The way of the data: what it stops at, what it says, and how good what comes out must be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hand_toolkit import HandObservation, Photo, PoseEstimate
from hand_toolkit.core.errors import InputError, NoHandError
from hand_toolkit.core.metrics import silhouette_iou
from hand_toolkit.core.registry import registry
from hand_toolkit.media import ViewSet
from hand_toolkit.media.demo import PICTURE
from hand_toolkit.pipeline import fit_photo, fit_photos
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
        count(hand_toolkit.pose.estimate, "segment_photo"),
        count(hand_toolkit.pose.views, "segment_photo"),
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
    monkeypatch.delitem(registry().tables["segmenters"], "grabcut")
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


def test_a_folder_with_nothing_in_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no pictures"):
        fit_photos(tmp_path)
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(tmp_path / "b.png")
    with pytest.raises(NoHandError, match="no hand was found in"):
        fit_photos(tmp_path, pose_source=Knows(drawn_views()))

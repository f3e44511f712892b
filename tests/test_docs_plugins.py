"""The plugins that docs/plugins.md shows run, register, and keep their contracts."""

from __future__ import annotations

import re
import types
from pathlib import Path

import pytest

from hand_toolkit.core.registry import PluginRecord, Registry
from hand_toolkit.testing.exporter import check_exporter
from hand_toolkit.testing.hand_model import check_hand_model

PAGE = Path(__file__).resolve().parents[1] / "docs" / "plugins.md"


@pytest.fixture(scope="module")
def shown() -> Registry:
    """What the page's self-contained code blocks register, through the real registry."""
    code = [
        block
        for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
        if "ColourGlove" not in block  # those are files of the tutorial package, tested there
    ]
    assert len(code) == 5
    module = types.ModuleType("shown")
    exec("\n".join(code), module.__dict__)
    registry = Registry()
    record = PluginRecord("shown", "docs")
    registry.add_plugin(record, module)
    assert record.error is None
    return registry


def test_the_exporter_keeps_the_contract(shown: Registry, tmp_path: Path) -> None:
    check_exporter(shown.get("exporters", "wrist-csv"), tmp_path)


def test_the_hand_model_keeps_the_contract(shown: Registry) -> None:
    check_hand_model(shown.get("hand_models", "long"))


def test_the_method_keeps_the_contract(shown: Registry) -> None:
    from hand_toolkit.testing.method import check_method

    check_method(shown.get("methods", "one-colour"))


def test_the_segmenter_keeps_the_contract(shown: Registry) -> None:
    from hand_toolkit import Photo
    from hand_toolkit.testing.pose_source import check_segmenter

    photo, source = drawn_hand()
    assert isinstance(photo, Photo)
    check_segmenter(shown.get("segmenters", "mesh"), photo, source=source)


def drawn_hand() -> tuple[object, object]:
    """A picture of the default hand's outline, and a source that knows its keypoints."""
    import numpy as np

    from hand_toolkit import Camera, HandObservation, Photo, load_hand_model
    from hand_toolkit.avatar import display_theta
    from hand_toolkit.geometry.silhouette import hand_silhouettes
    from hand_toolkit.hand_model import pose_hand_numpy

    model = load_hand_model("default", "right")
    shape, place = np.zeros(len(model.shape_names)), np.array([0.0, 0.08, 0.5])
    vertices, _, keypoints = pose_hand_numpy(model, display_theta("right"), shape, place)[:3]
    camera = Camera(400, 400, 160, 120, 320, 240)
    silhouettes, _ = hand_silhouettes([(vertices, model.faces)], camera)
    pixels = np.full((240, 320, 3), 60, np.uint8)
    pixels[silhouettes[0]] = 220, 170, 150
    observation = HandObservation("right", 1.0, camera.project(keypoints))

    class Known:
        name = "known"
        description = "knows"

        def detect(self, photo: Photo, max_hands: int, progress: object = None) -> list:
            return [observation]

    return Photo(pixels, focal_px=400.0), Known()


def test_the_page_shows_the_tutorial_s_own_lines() -> None:
    page = PAGE.read_text(encoding="utf-8")
    package = PAGE.parent / "tutorial_plugin"
    entry = 'colour_glove = "hand_toolkit_colour_glove"'
    assert entry in page
    assert entry in (package / "pyproject.toml").read_text(encoding="utf-8")
    tests = (package / "tests" / "test_colour_glove.py").read_text(encoding="utf-8")
    line = 'check_pose_source(ColourGlove(), draw({"right": RIGHT}), EMPTY)'
    assert line in page
    assert line in tests
    source = package / "src" / "hand_toolkit_colour_glove" / "one_colour.py"
    code = source.read_text(encoding="utf-8")
    assert code[code.index("import numpy") :] in page

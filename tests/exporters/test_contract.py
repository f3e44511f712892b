"""The built-in exporters keep the contract that plugin authors check theirs against."""

from __future__ import annotations

from pathlib import Path

import pytest

from hand_toolkit.core.registry import registry
from hand_toolkit.testing.exporter import check_exporter

SAME_BYTES = {"usd": False, "spz": False, "fbx": False}  # their libraries write time or random ids


@pytest.mark.parametrize("name", ["bvh", "fbx", "glb", "npz", "obj", "ply", "splat", "spz", "usd"])
def test_contract(name: str, tmp_path: Path) -> None:
    exporter = registry().get("exporters", name)
    options = {o.name: 64 for o in exporter.options if o.name == "texture_size"}
    check_exporter(exporter, tmp_path, options=options, same_bytes=SAME_BYTES.get(name, True))

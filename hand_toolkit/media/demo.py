"""The picture that comes with the toolkit: a hand rendered by ``hand-toolkit synth``."""

from __future__ import annotations

from pathlib import Path

PICTURE = Path(__file__).with_name("demo.jpg")

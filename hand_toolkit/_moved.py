"""Old names of modules that have moved: importing one warns and gives the module of today."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "capture": "pose.views",
    "conventions": "core.conventions",
    "demo": "media.demo",
    "errors": "core.errors",
    "files": "core.files",
    "fit": "systems.texture",
    "fit.layout": "avatar.layout",
    "fit.light": "skin.light",
    "fit.observe": "skin.observe",
    "fit.one_photo": "systems.texture.one_photo",
    "fit.optimize": "systems.texture.optimize",
    "fit.texture": "skin.template",
    "hookspecs": "core.hookspecs",
    "image": "media",
    "image.exif": "media.exif",
    "image.load": "media.load",
    "image.save": "media.save",
    "image.segment": "see.segment",
    "image.silhouette": "geometry.silhouette",
    "metrics": "core.metrics",
    "pose.capture": "pose.views",
    "pose.source": "see.source",
    "prior": "systems.igsn",
    "prior.bake": "systems.igsn.bake",
    "prior.checkpoint": "systems.igsn.checkpoint",
    "prior.config": "systems.igsn.config",
    "prior.dataset": "systems.igsn.dataset",
    "prior.evaluate": "systems.igsn.evaluate",
    "prior.export": "systems.igsn.export",
    "prior.fit": "systems.igsn.fit",
    "prior.flip": "core.flip",
    "prior.gaussians": "systems.igsn.gaussians",
    "prior.interaction": "systems.igsn.interaction",
    "prior.layers": "systems.igsn.layers",
    "prior.losses": "learn.losses",
    "prior.model": "systems.igsn.model",
    "prior.network": "systems.igsn.network",
    "prior.neural": "systems.igsn.neural",
    "prior.photo_mask": "systems.igsn.photo_mask",
    "prior.points": "systems.igsn.points",
    "prior.rendering": "systems.igsn.rendering",
    "prior.shading": "systems.igsn.shading",
    "prior.topology": "systems.igsn.topology",
    "prior.train": "systems.igsn.train",
    "prior.warmup": "systems.igsn.warmup",
    "prior.weights": "systems.igsn.weights",
    "registry": "core.registry",
    "report": "pictures.report",
    "show": "pictures.demo_sheet",
    "synth.collision": "hand_model.collision",
    "types": "core.types",
    "video": "media.video",
    "views": "core.cameras",
}
"""Old name -> name of today, below ``hand_toolkit``."""


class _Moved(MetaPathFinder, Loader):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, rest = name.partition(".")
        return ModuleSpec(name, self) if package == "hand_toolkit" and rest in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        today = "hand_toolkit." + MOVED[spec.name.partition(".")[2]]
        warnings.warn(
            f"{spec.name} has moved to {today}; import it from there",
            DeprecationWarning,
            stacklevel=2,
        )
        module = import_module(today)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the import system has put the old name's in its place


def install() -> None:
    """Let old names be imported; called once by the package."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Moved())  # else the old package finds the files itself

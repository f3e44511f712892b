"""What an exporter is: a name, suffixes, options that list themselves, and one function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ..core.errors import InputError
from ..core.options import Option, parse_settings
from ..core.types import Progress

if TYPE_CHECKING:
    from .scene import ExportScene

WHATS = ("both", "mesh", "splats")


@dataclass(frozen=True)
class ExportRequest:
    """What an exporter is asked to write.

    Attributes:
        scene: the avatar, its poses over time, and what follows from them.
        path: the main file; further files go beside it.
        what: "mesh", "splats" or "both".
        options: every option of the exporter, parsed.
        progress: told how far the writing is.
    """

    scene: ExportScene
    path: Path
    what: str = "both"
    options: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress = lambda fraction, text: None

    @property
    def mesh(self) -> bool:
        """Whether the mesh is wanted."""
        return self.what in ("both", "mesh")

    @property
    def splats(self) -> bool:
        """Whether the splats are wanted."""
        return self.what in ("both", "splats")


@runtime_checkable
class Exporter(Protocol):
    """What ``register_exporters`` registers.

    Attributes:
        name: the word after ``--format``.
        description: one line.
        suffixes: file suffixes, the first is the default.
        options: settings, listed by the command line and Blender by themselves.
        contents: which of "mesh", "splats", "skeleton" the format can hold.
        animated: whether a motion can be written.
    """

    name: str
    description: str
    suffixes: tuple[str, ...]
    options: tuple[Option, ...]
    contents: tuple[str, ...]
    animated: bool

    def write(self, request: ExportRequest) -> list[Path]:
        """Write the files and return them, the main file first.

        Raises:
            InputError: the request cannot be met in this format.
            MissingDependencyError: an optional package is not installed.
        """
        ...


def parse_options(exporter: Exporter, given: Mapping[str, Any]) -> dict[str, Any]:
    """Every option of ``exporter``, from ``given`` or its default.

    Raises:
        InputError: an unknown name or a value that is not accepted.
    """
    return parse_settings(f"format {exporter.name}", exporter.options, given)


def checked_path(exporter: Exporter, path: str | Path) -> Path:
    """``path`` with the format's suffix, added where it has none.

    Raises:
        InputError: the suffix belongs to another format.
    """
    path = Path(path)
    if not path.suffix:
        return path.with_name(path.name + exporter.suffixes[0])
    lowered = path.name.lower()
    if not any(lowered.endswith(suffix) for suffix in exporter.suffixes):
        raise InputError(
            f"'{path.name}' does not end in {' or '.join(exporter.suffixes)}, which the format "
            f"{exporter.name} writes; rename it or choose another --format"
        )
    return path

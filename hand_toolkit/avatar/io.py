"""The ``.hand`` file: safetensors with one JSON header entry.

Layout, version 3 (little endian, the safetensors container: 8-byte header length, JSON header,
raw arrays; no code, no compression, so a file can neither run anything nor grow in memory):

- ``__metadata__["hand_toolkit"]``: JSON object with ``version``, ``hand_model``, ``level``,
  ``hands`` (side, observed), ``camera``, ``provenance``.
- ``light`` (K, 3) float64; ``preview`` (bytes of a PNG) uint8.
- per hand, prefix ``right.`` or ``left.``: ``shape`` (S,), ``triangle`` (N,) int32,
  ``barycentric`` (N, 3), ``offset`` (N, 3), ``quat`` (N, 4) wxyz, ``scale`` (N, 3),
  ``opacity`` (N,), ``color`` (N, 3) or (N, K, 3), ``albedo`` (N, 3), ``evidence`` (N,),
  ``source_theta`` (16, 3), ``source_translation`` (3,); where it was kept ``hidden`` (N, 3) uint8.
- ``extras.*``: further arrays.

Versions 1 and 2 have the same layout. The ``hand_model`` "default" of version 1 is the larger
first default hand, which is "default_1" now; that of version 2 has no pose correctives and is
"default_2".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.cameras import camera_from_dict, camera_to_dict
from ..core.errors import PARSER_FAULTS, FileFormatError, InputError, first_line
from ..core.files import atomic_path
from .binding import SurfaceBinding

if TYPE_CHECKING:
    from .avatar import Avatar

FORMAT_VERSION = 3
FIRST_VERSION = 1
MAX_FILE_BYTES = 2 << 30
MAX_SPLATS = 4_000_000
_BINDING = ("triangle", "barycentric", "offset", "quat", "scale")
_SURFACE = (
    "shape",
    "opacity",
    "color",
    "albedo",
    "evidence",
    "source_theta",
    "source_translation",
)


def save_avatar(avatar: Avatar, path: Path) -> Path:
    """Write ``avatar`` to ``path``; an existing file is replaced only when all is written.

    Raises:
        InputError: the folder is missing, full or read-only.
    """
    from safetensors.numpy import save

    arrays: dict[str, np.ndarray] = {"light": avatar.light}
    if avatar.preview:
        arrays["preview"] = np.frombuffer(avatar.preview, dtype=np.uint8)
    for hand in avatar.hands:
        for name in _BINDING:
            arrays[f"{hand.side}.{name}"] = getattr(hand.binding, name)
        for name in _SURFACE:
            arrays[f"{hand.side}.{name}"] = getattr(hand, name)
        if hand.hidden is not None:
            arrays[f"{hand.side}.hidden"] = _bytes(hand.hidden)
    for name, value in avatar.extras.items():
        arrays[f"extras.{name}"] = np.asarray(value)
    header = {
        "version": FORMAT_VERSION,
        "hand_model": avatar.hand_model,
        "level": int(avatar.level),
        "hands": [{"side": h.side, "observed": bool(h.observed)} for h in avatar.hands],
        "camera": camera_to_dict(avatar.camera),
        "provenance": dict(avatar.provenance),
    }
    blob = save(
        {k: np.ascontiguousarray(v) for k, v in arrays.items()},
        metadata={"hand_toolkit": json.dumps(header, sort_keys=True)},
    )
    with atomic_path(path) as temporary:
        temporary.write_bytes(blob)
    return path


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)


def read_avatar(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What a ``.hand`` file holds, as the arguments of ``Avatar`` and of each ``AvatarHand``.

    Raises:
        InputError: the file does not exist.
        FileFormatError: the file is damaged, hostile, or of a newer version.
    """
    if not path.is_file():
        raise InputError(f"the avatar {path} does not exist; make one with 'hand-toolkit fit'")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise FileFormatError(f"{path.name} has {size} bytes; an avatar has at most 2 GiB")
    arrays, metadata = _read_container(path)
    header = _read_header(path, metadata)
    with naming_damage(path):
        return _fields(arrays, header), [_hand(arrays, entry) for entry in header["hands"]]


@contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """What is wrong with values from a file becomes a FileFormatError that names the file."""
    try:
        yield
    except PARSER_FAULTS as error:
        detail = f"{error} is missing" if isinstance(error, KeyError) else first_line(error)
        raise FileFormatError(f"{path.name} is a damaged avatar: {detail}") from error


def _read_container(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="np") as handle:
            metadata = handle.metadata() or {}
            arrays = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except (SafetensorError, *PARSER_FAULTS) as error:
        raise FileFormatError(
            f"{path.name} is not a .hand file, or a damaged one; make one with 'hand-toolkit fit "
            "PHOTO'"
        ) from error
    return arrays, metadata


def _read_header(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    if "hand_toolkit" not in metadata:
        raise FileFormatError(
            f"{path.name} is a safetensors file but no avatar; make one with 'hand-toolkit fit'"
        )
    try:
        header = json.loads(metadata["hand_toolkit"])
        version = int(header["version"])
    except PARSER_FAULTS as error:
        raise FileFormatError(f"{path.name} has a damaged header: {first_line(error)}") from error
    if not FIRST_VERSION <= version <= FORMAT_VERSION:
        raise FileFormatError(
            f"{path.name} has format version {version}; this toolkit reads versions "
            f"{FIRST_VERSION} to {FORMAT_VERSION}; update with: pip install -U hand-toolkit"
        )
    return header


def hand_model_of(name: str, version: int) -> str:
    """The hand model that a file of that format version means by ``name``."""
    return f"default_{version}" if version < FORMAT_VERSION and name == "default" else name


def _hand(arrays: dict[str, np.ndarray], entry: dict[str, Any]) -> dict[str, Any]:
    prefix = f"{entry['side']}."
    binding = SurfaceBinding(*(arrays[prefix + name] for name in _BINDING))
    if len(binding) > MAX_SPLATS:
        raise InputError(f"a hand has {len(binding)} splats; accepted is up to {MAX_SPLATS}")
    hidden = arrays.get(prefix + "hidden")
    return {
        "side": str(entry["side"]),
        "binding": binding,
        "observed": bool(entry["observed"]),
        "hidden": None if hidden is None else hidden.astype(np.float32) / 255,
        **{name: arrays[prefix + name] for name in _SURFACE},
    }


def _fields(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> dict[str, Any]:
    return {
        "hand_model": hand_model_of(str(header["hand_model"]), int(header["version"])),
        "level": int(header["level"]),
        "light": arrays["light"],
        "camera": camera_from_dict(dict(header["camera"])),
        "provenance": {str(k): str(v) for k, v in dict(header["provenance"]).items()},
        "preview": arrays["preview"].astype(np.uint8).tobytes() if "preview" in arrays else b"",
        "extras": {
            name.removeprefix("extras."): value
            for name, value in arrays.items()
            if name.startswith("extras.")
        },
    }

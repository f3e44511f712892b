"""Reading glTF files of strangers: every offset, count and type is checked before use."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from ..core.errors import PARSER_FAULTS, FileFormatError, InputError
from ..geometry.rotations import matrix_from_quat

MAX_BYTES = 2 << 30
MAX_JSON = 64 << 20
MAX_NODES = 100_000
_DTYPES = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_NORMALIZED = {5120: 127.0, 5121: 255.0, 5122: 32767.0, 5123: 65535.0}


class GltfFile:
    """A glTF document and its buffers.

    Attributes:
        name: file name for messages.
        json: the document.
    """

    def __init__(self, path: Path) -> None:
        """Read ``path``, a ``.glb`` or ``.gltf`` file.

        Raises:
            InputError: the file does not exist.
            FileFormatError: it is damaged or hostile.
        """
        self.name = path.name
        self._folder = path.parent
        if not path.is_file():
            raise InputError(f"the file {path} does not exist; check the path")
        if path.stat().st_size > MAX_BYTES:
            raise FileFormatError(f"{self.name} has more than 2 GiB, the most that is read")
        data = path.read_bytes()
        text, self._binary = self._chunks(data) if data[:4] == b"glTF" else (data, None)
        if len(text) > MAX_JSON:
            raise FileFormatError(f"{self.name} has {len(text)} bytes of JSON; accepted is 64 MiB")
        try:
            self.json = json.loads(text.decode("utf-8"))
        except PARSER_FAULTS as error:
            raise self._bad(f"its JSON cannot be read ({str(error)[:100]})") from error
        if not isinstance(self.json, dict):
            raise self._bad("its JSON is not an object")
        version = self.entry(self.json, "asset", dict, {}).get("version")
        if not (isinstance(version, str) and version.startswith("2.")):
            raise self._bad(f"its glTF version is {str(version)[:20]!r}; accepted is 2.x")
        self._buffers: dict[int, bytes] = {}

    def _bad(self, detail: str) -> FileFormatError:
        return FileFormatError(f"{self.name} is not a readable glTF file: {detail}")

    def _chunks(self, data: bytes) -> tuple[bytes, bytes | None]:
        if len(data) < 20:
            raise self._bad("it ends within its header")
        version, length = struct.unpack_from("<II", data, 4)
        if version != 2:
            raise self._bad(f"its container version is {version}; accepted is 2")
        if length > len(data):
            raise self._bad(f"it says {length} bytes but has {len(data)}; copy it again")
        text, binary, at = None, None, 12
        while at + 8 <= length:
            size, kind = struct.unpack_from("<I4s", data, at)
            at += 8
            if at + size > length:
                raise self._bad("a chunk reaches past its end")
            if kind == b"JSON" and text is None:
                text = data[at : at + size]
            elif kind == b"BIN\0" and binary is None:
                binary = data[at : at + size]
            at += size
        if text is None:
            raise self._bad("it has no JSON chunk")
        return text, binary

    def entry(self, obj: Any, key: str, kind: type, default: Any = None) -> Any:
        """``obj[key]`` of the given type, or the default where it is missing.

        Raises:
            FileFormatError: the value has another type.
        """
        value = obj.get(key, default) if isinstance(obj, dict) else default
        if value is not default and (not isinstance(value, kind) or isinstance(value, bool)):
            raise self._bad(f"'{key}' is {str(value)[:40]!r}, not {kind.__name__}")
        return value

    def item(self, key: str, index: Any) -> dict[str, Any]:
        """``json[key][index]``.

        Raises:
            FileFormatError: there is no such object.
        """
        items = self.entry(self.json, key, list, [])
        valid = isinstance(index, int) and not isinstance(index, bool) and 0 <= index < len(items)
        if not valid or not isinstance(items[index], dict):
            raise self._bad(f"it names {key}[{str(index)[:20]}], which it does not have")
        return items[index]

    def accessor(
        self, index: Any, width: int | None = None, count: int | None = None
    ) -> np.ndarray:
        """Values (N, width) of an accessor, integers of normalized ones as fractions.

        Raises:
            FileFormatError: it points outside its buffer or has another width or count.
        """
        accessor = self.item("accessors", index)
        dtype = _DTYPES.get(accessor.get("componentType"))  # type: ignore[arg-type]
        got = _WIDTHS.get(str(accessor.get("type")))
        if dtype is None or got is None:
            raise self._bad(f"accessors[{index}] has a type that is not known")
        total = self.entry(accessor, "count", int, 0)
        if (width is not None and got != width) or (count is not None and total != count):
            raise self._bad(
                f"accessors[{index}] holds {total} x {got} values where "
                f"{'N' if count is None else count} x {width} are needed"
            )
        if "sparse" in accessor or "bufferView" not in accessor:
            raise self._bad(f"accessors[{index}] is sparse or empty, which splats are not")
        view = self.item("bufferViews", accessor["bufferView"])
        blob = self._view(view)
        offset = self.entry(accessor, "byteOffset", int, 0)
        size = np.dtype(dtype).itemsize * got
        stride = self.entry(view, "byteStride", int, size)
        end = offset + stride * (total - 1) + size if total > 0 else 0
        if total <= 0 or offset < 0 or stride < size or end > len(blob):
            raise self._bad(f"accessors[{index}] reaches outside its buffer")
        raw: np.ndarray = np.ndarray(
            (total, got), dtype, blob, offset, (stride, np.dtype(dtype).itemsize)
        )
        scale = _NORMALIZED.get(accessor["componentType"])
        if accessor.get("normalized") is True and scale is not None:
            return np.maximum(raw.astype(np.float64) / scale, -1.0)
        return raw

    def _view(self, view: dict[str, Any]) -> bytes:
        blob = self._buffer(view.get("buffer"))
        start = self.entry(view, "byteOffset", int, 0)
        length = self.entry(view, "byteLength", int, 0)
        if start < 0 or length < 0 or start + length > len(blob):
            raise self._bad("a buffer view reaches outside its buffer")
        return blob[start : start + length]

    def _buffer(self, index: Any) -> bytes:
        buffer = self.item("buffers", index)
        if index in self._buffers:
            return self._buffers[index]
        uri = self.entry(buffer, "uri", str, None)
        if uri is None:
            if index != 0 or self._binary is None:
                raise self._bad(f"buffers[{index}] has neither data nor a file")
            blob = self._binary
        elif uri.startswith("data:"):
            try:
                blob = base64.b64decode(uri.partition(",")[2], validate=True)
            except (binascii.Error, ValueError) as error:
                raise self._bad(f"buffers[{index}] has a damaged data URI") from error
        else:
            blob = self._side_file(uri)
        self._buffers[index] = blob
        return blob

    def _side_file(self, uri: str) -> bytes:
        """A file beside the document; paths that leave its folder are refused."""
        name = unquote(uri)  # RFC 3986, as glTF says
        if "%" in uri and not self._inside(name):
            raise self._bad(f"it refers to '{uri[:60]}'; accepted are files in its own folder")
        if not (self._folder / name).is_file() and self._inside(uri):
            name = uri  # of writers that do not encode
        if not self._inside(name):
            raise self._bad(f"it refers to '{uri[:60]}'; accepted are files in its own folder")
        path = self._folder / name
        if path.is_symlink() or not path.is_file():
            raise self._bad(
                f"the file '{uri[:60]}' that belongs to it is missing; put it beside it"
            )
        if path.stat().st_size > MAX_BYTES:
            raise self._bad(f"'{uri[:60]}' has more than 2 GiB")
        return path.read_bytes()

    @staticmethod
    def _inside(name: str) -> bool:
        return not any(c in name for c in "/\\:\0") and name not in ("", ".", "..")

    def world_matrices(self) -> dict[int, np.ndarray]:
        """Node number -> (4, 4) local-to-world matrix of every node of the scenes.

        Raises:
            FileFormatError: a loop in the tree, or a transform that is no matrix.
        """
        nodes = self.entry(self.json, "nodes", list, [])
        if len(nodes) > MAX_NODES:
            raise self._bad(f"it has {len(nodes)} nodes; accepted is up to {MAX_NODES}")
        children = {
            child
            for node in nodes
            for child in self.entry(node, "children", list, [])
            if isinstance(child, int)
        }
        result: dict[int, np.ndarray] = {}
        todo = [(k, np.eye(4)) for k in range(len(nodes)) if k not in children]
        while todo:
            index, above = todo.pop()
            if index in result:
                raise self._bad("its nodes form a loop")
            node = self.item("nodes", index)
            result[index] = above @ self._local_matrix(node)
            todo += [(c, result[index]) for c in self.entry(node, "children", list, [])]
        return result

    def _local_matrix(self, node: dict[str, Any]) -> np.ndarray:
        if "matrix" in node:
            return self.numbers(node["matrix"], 16, "matrix").reshape(4, 4).T
        matrix = np.eye(4)
        quat = self.numbers(node.get("rotation", [0, 0, 0, 1]), 4, "rotation")
        if not np.linalg.norm(quat) > 1e-9:
            raise self._bad("a node's rotation is the zero quaternion")
        scale = self.numbers(node.get("scale", [1, 1, 1]), 3, "scale")
        unit = quat[[3, 0, 1, 2]] / np.linalg.norm(quat)
        matrix[:3, :3] = matrix_from_quat(unit) * scale
        matrix[:3, 3] = self.numbers(node.get("translation", [0, 0, 0]), 3, "translation")
        return matrix

    def numbers(self, values: Any, count: int, what: str) -> np.ndarray:
        """``values`` as ``count`` finite float64 numbers.

        Raises:
            FileFormatError: they are not.
        """
        try:
            array = np.asarray(values, dtype=np.float64)
        except PARSER_FAULTS as error:
            raise self._bad(f"'{what}' does not hold numbers") from error
        if array.shape != (count,) or not np.isfinite(array).all():
            raise self._bad(f"'{what}' does not hold {count} finite numbers")
        return array

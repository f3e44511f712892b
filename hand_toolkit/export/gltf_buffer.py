"""A growing glTF document: arrays in, accessor numbers out (glTF 2.0, section 3.6)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import numpy as np

_COMPONENT = {"b": 5120, "B": 5121, "h": 5122, "H": 5123, "I": 5125, "f": 5126}
_TYPE = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963


class GltfDocument:
    """Collects arrays in one binary buffer and the JSON objects that point at them.

    Attributes:
        gltf: the pygltflib document; add nodes, meshes and materials to it freely.
    """

    def __init__(self) -> None:
        import pygltflib

        self.lib = pygltflib
        self.gltf = pygltflib.GLTF2()
        self.gltf.extensionsUsed = []
        self._chunks: list[bytes] = []
        self._length = 0

    def use(self, extension: str) -> None:
        """List ``extension`` in ``extensionsUsed``."""
        if extension not in self.gltf.extensionsUsed:
            self.gltf.extensionsUsed.append(extension)

    def bytes_view(self, data: bytes, target: int | None = None, stride: int | None = None) -> int:
        """A buffer view over ``data``, aligned to four bytes."""
        padding = -self._length % 4
        if padding:
            self._chunks.append(b"\0" * padding)
            self._length += padding
        view = self.lib.BufferView(
            buffer=0, byteOffset=self._length, byteLength=len(data), target=target
        )
        if stride is not None:
            view.byteStride = stride
        self._chunks.append(data)
        self._length += len(data)
        self.gltf.bufferViews.append(view)
        return len(self.gltf.bufferViews) - 1

    def accessor(
        self,
        array: np.ndarray,
        *,
        indices: bool = False,
        vertex: bool = True,
        normalized: bool = False,
        bounds: bool = False,
    ) -> int:
        """An accessor of (N,), (N, 2..4) or (N, 4, 4) values.

        Args:
            array: numpy array of a component type that glTF has.
            indices: for ``primitive.indices``.
            vertex: a vertex attribute; False for animation and matrices.
            normalized: integers stand for [0, 1] or [-1, 1].
            bounds: also write the smallest and largest values.
        """
        array = np.ascontiguousarray(array)
        width = int(np.prod(array.shape[1:])) if array.ndim > 1 else 1
        if array.ndim == 3:  # matrices are stored column by column
            array = np.ascontiguousarray(array.transpose(0, 2, 1))
        flat = array.reshape(len(array), width)
        stride = None
        data = flat
        if vertex and not indices:
            size = flat.dtype.itemsize * width
            if size % 4:  # vertex attributes start at multiples of four (3.6.2.4)
                padded = np.zeros((len(flat), (size + 3) // 4 * 4), np.uint8)
                padded[:, :size] = np.frombuffer(flat.tobytes(), np.uint8).reshape(len(flat), size)
                data, stride = padded, padded.shape[1]
        target = ELEMENT_ARRAY_BUFFER if indices else ARRAY_BUFFER if vertex else None
        view = self.bytes_view(data.tobytes(), target, stride)
        accessor = self.lib.Accessor(
            bufferView=view,
            byteOffset=0,
            componentType=_COMPONENT[array.dtype.char],
            count=len(flat),
            type=_TYPE[width],
        )
        accessor.normalized = True if normalized else None
        if bounds:
            accessor.min = [float(v) for v in flat.min(0)]
            accessor.max = [float(v) for v in flat.max(0)]
        self.gltf.accessors.append(accessor)
        return len(self.gltf.accessors) - 1

    def sparse(self, count: int, rows: np.ndarray, values: np.ndarray) -> int:
        """An accessor of (count, 3) float32 values that are zero but for ``rows`` (M,) (3.6.2.3).

        Args:
            count: how many.
            rows: ascending; at least one.
            values: (M, 3).
        """
        kind = np.uint16 if count < 65536 else np.uint32
        where = self.lib.AccessorSparseIndices(
            bufferView=self.bytes_view(rows.astype(kind).tobytes()),
            componentType=_COMPONENT[np.dtype(kind).char],
        )
        values = np.ascontiguousarray(values, np.float32)
        what = self.lib.AccessorSparseValues(bufferView=self.bytes_view(values.tobytes()))
        zero = np.zeros((int(len(rows) < count), 3), np.float32)
        every = np.concatenate([values, zero])
        self.gltf.accessors.append(
            self.lib.Accessor(
                byteOffset=None,
                componentType=_COMPONENT["f"],
                count=count,
                type="VEC3",
                min=[float(v) for v in every.min(0)],
                max=[float(v) for v in every.max(0)],
                sparse=self.lib.Sparse(count=len(rows), indices=where, values=what),
            )
        )
        return len(self.gltf.accessors) - 1

    def node(self, **fields: Any) -> int:
        """Add a node."""
        self.gltf.nodes.append(self.lib.Node(**fields))
        return len(self.gltf.nodes) - 1

    def image_texture(self, data: bytes, mime: str, name: str) -> int:
        """Add an embedded picture and a texture that shows it, filtered and clamped."""
        if not self.gltf.samplers:
            self.gltf.samplers.append(
                self.lib.Sampler(magFilter=9729, minFilter=9987, wrapS=33071, wrapT=33071)
            )
        view = self.bytes_view(data)
        self.gltf.images.append(self.lib.Image(bufferView=view, mimeType=mime, name=name))
        self.gltf.textures.append(
            self.lib.Texture(sampler=0, source=len(self.gltf.images) - 1, name=name)
        )
        return len(self.gltf.textures) - 1

    def binary(self) -> bytes:
        """The buffer."""
        return b"".join(self._chunks)

    def glb(self) -> bytes:
        """The document as one ``.glb`` file."""
        blob = self.binary()
        self.gltf.buffers = [self.lib.Buffer(byteLength=len(blob))]
        self.gltf.set_binary_blob(blob)
        return b"".join(self.gltf.save_to_bytes())

    def json(self, bin_name: str) -> str:
        """The document as the JSON of a ``.gltf`` file whose buffer is ``bin_name``."""
        uri = quote(bin_name, safe="")  # RFC 3986, as glTF says
        self.gltf.buffers = [self.lib.Buffer(byteLength=self._length, uri=uri)]
        return self.gltf.gltf_to_json()

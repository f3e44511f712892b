"""Reads the arrays of a MANO pickle without running anything that the file names.

A pickle is a program for a stack machine; its only way to code outside is to name a global
and call it. Here every allowed name leads to an inert class of this module, which stores
what numpy, scipy or chumpy would have been told, and arrays are rebuilt afterwards from
plain bytes with checked type and size. Any other name ends the reading.
"""

from __future__ import annotations

import math
import pickle
import re
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ..core.errors import FileFormatError

MAX_FILE_BYTES = 64 * 1024 * 1024
"""MANO's files have 4 MB."""

MAX_ARRAY_BYTES = 64 * 1024 * 1024

_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")


def read_object_array(path: Path) -> dict[str, Any]:
    """The dict that a .npy file of one Python object holds, as :func:`read_restricted_pickle`.

    Raises:
        FileFormatError: another kind of file, too large, damaged, or it names anything beyond.
    """
    with path.open("rb") as file:
        head = file.read(12)
        # numpy's format: magic, version, header length, a Python literal, then the pickle
        start = 10 + int.from_bytes(head[8:10], "little")
        if head[:7] != b"\x93NUMPY\x01":
            raise FileFormatError(f"'{path.name}' is not a .npy file of version 1")
    return read_restricted_pickle(path, start)


def read_restricted_pickle(path: Path, start: int = 0) -> dict[str, Any]:
    """Arrays, numbers and strings of the dict that ``path`` holds.

    numpy arrays, scipy csc/csr matrices (made dense) and chumpy's ``Ch`` and ``Select``
    come back as numpy arrays, dicts as dicts; entries of other kinds are left out.

    Args:
        path: the file.
        start: where the pickle begins, bytes.

    Raises:
        FileFormatError: too large, damaged, or it names anything beyond those.
    """
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise FileFormatError(
            f"'{path.name}' has {size} bytes; a MANO file has about 4 MB and at most "
            f"{MAX_FILE_BYTES} are accepted"
        )
    try:
        with path.open("rb") as file:
            file.seek(start)
            loaded = _Reader(file, fix_imports=False, encoding="latin1").load()
        if isinstance(loaded, _Array) and isinstance(loaded.state, tuple) and loaded.state[1] == ():
            loaded = loaded.state[-1][0]  # numpy.save keeps one object as an array of it
        if not isinstance(loaded, dict):
            raise FileFormatError(
                f"'{path.name}' holds a {type(loaded).__name__}; a MANO file holds a dict"
            )
        return {
            name: value
            for name, value in ((str(k), _resolve(v)) for k, v in loaded.items())
            if value is not None
        }
    except FileFormatError:
        raise
    except (
        pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError,
        AttributeError, ArithmeticError, MemoryError, RecursionError, ImportError,
    ) as error:  # fmt: skip
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FileFormatError(
            f"'{path.name}' is not a readable MANO pickle ({reason}); "
            f"give MANO_RIGHT.pkl or MANO_LEFT.pkl, or a data set's file, as downloaded"
        ) from error


class _FrozenType(type):
    """Keeps a pickle from changing the stand-in classes themselves."""

    def __setattr__(cls, name: str, value: Any) -> NoReturn:
        raise pickle.UnpicklingError("the file tries to change a class")


class _Record(metaclass=_FrozenType):
    """Stores whatever constructor arguments and state the pickle gives."""

    args: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: Any) -> Any:
        record = super().__new__(cls)
        record.__dict__["args"] = args
        record.__dict__["state"] = None
        return record

    def __setstate__(self, state: Any) -> None:
        self.__dict__["state"] = state


class _Array(_Record):
    """numpy.core.multiarray._reconstruct(ndarray, shape, typecode), then its state."""


class _Buffer(_Record):
    """numpy.core.numeric._frombuffer(buffer, dtype, shape, order)."""


class _Scalar(_Record):
    """numpy.core.multiarray.scalar(dtype, bytes)."""


class _Dtype(_Record):
    """numpy.dtype(code, align, copy), then its state with the byte order."""


class _Sparse(_Record):
    """scipy.sparse csc_matrix or csr_matrix."""

    layout = ""


class _Csc(_Sparse):
    layout = "csc"


class _Csr(_Sparse):
    layout = "csr"


class _Chumpy(_Record):
    """Any class of the package chumpy."""


class _Ndarray(_Record):
    """The class numpy.ndarray, only ever named."""


class _Object(_Record):
    """The class object, only ever named."""


class _Encode(metaclass=_FrozenType):
    """_codecs.encode, through which Python 3 writes bytes into old protocols."""

    def __new__(cls, text: Any, encoding: Any = "latin1") -> Any:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "iso-8859-1"):
            raise pickle.UnpicklingError("bytes in an unexpected encoding")
        return text.encode("latin1")


class _EmptyBytes(metaclass=_FrozenType):
    """bytes(), through which Python 3 writes empty data into old protocols."""

    def __new__(cls) -> Any:
        return b""


class _Reconstructor(metaclass=_FrozenType):
    """copyreg._reconstructor(class, object, None), only for the stand-ins."""

    def __new__(cls, kind: Any, *_: Any) -> Any:
        if not (isinstance(kind, type) and issubclass(kind, _Sparse | _Chumpy)):
            raise pickle.UnpicklingError("an object of an unexpected class")
        return kind()


_ALLOWED: dict[tuple[str, str], type] = {
    ("numpy", "ndarray"): _Ndarray,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Encode,
    ("copy_reg", "_reconstructor"): _Reconstructor,
    ("copyreg", "_reconstructor"): _Reconstructor,
    ("__builtin__", "object"): _Object,
    ("builtins", "object"): _Object,
    ("__builtin__", "bytes"): _EmptyBytes,
}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_core}.multiarray", "_reconstruct"] = _Array
    _ALLOWED[f"{_core}.multiarray", "scalar"] = _Scalar
    _ALLOWED[f"{_core}.numeric", "_frombuffer"] = _Buffer
for _module in ("csc", "_csc"):
    _ALLOWED[f"scipy.sparse.{_module}", "csc_matrix"] = _Csc
for _module in ("csr", "_csr"):
    _ALLOWED[f"scipy.sparse.{_module}", "csr_matrix"] = _Csr
for _name in (("ch", "Ch"), ("reordering", "Select")):
    _ALLOWED[f"chumpy.{_name[0]}", _name[1]] = _Chumpy


class _Reader(pickle.Unpickler):
    """An unpickler that knows the stand-ins and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no MANO file needs")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError("it refers to objects outside the file")


def _resolve(value: Any, depth: int = 0) -> Any:
    """The plain value of a stand-in; None for what is of no use here."""
    if depth > 8:
        raise pickle.UnpicklingError("its arrays are nested too deeply")
    if isinstance(value, str | int | float | bytes):
        return value
    if isinstance(value, dict):
        return {str(k): _resolve(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        if all(isinstance(v, int | float) for v in value) and len(value) <= 1_000_000:
            return np.array(value)
        return None
    if isinstance(value, _Array):
        return _array(value)
    if isinstance(value, _Buffer):
        buffer, dtype, shape, order = value.args
        return _from_bytes(buffer, _dtype(dtype), shape, order == "F")
    if isinstance(value, _Scalar):
        dtype, data = value.args
        return _from_bytes(data, _dtype(dtype), (), False)
    if isinstance(value, _Sparse):
        return _dense(value, depth)
    if isinstance(value, _Chumpy):
        return _chumpy_value(value, depth)
    return None


def _dtype(value: Any) -> np.dtype[Any]:
    if not isinstance(value, _Dtype) or not value.args:
        raise pickle.UnpicklingError("an array without a type")
    code = str(value.args[0])
    state = value.state
    order = str(state[1]) if isinstance(state, tuple) and len(state) > 1 else ""
    if order in ("<", ">") and code[:1] not in ("<", ">", "|", "="):
        code = order + code
    if not _DTYPE.fullmatch(code):
        raise pickle.UnpicklingError(f"an array of type {code[:20]!r}")
    return np.dtype(code)


def _array(value: _Array) -> np.ndarray | None:
    if not isinstance(value.state, tuple) or len(value.state) != 5:
        raise pickle.UnpicklingError("an array without its data")
    _, shape, dtype, fortran, data = value.state
    if isinstance(data, list):
        return None
    return _from_bytes(data, _dtype(dtype), shape, bool(fortran))


def _from_bytes(data: Any, dtype: np.dtype[Any], shape: Any, fortran: bool) -> np.ndarray:
    if isinstance(data, str):
        data = data.encode("latin1")
    if not isinstance(data, bytes | bytearray) or not isinstance(shape, tuple):
        raise pickle.UnpicklingError("an array without its data")
    if len(shape) > 8 or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise pickle.UnpicklingError("an array of an impossible shape")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise pickle.UnpicklingError(f"an array of shape {shape} with {len(data)} bytes")
    flat = np.frombuffer(bytes(data), dtype)
    return flat.reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="))


def _dense(value: _Sparse, depth: int) -> np.ndarray:
    """scipy's own checks are repeated, so no index can write outside."""
    state = value.state
    if isinstance(state, tuple) and state and isinstance(state[0], dict):
        state = state[0]
    if not isinstance(state, dict):
        raise pickle.UnpicklingError("a sparse matrix without its data")
    parts = {name: _resolve(state.get(name), depth + 1) for name in ("data", "indices", "indptr")}
    if not all(isinstance(part, np.ndarray) and part.ndim == 1 for part in parts.values()):
        raise pickle.UnpicklingError("a sparse matrix without its data")
    shape = state.get("_shape", state.get("shape"))
    if (
        not isinstance(shape, tuple)
        or len(shape) != 2
        or not all(isinstance(n, int) and n > 0 for n in shape)
        or math.prod(shape) * 8 > MAX_ARRAY_BYTES
    ):
        raise pickle.UnpicklingError(f"a sparse matrix of shape {str(shape)[:40]}")
    major, minor = shape if value.layout == "csr" else shape[::-1]
    starts, indices = parts["indptr"].astype(np.int64), parts["indices"].astype(np.int64)
    if (
        len(starts) != major + 1
        or starts[0] != 0
        or (np.diff(starts) < 0).any()
        or starts[-1] != len(indices)
        or len(indices) != len(parts["data"])
        or (len(indices) and not 0 <= indices.min() <= indices.max() < minor)
    ):
        raise pickle.UnpicklingError("a sparse matrix with wrong indices")
    dense = np.zeros((major, minor))
    np.add.at(dense, (np.repeat(np.arange(major), np.diff(starts)), indices), parts["data"])
    return dense if value.layout == "csr" else dense.T


def _chumpy_value(value: _Chumpy, depth: int) -> np.ndarray | None:
    """``Ch`` keeps its array as ``x``; ``Select`` takes entries ``idxs`` of ``a``."""
    state = value.state if isinstance(value.state, dict) else {}
    if "x" in state:
        array = _resolve(state["x"], depth + 1)
        return array if isinstance(array, np.ndarray) else None
    if "a" not in state or "idxs" not in state:
        return None
    base, picked = _resolve(state["a"], depth + 1), _resolve(state["idxs"], depth + 1)
    if not isinstance(base, np.ndarray) or not isinstance(picked, np.ndarray):
        return None
    result = base.ravel()[picked.astype(np.int64)]
    shape = state.get("preferred_shape")
    if isinstance(shape, tuple) and all(isinstance(n, int) for n in shape):
        result = result.reshape(shape)
    return result

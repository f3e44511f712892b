"""A hostile pickle runs nothing: every known way from data to code ends in a clear error."""

from __future__ import annotations

import contextlib
import io
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_toolkit.core.errors import FileFormatError
from hand_toolkit.hand_model import import_mano
from hand_toolkit.hand_model.restricted_pickle import MAX_FILE_BYTES, read_restricted_pickle

_events: list[str] = []
_watching = False
_DANGEROUS = ("os.", "subprocess.", "exec", "compile", "import", "shutil.", "ctypes.", "socket.")


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _watching and event.startswith(_DANGEROUS):
        _events.append(f"{event} {args!r:.100}")


@pytest.fixture(scope="module", autouse=True)
def _install_audit() -> None:
    sys.addaudithook(_audit)


@pytest.fixture
def watched() -> Iterator[list[str]]:
    """Interpreter events that a payload would cause, seen by an audit hook."""
    global _watching
    _events.clear()
    _watching = True
    yield _events
    _watching = False


class _Call:
    """Pickles as a call of ``function`` with ``args``."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def _system(mark: Path) -> bytes:
    import os

    return pickle.dumps(_Call(os.system, f"touch {mark}"), protocol=2)


def _eval(mark: Path) -> bytes:
    return pickle.dumps(_Call(eval, f"open({str(mark)!r}, 'w')"), protocol=4)


def _exec_python2(mark: Path) -> bytes:
    return b"c__builtin__\nexec\n(S'open(%r, \"w\")'\ntR." % str(mark).encode()


def _inside_a_dict(mark: Path) -> bytes:
    return pickle.dumps({"v_template": _Call(eval, f"open({str(mark)!r}, 'w')")}, protocol=2)


def _getattr_chain(mark: Path) -> bytes:
    """getattr(__import__("os"), "system")(command)."""
    command = f"touch {mark}".encode()
    return (
        b"\x80\x04cbuiltins\ngetattr\ncbuiltins\n__import__\nX\x02\x00\x00\x00os\x85R"
        b"X\x06\x00\x00\x00system\x86RX" + len(command).to_bytes(4, "little") + command
        + b"\x85R."
    )  # fmt: skip


def _dotted_name(mark: Path) -> bytes:
    command = f"touch {mark}".encode()
    return (
        b"\x80\x04\x8c\x05numpy\x8c\x14ctypeslib.os.system\x93"
        b"X" + len(command).to_bytes(4, "little") + command + b"\x85R."
    )


def _numpy_gadget(mark: Path) -> bytes:
    code = f"open({str(mark)!r}, 'w')".encode()
    return (
        b"\x80\x02cnumpy.testing._private.utils\nrunstring\nX"
        + len(code).to_bytes(4, "little") + code + b"}\x86R."
    )  # fmt: skip


def _object_array(mark: Path) -> bytes:
    return pickle.dumps(np.array([_Call(eval, f"open({str(mark)!r}, 'w')")], object), protocol=2)


def _foreign_subtype(mark: Path) -> bytes:
    return b"cnumpy.core.multiarray\n_reconstruct\n(csubprocess\nPopen\n(I0\ntS'b'\ntR."


def _foreign_reconstructor(mark: Path) -> bytes:
    return b"ccopy_reg\n_reconstructor\n(csubprocess\nPopen\nc__builtin__\nobject\nNtR."


def _inst_opcode(mark: Path) -> bytes:
    return b"(S'touch %s'\nios\nsystem\n." % str(mark).encode()


def _numpy_load(mark: Path) -> bytes:
    return b"cnumpy\nload\n(S'%s'\nNI01\ntR." % str(mark).encode()


def _codec(mark: Path) -> bytes:
    return b"c_codecs\nencode\n(Vabc\nVrot13\ntR."


def _persistent(mark: Path) -> bytes:
    return b"Psomething\n."


def _change_a_class(mark: Path) -> bytes:
    """BUILD with a slot state sets attributes on whatever lies on the stack, here a class."""
    return b"cnumpy\ndtype\n(N}S'__setstate__'\nI1\nstb."


def _change_an_instance_class(mark: Path) -> bytes:
    return b"\x80\x02cnumpy\ndtype\n)\x81(N}X\x09\x00\x00\x00__class__cnumpy\nndarray\nstb."


def _extension(mark: Path) -> bytes:
    return b"\x80\x02\x82\x01."


PAYLOADS = [
    _system, _eval, _exec_python2, _inside_a_dict, _getattr_chain, _dotted_name, _numpy_gadget,
    _object_array, _foreign_subtype, _foreign_reconstructor, _inst_opcode, _numpy_load, _codec,
    _persistent, _change_a_class, _change_an_instance_class, _extension,
]  # fmt: skip


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda f: f.__name__.strip("_"))
def test_hostile_pickle_runs_nothing(payload: Any, tmp_path: Path, watched: list[str]) -> None:
    mark, path = tmp_path / "ran", tmp_path / "MANO_RIGHT.pkl"
    path.write_bytes(payload(mark))
    _events.clear()
    with pytest.raises(FileFormatError) as caught:
        read_restricted_pickle(path)
    assert not watched, watched
    assert not mark.exists()
    assert "\n" not in str(caught.value) and "MANO_RIGHT.pkl" in str(caught.value)


@pytest.mark.parametrize("payload", [_system, _eval, _inside_a_dict, _getattr_chain])
def test_the_payloads_are_live(payload: Any, tmp_path: Path) -> None:
    """The same bytes do run under plain pickle, so the test above can fail."""
    mark = tmp_path / "ran"
    pickle.loads(payload(mark))
    assert mark.exists()


def test_hostile_pickle_through_the_import(
    tmp_path: Path, watched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAND_TOOLKIT_HOME", str(tmp_path / "home"))
    mark, path = tmp_path / "ran", tmp_path / "MANO_LEFT.pkl"
    path.write_bytes(_inside_a_dict(mark))
    with pytest.raises(FileFormatError):
        import_mano([path])
    assert not mark.exists() and not (tmp_path / "home").exists()


def test_python_2_files_are_read(tmp_path: Path) -> None:
    """Byte strings of Python 2 as array data, as in the published files."""
    data = np.arange(6, dtype="<f8").reshape(2, 3)
    raw = data.tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02K\x03\x86cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + len(raw).to_bytes(4, "little") + raw + b"tb"
    )  # fmt: skip
    path = tmp_path / "p2.pkl"
    path.write_bytes(b"\x80\x02}U\x0av_template" + array + b"s.")
    assert np.array_equal(read_restricted_pickle(path)["v_template"], data)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4),
        np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
        np.arange(5, dtype=">i4"),
        np.zeros((0, 3)),
        np.array([True, False]),
    ],
)
def test_arrays_come_back(protocol: int, array: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"a": array, "n": 3, "s": "lbs"}, protocol=protocol))
    back = read_restricted_pickle(path)
    assert np.array_equal(back["a"], array) and back["a"].shape == array.shape
    assert back["n"] == 3 and back["s"] == "lbs"


@pytest.mark.parametrize("kind", ["csc_matrix", "csr_matrix"])
def test_sparse_matrices_come_back(kind: str, tmp_path: Path) -> None:
    import scipy.sparse as sparse

    dense = np.random.default_rng(0).random((5, 9)) * (
        np.random.default_rng(1).random((5, 9)) > 0.5
    )
    path = tmp_path / "s.pkl"
    path.write_bytes(pickle.dumps({"J": getattr(sparse, kind)(dense)}, protocol=2))
    assert np.array_equal(read_restricted_pickle(path)["J"], dense)


def test_sparse_indices_outside_are_refused(tmp_path: Path) -> None:
    import scipy.sparse as sparse

    matrix = sparse.csc_matrix(np.eye(4))
    matrix.indices[2] = 400
    path = tmp_path / "s.pkl"
    path.write_bytes(pickle.dumps({"J": matrix}, protocol=2))
    with pytest.raises(FileFormatError, match="wrong indices"):
        read_restricted_pickle(path)


def test_an_array_that_claims_more_than_it_has(tmp_path: Path) -> None:
    data = pickle.dumps({"a": np.zeros((2, 3))}, protocol=2).replace(b"K\x02K\x03", b"K\xffK\xff")
    path = tmp_path / "a.pkl"
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match="shape"):
        read_restricted_pickle(path)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.pkl"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(FileFormatError, match="at most"):
        read_restricted_pickle(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"not a pickle",
        b"\x80\x02]q\x00.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"B\xff\xff\xff\x7fabc.",
        b"(" * 100_000,
        b"]" * 100_000 + b"a" * 99_999 + b".",
    ],
)
def test_broken_files_are_errors(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.pkl"
    path.write_bytes(data)
    with pytest.raises(FileFormatError):
        read_restricted_pickle(path)


@settings(max_examples=150, deadline=None)
@given(cut=st.floats(0, 1), place=st.floats(0, 1), byte=st.integers(0, 255))
def test_truncated_or_altered_files_never_escape(cut: float, place: float, byte: int) -> None:
    """Any damage gives the arrays or a FileFormatError, nothing else."""
    import tempfile

    import scipy.sparse as sparse

    buffer = io.BytesIO()
    matrix = sparse.csc_matrix(np.eye(4))
    pickle.dump({"a": np.arange(6.0), "J": matrix, "s": "x"}, buffer, protocol=2)
    data = bytearray(buffer.getvalue())
    data[int(place * (len(data) - 1))] = byte
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.pkl"
        path.write_bytes(data[: max(1, int(cut * len(data)))] if cut < 0.9 else data)
        with contextlib.suppress(FileFormatError):
            read_restricted_pickle(path)

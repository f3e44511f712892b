"""Atomic writing."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from hand_toolkit.core.errors import InputError
from hand_toolkit.core.files import atomic_path, atomic_write


def test_replaces_in_one_step(tmp_path: Path) -> None:
    target = tmp_path / "a.hand"
    target.write_bytes(b"old")
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".hand"
        temporary.write_bytes(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_failure_keeps_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "a.npz"
    target.write_bytes(b"old")
    with pytest.raises(error), atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_full_disk_is_one_sentence(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    with pytest.raises(InputError, match="the disk is full") as caught, atomic_path(target):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(target) in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_foreign_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a"):
        (tmp_path / "missing-input").read_bytes()
    assert not list(tmp_path.iterdir())


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder does not exist"):
        atomic_write(tmp_path / "no" / "a.txt", "x")


def test_folder_as_target(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        atomic_write(tmp_path, "x")


def test_file_in_the_path(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(InputError, match="not a folder"):
        atomic_write(tmp_path / "f" / "a.txt", "x")


def test_name_too_long(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        atomic_write(tmp_path / ("x" * 300), "x")


def test_text_is_utf8(tmp_path: Path) -> None:
    atomic_write(tmp_path / "é.txt", "ü")
    assert (tmp_path / "é.txt").read_bytes() == "ü".encode()


def test_nothing_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing was written"), atomic_path(tmp_path / "a"):
        pass

"""What is to be worked on: a list in a file, read as it is needed, or the files of a folder."""
# Paths are text here, since a million of them may pass.
# ruff: noqa: PTH100, PTH118, PTH119, PTH122

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import PARSER_FAULTS, InputError

MANIFESTS = (".txt", ".jsonl")
LONGEST_LINE = 65_536


@dataclass(frozen=True)
class Entry:
    """One input.

    Attributes:
        path: the file or folder.
        name: where its result goes, below the output folder, without the result's suffix.
        options: of the task, for this input alone.
    """

    path: str
    name: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def mark(self) -> int:
        """64 bits that tell it from others."""
        return mark_of(self.path)


def mark_of(path: str) -> int:
    """64 bits of a path's hash: a million of them fit into little memory."""
    return int.from_bytes(hashlib.blake2b(os.fsencode(path), digest_size=8).digest(), "little")


def read_entries(source: Path, suffixes: tuple[str, ...]) -> Iterator[Entry]:
    """The inputs of a manifest or a folder, one at a time.

    A manifest is a text file with a path a line (``#`` begins a comment), or JSON lines, each an
    object with ``input`` and options of the task. Paths are relative to the manifest's folder.
    Of a folder every file with a fitting suffix is taken, in subfolders too, in the order of the
    numbers in their names; hidden files and outlines (``NAME_mask.png``) are not.

    Args:
        source: the manifest or folder.
        suffixes: lower-case suffixes of a folder's inputs; "/" takes its subfolders instead.

    Raises:
        InputError: no such file or folder, another suffix, or a line that cannot be read.
    """
    if source.is_dir():
        return _of_folder(source, suffixes)
    if not source.is_file():
        raise InputError(f"{source} does not exist; give a folder, or a list as .txt or .jsonl")
    if source.suffix.lower() not in MANIFESTS:
        raise InputError(
            f"{source.name} is no list of inputs; give a folder, a .txt with a path a line, or a "
            '.jsonl with an object {"input": PATH} a line'
        )
    return _of_manifest(source)


def _of_manifest(source: Path) -> Iterator[Entry]:
    as_json = source.suffix.lower() == ".jsonl"
    folder = os.path.abspath(source.parent)
    with source.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
        number = 0
        while line := lines.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE:
                raise InputError(
                    f"line {number} of {source.name} is longer than {LONGEST_LINE} characters; "
                    "this is no list of inputs"
                )
            text = line.strip()
            if not text or (not as_json and text.startswith("#")):
                continue
            path, options = _row(text, f"line {number} of {source.name}") if as_json else (text, {})
            whole = os.path.normpath(os.path.join(folder, path))
            yield Entry(whole, _name_of(whole, folder), options)


def _row(text: str, where: str) -> tuple[str, dict[str, Any]]:
    try:
        row = json.loads(text)
    except PARSER_FAULTS as error:
        raise InputError(f"{where} is no JSON ({error})") from error
    if not isinstance(row, dict) or not isinstance(row.get("input"), str) or not row["input"]:
        raise InputError(f'{where} must be an object with the text "input"')
    return row.pop("input"), row


def _name_of(path: str, folder: str) -> str:
    """Its place below the manifest's folder; elsewhere the file's name and some of its hash."""
    if path.startswith(folder.rstrip(os.sep) + os.sep):
        return os.path.relpath(path, folder)
    return f"{os.path.basename(path)}-{mark_of(path):016x}"


def _of_folder(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Entry]:
    root = os.path.abspath(folder)
    stack = [root]
    while stack:
        try:
            found = sorted(os.scandir(stack.pop()), key=lambda item: _natural(item.name))
        except OSError as error:
            raise InputError(f"{error.filename} cannot be read: {error.strerror}") from error
        inside = []
        for item in found:
            if item.name.startswith("."):
                continue
            if item.is_dir(follow_symlinks=False):
                if "/" in suffixes:
                    yield Entry(item.path, os.path.relpath(item.path, root))
                else:
                    inside.append(item.path)
                continue
            stem, suffix = os.path.splitext(item.name)
            if suffix.lower() in suffixes and not stem.endswith("_mask") and item.is_file():
                yield Entry(item.path, os.path.relpath(item.path, root))
        stack += inside[::-1]


def _natural(name: str) -> list[tuple[int, str]]:
    """A key by which frame_2 comes before frame_10."""
    parts = re.split(r"([0-9]+)", name.lower())
    return [(int(p), "") if k % 2 else (0, p) for k, p in enumerate(parts)]

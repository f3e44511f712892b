"""Damage of the kinds that files of strangers have, for ``scripts/fuzz.py``.

Bytes are flipped, cut, repeated and replaced. Formats that would be refused at a checksum or a
brace are opened first, damaged within and closed again: members of zip files, gzip streams, the
JSON of glTF, safetensors and framed messages.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

Mutation = Callable[[bytes, np.random.Generator], bytes]

NUMBERS = (0, 1, -1, 2, 255, 256, 65535, 2**31 - 1, -(2**31), 2**32, 2**63 - 1, -(2**63), 2**64)
VALUES: tuple[Any, ...] = (
    *NUMBERS, 0.5, 1e308, -1e308, float("nan"), float("inf"), None, True, False, "", "a", "\0",
    "../../x", "/etc/passwd", "file:///etc/passwd", "data:,", "é" * 40, [], {}, [[]], [None],
    {"a": {}}, 10**40,
)  # fmt: skip


def mutate_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """One to eight faults of bytes: flips, numbers, cuts, repeats, insertions."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if not out:
            return bytes(rng.integers(0, 256, 16, np.uint8))
        # half of the faults lie in the head, where formats keep counts and offsets
        reach = len(out) if rng.random() < 0.5 else min(len(out), 256)
        at = int(rng.integers(reach))
        kind = int(rng.integers(6))
        if kind == 0:
            out[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            out[at] = int(rng.choice((0, 1, 0x7F, 0x80, 0xFF, 0x20)))
        elif kind == 2:
            width, sign = int(rng.choice((2, 4, 8))), bool(rng.integers(2))
            number = int(NUMBERS[int(rng.integers(len(NUMBERS)))]) % (1 << 8 * width)
            out[at : at + width] = number.to_bytes(width, "little" if sign else "big")
        elif kind == 3:
            del out[at : at + int(rng.integers(1, max(2, len(out) // 4)))]
        elif kind == 4:
            piece = out[at : at + int(rng.integers(1, 65))]
            out[at:at] = piece * int(rng.integers(1, 5))
        else:
            del out[at:]
    return bytes(out)


def mutate_json(value: Any, rng: np.random.Generator, faults: int = 0) -> Any:
    """The same JSON with one to four values replaced, dropped, repeated or nested deeper."""
    root = [json.loads(json.dumps(value))]
    places: list[tuple[Any, Any]] = []

    def walk(holder: Any, depth: int = 0) -> None:
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            places.append((holder, key))
            if isinstance(holder[key], (dict, list)) and depth < 8 and len(places) < 5000:
                walk(holder[key], depth + 1)

    walk(root)
    for _ in range(faults or int(rng.integers(1, 5))):
        holder, key = places[int(rng.integers(len(places)))]
        kind = int(rng.integers(6))
        try:
            if kind <= 2:
                holder[key] = VALUES[int(rng.integers(len(VALUES)))]
            elif kind == 3 and isinstance(holder, dict):
                del holder[key]
            elif kind == 3 and holder is not root:
                holder.insert(key, holder[key])
            elif kind == 4:
                holder[key] = [holder[key]] if rng.random() < 0.5 else {"a": holder[key]}
            else:
                other, name = places[int(rng.integers(len(places)))]
                holder[key] = other[name]
            json.dumps(root)  # a value put into itself goes round for ever
        except (KeyError, IndexError):
            continue  # an earlier fault took the place away
        except (ValueError, RecursionError):
            return VALUES[int(rng.integers(len(VALUES)))]
    return root[0]


def json_text(data: bytes, rng: np.random.Generator) -> bytes:
    """A JSON file, damaged in its tree or in its bytes."""
    if rng.random() < 0.2:
        return mutate_bytes(data, rng)
    text = json.dumps(mutate_json(json.loads(data), rng)).encode()
    if rng.random() < 0.02:
        deep = int(rng.integers(100, 100_000))
        text = b'{"a":' * deep + text + b"}" * deep
    return text


def text_lines(data: bytes, rng: np.random.Generator) -> bytes:
    """A text file, with words replaced, dropped, swapped and lines repeated."""
    if rng.random() < 0.2:
        return mutate_bytes(data, rng)
    lines = [line.split(b" ") for line in data.split(b"\n")]
    for _ in range(int(rng.integers(1, 6))):
        row = int(rng.integers(len(lines)) if rng.random() < 0.5 else rng.integers(20)) % len(lines)
        line = lines[row]
        if not line:
            continue
        word, kind = int(rng.integers(len(line))), int(rng.integers(4))
        if kind == 0:
            line[word] = str(VALUES[int(rng.integers(len(VALUES)))]).encode()
        elif kind == 1:
            del line[word]
        elif kind == 2:
            other = lines[int(rng.integers(len(lines)))]
            line[word] = other[0] if other else b""
        else:
            lines.insert(row, list(line))
    return b"\n".join(b" ".join(line) for line in lines)


def zip_members(data: bytes, rng: np.random.Generator) -> bytes:
    """A zip file with one member damaged, and rarely a member of a hostile name or none at all."""
    if rng.random() < 0.2:
        return mutate_bytes(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    at = int(rng.integers(len(members)))
    name, content = members[at]
    kind = int(rng.integers(10))
    if kind == 0:
        del members[at]
    elif kind == 1:
        members[at] = (str(rng.choice(("../x.npy", "/x.npy", "a" * 300, "\\", "x"))), content)
    elif kind == 2:
        members.append((name + "2", content))
    elif kind == 3:
        members[at] = (name, members[int(rng.integers(len(members)))][1])
    else:
        members[at] = (name, mutate_bytes(content, rng))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def gzip_stream(data: bytes, rng: np.random.Generator) -> bytes:
    """A gzip file, damaged within its stream."""
    if rng.random() < 0.2:
        return mutate_bytes(data, rng)
    return gzip.compress(mutate_bytes(gzip.decompress(data), rng), 1)


def png_chunks(data: bytes, rng: np.random.Generator) -> bytes:
    """A PNG with chunks damaged and their checksums made right; other pictures byte by byte."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or rng.random() < 0.2:
        return mutate_bytes(data, rng)
    chunks, at = [], 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    where = int(rng.integers(len(chunks)))
    kind, content = chunks[where]
    if rng.random() < 0.2:
        chunks.insert(where, (kind, content))
    else:
        chunks[where] = (kind, mutate_bytes(content, rng))
    out = data[:8]
    for kind, content in chunks:
        crc = zlib.crc32(kind + content).to_bytes(4, "big")
        out += len(content).to_bytes(4, "big") + kind + content + crc
    return out


def _headed(
    data: bytes, rng: np.random.Generator, start: int, size: int
) -> tuple[bytes, bytes, bytes] | None:
    """Head, damaged JSON and rest of bytes with a JSON at ``start``; None: damage the bytes."""
    if rng.random() < 0.3:
        return None
    text = data[start : start + size]
    return (
        data[:start],
        json.dumps(mutate_json(json.loads(text), rng)).encode(),
        data[start + size :],
    )


def glb(data: bytes, rng: np.random.Generator) -> bytes:
    """A binary glTF with its JSON, its binary chunk or its bytes damaged."""
    parts = _headed(data, rng, 20, int.from_bytes(data[12:16], "little"))
    if parts is None:
        return mutate_bytes(data, rng)
    _, text, rest = parts
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text + rest
    return b"glTF" + struct.pack("<II", 2, 12 + len(body)) + body


def safetensors(data: bytes, rng: np.random.Generator) -> bytes:
    """A safetensors file, damaged in its header or in the JSON that its metadata carry."""
    parts = _headed(data, rng, 8, int.from_bytes(data[:8], "little"))
    if parts is None:
        return mutate_bytes(data, rng)
    _, text, rest = parts
    if rng.random() < 0.7:
        header = json.loads(data[8 : len(data) - len(rest)])
        meta = header.get("__metadata__", {})
        for key, value in meta.items():
            try:
                meta[key] = json.dumps(mutate_json(json.loads(value), rng))
            except ValueError:
                meta[key] = str(VALUES[int(rng.integers(len(VALUES)))])
        text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + rest


def message(data: bytes, rng: np.random.Generator) -> bytes:
    """A frame of the worker's protocol with its JSON damaged."""
    magic, size, payload = struct.unpack_from("<4sIQ", data)
    parts = _headed(data, rng, 16, size)
    if parts is None:
        return mutate_bytes(data, rng)
    return struct.pack("<4sIQ", magic, len(parts[1]), payload) + parts[1] + parts[2]

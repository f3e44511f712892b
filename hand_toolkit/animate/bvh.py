"""BVH files of any rig whose bones have one of the names of :mod:`hand_toolkit.core.skeletons`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..core.conventions import MANO_JOINTS, SIDES
from ..core.errors import PARSER_FAULTS, FileFormatError, InputError
from ..core.skeletons import match_bones
from .motion import MAX_FRAMES, Motion
from .retarget import retarget

MAX_BYTES = 1 << 29
MAX_BONES = 5000
TO_TOOLKIT = np.diag([1.0, -1.0, -1.0])
"""BVH's y-up world to the toolkit's."""


@dataclass
class Bone:
    """A bone of a BVH hierarchy.

    Attributes:
        name: its name; "" for an end site.
        parent: number of its parent, -1 for none.
        offset: (3,) from the parent at rest, file units.
        channels: what its columns of the table are, in order.
    """

    name: str
    parent: int
    offset: np.ndarray = field(default_factory=lambda: np.zeros(3))
    channels: tuple[str, ...] = ()


def read_bvh(path: Path, unit_m: float | None = None) -> Motion:
    """The hands of a BVH file as a motion.

    Args:
        path: the file, y up.
        unit_m: metres of its unit; None takes centimetres, or metres where a hand is so small.

    Raises:
        FileFormatError: no BVH, damaged, or no hand's bones by a known name.
    """
    if path.stat().st_size > MAX_BYTES:
        raise FileFormatError(f"{path.name} has more than {MAX_BYTES >> 20} MiB; split it")
    bones, table, seconds = parse_bvh(path)
    turns, places = _posed(bones, table)
    rest = np.zeros((len(bones), 3))
    for k, bone in enumerate(bones):
        rest[k] = bone.offset + (rest[bone.parent] if bone.parent >= 0 else 0.0)
    hands = _hands(bones, "left" if "left" in path.stem.lower() else "right")
    count = len(table)
    theta, where = np.zeros((count, 2, 16, 3)), np.zeros((count, 2, 3))
    present = np.zeros((count, 2), bool)
    for side, found in hands.items():
        heads = {joint: rest[k] for joint, k in found.items()}
        moved = {joint: turns[:, k] for joint, k in found.items() if joint in MANO_JOINTS}
        try:
            pose = retarget(side, heads, moved)
        except InputError as error:
            if len(hands) == 1:
                raise FileFormatError(f"{path.name}: {error}") from error
            continue
        s = SIDES.index(side)
        length = float(np.linalg.norm(heads["middle1"] - heads["wrist"]))
        unit = unit_m or (1.0 if length < 0.5 else 0.01)
        theta[:, s] = pose
        theta[:, s, 0] = _in_toolkit(pose[:, 0])
        where[:, s] = places[:, found["wrist"]] * unit @ TO_TOOLKIT
        present[:, s] = True
    if not present.any():
        raise FileFormatError(
            f"{path.name} has no hand's bones by a name that is known (its bones: "
            f"{', '.join(b.name for b in bones[:6] if b.name)}, ...)"
        )
    return Motion(theta, where, present, 1.0 / seconds, path.stem)


def _in_toolkit(wrist: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return (Rotation.from_matrix(TO_TOOLKIT) * Rotation.from_rotvec(wrist)).as_rotvec()


def _hands(bones: list[Bone], unnamed: str) -> dict[str, dict[str, int]]:
    """By side: joint to the number of its bone; a last bone's end site is the fingertip.

    ``unnamed`` is the side of bones whose names tell none.
    """
    named: dict[str, dict[str, int]] = {}
    known = match_bones(bone.name for bone in bones if bone.name)
    for k, bone in enumerate(bones):
        if bone.name in known:
            side, joint = known[bone.name]
            named.setdefault(side or unnamed, {}).setdefault(joint, k)
    for found in named.values():
        for joint, k in list(found.items()):
            if joint.endswith("3"):
                after = next((e for e, b in enumerate(bones) if b.parent == k), None)
                if after is not None:
                    found.setdefault(f"{joint[:-1]}_tip", after)
    return named


def parse_bvh(path: Path) -> tuple[list[Bone], np.ndarray, float]:
    """Bones, the table (T, C) of their channels, and seconds a frame.

    Raises:
        FileFormatError: no BVH, or damaged.
    """
    text = path.read_bytes().decode("utf-8", "replace")
    head, word, body = text.partition("MOTION")
    if not head.lstrip("\ufeff").lstrip().startswith("HIERARCHY") or not word:
        raise FileFormatError(f"{path.name} is not a BVH file; it has no HIERARCHY and MOTION")
    try:
        bones = _hierarchy(head.split()[1:])
        words = body.split()
        count = int(words[words.index("Frames:") + 1])
        start = words.index("Time:") + 2
        seconds = float(words[start - 1])
        width = sum(len(bone.channels) for bone in bones)
        if not 1 <= count <= MAX_FRAMES or not 1e-5 < seconds < 100:
            raise ValueError(f"{count} frames of {seconds} s")
        if len(words) - start < count * width:
            raise ValueError(f"{len(words) - start} numbers for {count} frames of {width}")
        table = np.array(words[start : start + count * width], np.float64).reshape(count, width)
        if not np.isfinite(table).all():
            raise ValueError("numbers that are not finite")
    except PARSER_FAULTS as error:
        raise FileFormatError(f"{path.name} is a damaged BVH file ({str(error)[:100]})") from error
    return bones, table, seconds


def _hierarchy(words: list[str]) -> list[Bone]:
    bones: list[Bone] = []
    above: list[int] = []
    k = 0
    while k < len(words):
        word = words[k]
        if word in ("ROOT", "JOINT", "End"):
            name = [] if word == "End" else words[k + 1 : words.index("{", k)]
            bones.append(Bone(" ".join(name), above[-1] if above else -1))
            k = words.index("{", k)
            above.append(len(bones) - 1)
        elif word == "}":
            above.pop()
        elif word == "OFFSET":
            bones[above[-1]].offset = np.array(words[k + 1 : k + 4], np.float64)
            k += 3
        elif word == "CHANNELS":
            number = int(words[k + 1])
            bones[above[-1]].channels = tuple(words[k + 2 : k + 2 + number])
            k += 1 + number
        if len(bones) > MAX_BONES:
            raise ValueError(f"more than {MAX_BONES} bones")
        k += 1
    return bones


def _posed(bones: list[Bone], table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World rotations (T, B, 3, 3) from rest and places (T, B, 3), file units."""
    from scipy.spatial.transform import Rotation

    count = len(table)
    turns = np.tile(np.eye(3), (count, len(bones), 1, 1))
    places = np.zeros((count, len(bones), 3))
    at = 0
    for k, bone in enumerate(bones):
        columns = table[:, at : at + len(bone.channels)]
        at += len(bone.channels)
        local = np.tile(np.eye(3), (count, 1, 1))
        offset = np.tile(bone.offset, (count, 1))
        order = [c[0].upper() for c in bone.channels if c.endswith("rotation")]
        if order:
            angles = columns[:, [c.endswith("rotation") for c in bone.channels]]
            local = Rotation.from_euler("".join(order), angles, degrees=True).as_matrix()
        moved = [c for c in bone.channels if c.endswith("position")]
        if moved:
            for c, values in zip(bone.channels, columns.T):
                if c.endswith("position"):
                    offset[:, "XYZ".index(c[0].upper())] = values
        if bone.parent < 0:
            turns[:, k], places[:, k] = local, offset
        else:
            above = turns[:, bone.parent]
            turns[:, k] = above @ local
            places[:, k] = places[:, bone.parent] + (above @ offset[..., None])[..., 0]
    return turns, places

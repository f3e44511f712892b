"""Skeletons that other people's rigs have: one map of names, and the axes of their bones.

A hand here has MANO's sixteen joints. Others add metacarpals, which move with the wrist, and tips,
which move with the last joint; their bones may have axes of their own. Since each joint of theirs
follows exactly one of MANO's, nothing is lost either way.

Sources: WebXR Hand Input (W3C, "skeleton joints"); Unity's ``HumanBodyBones``; Unreal's mannequin
(UE 5); VRM 1.0 (``VRMC_vrm-1.0/humanoid.md``); Mixamo's FBX files; Blender's Rigify (deforming
bones); Auto-Rig Pro's controllers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .conventions import FINGERS
from .errors import InputError
from .options import Option

JOINTS = (
    "wrist",
    *("thumb1", "thumb2", "thumb3", "thumb_tip"),
    *(
        f"{finger}{part}"
        for finger in FINGERS[1:]
        for part in ("_metacarpal", "1", "2", "3", "_tip")
    ),
)
"""Every joint that a skeleton may have: MANO's, four metacarpals and five tips."""

METACARPAL_PART = 0.27
"""Where a metacarpal begins on the way from the wrist to the knuckle: the row of carpal bones."""


@dataclass(frozen=True)
class Skeleton:
    """Names and axes of a rig's hand bones.

    Attributes:
        name: the word after ``--skeleton``.
        title: whose it is.
        bone: side and one of ``JOINTS`` to the bone's name, or None where there is none.
        axes: how bones lie in their axes: "model" (the hand's own axes at rest), "-z" (WebXR: z
            backward, y out of the back of the hand), "y" (Blender: y along the bone, z out of
            the back), "x" (Unreal: x along a left hand's bones, against a right one's).
        t_pose: whether the hands are bound as a T-pose has them, palms down.
        flat: whether bones have no parents, each placed in the world.
    """

    name: str
    title: str
    bone: Callable[[str, str], str | None]
    axes: str = "model"
    t_pose: bool = True
    flat: bool = False

    def bones(self, side: str) -> dict[str, str]:
        """The bones' names by joint, in the order of ``JOINTS``."""
        named = ((joint, self.bone(side, joint)) for joint in JOINTS)
        return {joint: name for joint, name in named if name is not None}


FOREARMS = {
    "mano": "{side}_forearm {side}_forearm_mid {side}_forearm_twist",
    "unity": "{Side}LowerArm {Side}LowerArmTwist2 {Side}LowerArmTwist1",
    "unreal": "lowerarm_{s} lowerarm_twist_02_{s} lowerarm_twist_01_{s}",
    "vrm": "{side}LowerArm {side}LowerArmTwist2 {side}LowerArmTwist1",
    "mixamo": "mixamorig:{Side}ForeArm mixamorig:{Side}ForeArmTwist2 mixamorig:{Side}ForeArmTwist1",
    "rigify": "DEF-forearm.{S} DEF-forearm.{S}.001 DEF-forearm.{S}.002",
    "autorigpro": "forearm_stretch.{s} forearm_twist_2.{s} forearm_twist.{s}",
}
"""The forearm's bones: the one that bears the hand, and its twist midway and at the wrist. Programs
that know fewer twist bones find the others as plain bones."""


def forearm_bones(skeleton: str, side: str) -> tuple[str, ...]:
    """Names of the forearm's three bones; none in skeletons of hands alone (WebXR)."""
    words = FOREARMS.get(skeleton, "").split()
    letters = {"side": side, "Side": side.capitalize(), "s": side[0], "S": side[0].upper()}
    return tuple(word.format(**letters) for word in words)


def split_joint(joint: str) -> tuple[str, str]:
    """Finger and part: "index1" is ("index", "1"), "index_tip" ("index", "tip")."""
    if joint == "wrist":
        return "", "wrist"
    finger = next(f for f in FINGERS if joint.startswith(f))
    return finger, joint[len(finger) :].lstrip("_")


def _mano(side: str, joint: str) -> str | None:
    return None if joint.endswith(("tip", "metacarpal")) else f"{side}_{joint}"


def _webxr(side: str, joint: str) -> str | None:
    finger, part = split_joint(joint)
    if finger == "thumb":
        return {"1": "thumb-metacarpal", "2": "thumb-phalanx-proximal", "3": "thumb-phalanx-distal",
                "tip": "thumb-tip"}[part]  # fmt: skip
    names = {"1": "phalanx-proximal", "2": "phalanx-intermediate", "3": "phalanx-distal"}
    return f"{finger}-finger-{names.get(part, part)}" if finger else "wrist"


def _humanoid(side: str, joint: str, thumb: tuple[str, str, str], first: str) -> str | None:
    finger, part = split_joint(joint)
    if not finger:
        return f"{first}Hand"
    if not part.isdigit():
        return None
    finger = "little" if finger == "pinky" else finger
    names = thumb if finger == "thumb" else ("Proximal", "Intermediate", "Distal")
    return f"{first}{finger.capitalize()}{names[int(part) - 1]}"


def _unity(side: str, joint: str) -> str | None:
    return _humanoid(side, joint, ("Proximal", "Intermediate", "Distal"), side.capitalize())


def _vrm(side: str, joint: str) -> str | None:
    return _humanoid(side, joint, ("Metacarpal", "Proximal", "Distal"), side)


def _unreal(side: str, joint: str) -> str | None:
    finger, part = split_joint(joint)
    end = side[0]
    if not finger:
        return f"hand_{end}"
    if part == "tip":
        return None
    return f"{finger}_{part}_{end}" if part == "metacarpal" else f"{finger}_0{part}_{end}"


def _mixamo(side: str, joint: str) -> str | None:
    finger, part = split_joint(joint)
    base = f"mixamorig:{side.capitalize()}Hand"
    if not finger or part == "metacarpal":
        return None if finger else base
    return f"{base}{finger.capitalize()}{'4' if part == 'tip' else part}"


def _rigify(side: str, joint: str) -> str | None:
    finger, part = split_joint(joint)
    end = side[0].upper()
    if not finger:
        return f"DEF-hand.{end}"
    if part == "tip":
        return None
    if part == "metacarpal":
        return f"DEF-palm.0{FINGERS.index(finger)}.{end}"
    return f"DEF-{'' if finger == 'thumb' else 'f_'}{finger}.0{part}.{end}"


def _autorigpro(side: str, joint: str) -> str | None:
    finger, part = split_joint(joint)
    end = side[0]
    if not finger:
        return f"hand.{end}"
    if part == "tip":
        return None
    return f"c_{finger}1_base.{end}" if part == "metacarpal" else f"c_{finger}{part}.{end}"


SKELETONS = {
    skeleton.name: skeleton
    for skeleton in (
        Skeleton("mano", "MANO's, this toolkit's own", _mano, t_pose=False),
        Skeleton("webxr", "WebXR's hand", _webxr, "-z", t_pose=False, flat=True),
        Skeleton("unity", "Unity's humanoid", _unity),
        Skeleton("unreal", "Unreal's mannequin", _unreal, "x"),
        Skeleton("vrm", "VRM 1.0's humanoid", _vrm),
        Skeleton("mixamo", "Mixamo's", _mixamo, "y"),
        Skeleton("rigify", "Blender's Rigify", _rigify, "y"),
        Skeleton("autorigpro", "Auto-Rig Pro's", _autorigpro, "y"),
    )
}


SKELETON_OPTION = Option(
    "skeleton", str, "mano", "names, axes and rest of the bones (--skeleton)", tuple(SKELETONS)
)
"""The option of every format that has bones."""


def find_skeleton(name: str) -> Skeleton:
    """The skeleton of that name.

    Raises:
        InputError: there is none.
    """
    if name not in SKELETONS:
        raise InputError(f"unknown skeleton {name!r}; accepted are: {', '.join(SKELETONS)}")
    return SKELETONS[name]


def match_bones(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Side and joint of a rig's bones, by the map that knows the most of them.

    Letter case, the characters ``.-_: `` and prefixes of rigs (``DEF-``, ``ORG-``, ``mixamorig:``)
    make no difference. Of bones that come down to one name, the first counts.

    Args:
        names: the rig's bones.

    Returns:
        (side, joint) by bone; WebXR's names tell no side, which is "" then.
    """
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(_plain(name), name)
    best: dict[str, tuple[str, str]] = {}
    for skeleton in SKELETONS.values():
        found: dict[str, tuple[str, str]] = {}
        for side in ("right", "left"):
            for joint, bone in skeleton.bones(side).items():
                match = plain.get(_plain(bone))
                if match is not None:
                    found.setdefault(match, ("" if skeleton.flat else side, joint))
        if len(found) > len(best):
            best = found
    return best


def _plain(bone: str) -> str:
    name = bone.rsplit(":", 1)[-1].lower()
    for prefix in ("def-", "org-", "mch-", "mixamorig"):
        name = name.removeprefix(prefix)
    return "".join(c for c in name if c.isalnum())

"""What a host may ask for: one function per method of the protocol."""

from __future__ import annotations

import hashlib
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..avatar import Avatar
from ..core.conventions import MANO_JOINTS, MANO_PARENTS, SIDES, mirror_theta
from ..core.errors import InputError
from .contact import repaired_contact
from .following import followed
from .frames import FrameBlocks, FrameRenderer
from .grasping import grasped
from .natural import natural_pose
from .retargeting import matched_bones, retargeted
from .surfaces import describe_hand, reshape_hand
from .warm import warm

if TYPE_CHECKING:
    from .server import Job

Answer = tuple[dict[str, Any], dict[str, np.ndarray]]

BAKED_KEPT = 4
"""Skins whose pictures are kept, 8 MB each: an avatar that was just made is often opened again."""


class Session:
    """What one connection keeps between requests."""

    def __init__(self) -> None:
        self.avatars: dict[str, Avatar] = {}
        self._baked: dict[tuple[Any, ...], Answer] = {}
        self.blocks = FrameBlocks()
        self.renderer = FrameRenderer()
        self._quick: dict[str, Callable[[Job], Answer]] = {
            "open_avatar": self.open_avatar,
            "reshape": self.reshape,
            "render": self.render,
            "match_bones": matched_bones,
            "ping": lambda job: ({"python": sys.version.split()[0]}, {}),
        }
        self._long: dict[str, Callable[[Job], Answer]] = {
            "capabilities": capabilities,
            "fit": self.fit,
            "pose": pose,
            "motion": self.motion,
            "natural_pose": natural_pose,
            "retarget": retargeted,
            "grasp": self.grasp,
            "repair_contact": self.repair_contact,
            "texture": self.texture,
            "edit": self.edit,
            "skin_pictures": self.skin_pictures,
            "export": self.export,
        }
        self._live: dict[str, Callable[[Job], Answer]] = {"live": followed}

    def lane(self, method: str) -> str:
        """Where ``method`` runs: "quick", "long" (for seconds) or "live" (until it is stopped)."""
        if method in self._live:
            return "live"
        return "quick" if method in self._quick else "long"

    def call(self, job: Job) -> Answer:
        """Run one request.

        Raises:
            InputError: an unknown method or a missing parameter.
        """
        known_methods = {**self._quick, **self._long, **self._live}
        function = known_methods.get(job.method)
        if function is None:
            known = ", ".join(sorted(known_methods))
            raise InputError(f"the worker has no method {job.method!r}; it has: {known}")
        try:
            return function(job)
        except KeyError as error:
            if error.args and error.args[0] in job.params:
                raise
            raise InputError(f"method {job.method!r} needs the parameter {error}") from error

    def close(self) -> None:
        """Let go of the host's memory blocks."""
        self.blocks.close()

    def avatar(self, key: str) -> Avatar:
        """An avatar that was opened.

        Raises:
            InputError: the worker does not have it, e.g. because it was restarted since.
        """
        if key not in self.avatars:
            raise InputError(f"the avatar {key[:12]} is not open in this worker; open it first")
        return self.avatars[key]

    def grasp(self, job: Job) -> Answer:
        """See :func:`hand_toolkit.worker.grasping.grasped`."""
        return grasped(job, self.avatar(str(job.params["key"])))

    def motion(self, job: Job) -> Answer:
        """See :func:`motion`."""
        key = job.params.get("key")
        return motion(job, None if key is None else self.avatar(str(key)))

    def repair_contact(self, job: Job) -> Answer:
        """Both hands of an open avatar, parted; see :func:`.contact.repaired_contact`."""
        return repaired_contact(job, self.avatar(str(job.params["key"])).hand_model)

    def open_avatar(self, job: Job) -> Answer:
        """``path`` or the array ``file`` (``.hand`` bytes); ``describe`` asks for all arrays."""
        data = job.arrays.get("file")
        if data is not None:
            blob = data.tobytes()
            with tempfile.TemporaryDirectory(prefix="hand_toolkit_") as folder:
                path = Path(folder) / "packed.hand"
                path.write_bytes(blob)
                avatar = Avatar.load(path)
        else:
            path = Path(str(job.params["path"]))
            avatar = Avatar.load(path)
            blob = path.read_bytes()
        key = hashlib.sha256(blob).hexdigest()
        self.avatars[key] = avatar
        return self._described(key, bool(job.params.get("describe", True)))

    def _described(self, key: str, arrays_too: bool) -> Answer:
        """What a host needs of an open avatar to build it, arrays only if wanted."""
        avatar = self.avatars[key]
        value: dict[str, Any] = {
            "key": key,
            "hand_model": avatar.hand_model,
            "level": int(avatar.level),
            "sides": list(avatar.sides),
            "splats": {h.side: len(h) for h in avatar.hands},
            "observed": {h.side: bool(h.observed) for h in avatar.hands},
            "provenance": dict(avatar.provenance),
            "joints": list(MANO_JOINTS),
            "parents": MANO_PARENTS.tolist(),
            "camera": {
                **{
                    k: float(getattr(avatar.camera, k))
                    for k in ("fx", "fy", "cx", "cy", "width", "height")
                },
                "world_to_camera": avatar.camera.world_to_camera.tolist(),
            },
        }
        arrays: dict[str, np.ndarray] = {}
        if arrays_too:
            value["hands"] = {}
            for side in avatar.sides:
                value["hands"][side], parts = describe_hand(avatar, side)
                arrays.update({f"{side}.{name}": part for name, part in parts.items()})
            arrays["light"] = avatar.light
            if avatar.preview:
                arrays["preview"] = np.frombuffer(avatar.preview, np.uint8)
        return value, arrays

    def fit(self, job: Job) -> Answer:
        """Fit ``photo``, or all of ``photos``, and save the avatar as ``output``.

        The avatar stays open under its key, and the answer is that of ``open_avatar``.
        """
        from ..media.pictures import is_video
        from ..pipeline import fit_photo, fit_photos

        begin = time.perf_counter()
        job.progress(0.0, "starting")
        names = (
            "hands",
            "pose_source",
            "hand_model",
            "method",
            "settings",
            "segmenter",
            "quality",
            "seed",
            "device",
        )
        options = {n: job.params[n] for n in names if job.params.get(n) not in (None, "")}
        photos = [str(p) for p in job.params.get("photos") or [job.params["photo"]]]
        single = len(photos) == 1 and not Path(photos[0]).is_dir() and not is_video(photos[0])
        if single:
            result = fit_photo(photos[0], progress=job.progress, **options)
        else:
            result = fit_photos(photos, progress=job.progress, **options)
        job.progress(0.99, "saving the avatar")
        path = result.avatar.save(Path(str(job.params["output"])))
        key = hashlib.sha256(path.read_bytes()).hexdigest()
        self.avatars[key] = result.avatar
        value, arrays = self._described(key, bool(job.params.get("describe", True)))
        value |= {
            "path": str(path),
            "total_splats": len(result.avatar),
            "left_out": list(result.views.left_out),
            "seconds": time.perf_counter() - begin,
        }
        return value, arrays

    def reshape(self, job: Job) -> Answer:
        """Rest surfaces and joints of ``key``'s hands ``sides`` with the array ``shape`` (S,)."""
        avatar = self.avatar(str(job.params["key"]))
        answer: dict[str, np.ndarray] = {}
        for side in job.params["sides"]:
            parts = reshape_hand(avatar, str(side), job.arrays["shape"])
            answer |= {f"{side}.{name}": part for name, part in parts.items()}
        return {}, answer

    def render(self, job: Job) -> Answer:
        """One frame into the host's memory block; see :class:`FrameRenderer`."""
        hands = [
            (self.avatar(str(h["key"])), h, job.arrays[f"vertices{i}"])
            for i, h in enumerate(job.params["hands"])
        ]
        camera = job.params["camera"]
        pixels, depth = self.blocks.frame(job.params, int(camera["width"]), int(camera["height"]))
        timings = self.renderer.draw(hands, job.params, job.arrays, pixels, depth)
        if pixels.base is None:
            return {"ms": timings}, {"pixels": pixels, "depth": depth}
        return {"ms": timings}, {}

    def edit(self, job: Job) -> Answer:
        """Change ``key`` by ``edits``, the fields of :class:`EditRequest`; saved as ``output``."""
        from ..edit import EDITS_KEY, EditRequest, edited, finished

        asked = dict(job.params["edits"])
        for name in ("paints", "shapes", "paint_outs", "paint_out_skins"):
            asked[name] = tuple(asked.get(name) or ())
        asked["decals"] = tuple(tuple(str(v) for v in d) for d in asked.get("decals") or ())
        try:
            request = EditRequest(**asked)
        except TypeError as error:
            raise InputError(f"that is no edit: {error}") from error
        before = self.avatar(str(job.params["key"]))
        job.progress(0.1, "editing the avatar")
        after = edited(before, request)
        if after is before:
            raise InputError("nothing was asked for; choose a tone, a lacquer, paint or a decal")
        path = finished(after).save(Path(str(job.params["output"])))
        return {"path": str(path), "edits": after.provenance[EDITS_KEY]}, {}

    def skin_pictures(self, job: Job) -> Answer:
        """Write ``key``'s skin into ``folder``, to paint on."""
        from ..edit import export_textures

        job.progress(0.1, "writing the skin's pictures")
        avatar = self.avatar(str(job.params["key"]))
        size = int(job.params.get("size", 2048))
        written = export_textures(avatar, str(job.params["folder"]), size)
        return {"paths": [str(p) for p in written]}, {}

    def texture(self, job: Job) -> Answer:
        """Base colour of hand ``side``, baked to ``size`` squared: (H, W, 4) uint8, top first.

        With ``share``, a hand that is the mirror image of the other has ``like``, the other's
        side, in place of a texture: the other's is its own. With ``relief`` there is also
        ``relief`` (H, W, 4) uint8: tangent-space normals, +y up the v axis, and roughness.
        """
        asked = tuple(job.params.get(name) for name in ("key", "side", "size", "share", "relief"))
        if asked not in self._baked:
            while len(self._baked) >= BAKED_KEPT:
                del self._baked[next(iter(self._baked))]
            self._baked[asked] = self._bake(job)
        return self._baked[asked]

    def _bake(self, job: Job) -> Answer:
        from ..avatar.mirror import same_skin
        from .surfaces import bake, bake_material

        avatar = self.avatar(str(job.params["key"]))
        if job.params.get("share"):
            other = same_skin(avatar, str(job.params["side"]))
            if other is not None:
                return {"like": other}, {}
        job.progress(0.1, "baking the skin texture")
        side, size = str(job.params["side"]), int(job.params.get("size", 1024))
        if job.params.get("relief"):
            return {}, bake_material(avatar, side, size)
        return {}, {"texture": bake(avatar, side, size)}

    def export(self, job: Job) -> Answer:
        """Write ``key`` as ``format`` to ``path``, with the arrays of a motion if given."""
        from ..export import export_avatar

        avatar = self.avatar(str(job.params["key"]))
        moving = None
        if "theta" in job.arrays:
            from ..animate import Motion

            moving = Motion(
                job.arrays["theta"],
                job.arrays["translation"],
                job.arrays["present"],
                float(job.params.get("fps", 24.0)),
                "Blender",
            )
        target = Path(str(job.params["path"]))
        written = export_avatar(
            avatar,
            target,
            format=str(job.params["format"]),
            motion=moving,
            pose=_pose_of(job.arrays),
            what=str(job.params.get("what") or "both"),
            sides=job.params.get("sides"),
            options=job.params.get("options") or {},
            progress=lambda fraction, text: job.progress(fraction, f"{target.name}: {text}"),
        )
        return {"paths": [str(p) for p in written]}, {}


def _pose_of(arrays: Any) -> dict[str, np.ndarray] | None:
    """Side -> θ of the arrays ``pose.right`` and ``pose.left``."""
    return {s: arrays[f"pose.{s}"] for s in SIDES if f"pose.{s}" in arrays} or None


def capabilities(job: Job) -> Answer:
    """What is installed: pose sources, hand models, methods, exporters, motions, failures.

    Hosts ask it when somebody begins to choose a file: meanwhile what the answer needs is loaded.
    """
    threading.Thread(target=warm, name="warm", daemon=True).start()
    from ..animate import MOTIONS, pose_names
    from ..core.registry import registry

    table = registry()
    return {
        "pose_sources": table.names("pose_sources"),
        "hand_models": table.names("hand_models"),
        "segmenters": table.names("segmenters"),
        "methods": _methods(),
        "formats": _formats(),
        "motions": list(MOTIONS),
        "poses": list(pose_names()),
        "plugins": [
            {"name": p.name, "package": p.package, "error": p.error} for p in table.plugins
        ],
    }, {}


def _methods() -> list[dict[str, Any]]:
    from ..core.registry import registry

    table = registry()
    return [
        {
            "name": name,
            "description": table.get("methods", name).description,
            "options": [option.described() for option in table.get("methods", name).options],
        }
        for name in table.names("methods")
    ]


def _formats() -> list[dict[str, Any]]:
    from ..export import formats

    return [
        {
            "name": info.name,
            "description": info.description,
            "suffixes": list(info.suffixes),
            "contents": list(info.contents),
            "animated": info.animated,
            "options": [option.described() for option in info.options],
        }
        for info in formats()
    ]


def pose(job: Job) -> Answer:
    """θ of every frame of the picture, video or folder ``path``."""
    from ..pose import SeeConfig, motion_of, view_poses

    options = {
        name: job.params[name]
        for name in ("pose_source", "hand_model")
        if job.params.get(name) not in (None, "")
    }
    path = Path(str(job.params["path"]))
    views = view_poses(path, SeeConfig(**options), progress=job.progress)
    return _motion_answer(motion_of(views))


def motion(job: Job, avatar: Avatar | None = None) -> Answer:
    """A built-in motion or pose by ``name``, or a motion file ``path``; ``fps`` resamples it.

    With an avatar's ``key`` a pose is that of its shape, which ends where skin meets skin.
    """
    from ..animate import (
        MOTIONS,
        avatar_pose,
        builtin_motion,
        finger_pose,
        load_motion,
        pose_names,
        resample,
        with_forearms,
    )
    from ..hand_model.arm import ARM_SUFFIX

    name, fps = job.params.get("name"), job.params.get("fps")
    if name in pose_names():
        right = finger_pose(str(name))
        both = dict(zip(SIDES, (right, mirror_theta(right))))
        if avatar is not None:
            both |= {side: avatar_pose(avatar, side, str(name)) for side in avatar.sides}
        return {"name": name, "fps": 1.0}, {
            "theta": np.stack([both[side] for side in SIDES])[None],
            "translation": np.zeros((1, 2, 3)),
            "present": np.ones((1, 2), bool),
        }
    if name is not None and name not in MOTIONS and not str(name).lower().startswith("asl:"):
        raise InputError(
            f"unknown motion {name!r}; there are: {', '.join((*MOTIONS, *pose_names()))}, and files"
        )
    result = builtin_motion(str(name)) if name else load_motion(Path(str(job.params["path"])))
    if fps:
        result = resample(result, fps=float(fps))
    if avatar is not None and avatar.hand_model.endswith(ARM_SUFFIX):
        result = with_forearms(result)
    return _motion_answer(result)


def _motion_answer(result: Any) -> Answer:
    return {"name": str(getattr(result, "name", "motion")), "fps": float(result.fps)}, {
        "theta": np.asarray(result.theta),
        "translation": np.asarray(result.translation),
        "present": np.asarray(result.present),
    }

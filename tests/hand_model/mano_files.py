"""Makes hands in MANO's file format: the default hand thinned to MANO's counts, with random
shape and pose directions, and the ways in which its files have been pickled."""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from hand_toolkit.core.conventions import MANO_PARENTS
from hand_toolkit.hand_model import load_hand_model
from hand_toolkit.hand_model.mano import TIP_VERTICES

VERTICES = 778
DEFAULT_TIPS = (782, 29, 221, 416, 605)


def thin(vertices: np.ndarray, faces: np.ndarray, keep: set[int], target: int) -> np.ndarray:
    """Faces left after collapsing shortest edges until ``target`` vertices remain.

    Boundary edges are collapsed until 16 are left, which gives MANO's 1538 faces.
    """
    around: dict[int, set[int]] = {v: set() for v in range(len(vertices))}
    table = {i: tuple(map(int, f)) for i, f in enumerate(faces)}
    for i, f in table.items():
        for v in f:
            around[v].add(i)

    def neighbours(v: int) -> set[int]:
        return {w for i in around[v] for w in table[i]} - {v}

    def shared(a: int, b: int) -> set[int]:
        return around[a] & around[b]

    def rim(v: int) -> bool:
        return any(len(shared(v, w)) == 1 for w in neighbours(v))

    def normal(f: tuple[int, ...]) -> np.ndarray:
        a, b, c = vertices[list(f)]
        return np.cross(b - a, c - a)

    def collapse(gone: int, stays: int) -> bool:
        common = neighbours(gone) & neighbours(stays)
        if gone in keep or len(common) != len(shared(gone, stays)):
            return False
        changed = [i for i in around[gone] if i not in around[stays]]
        for i in changed:
            new = tuple(stays if v == gone else v for v in table[i])
            old_n, new_n = normal(table[i]), normal(new)
            if old_n @ new_n < 0.3 * np.linalg.norm(old_n) * np.linalg.norm(new_n):
                return False
        for i in list(shared(gone, stays)):
            for v in table.pop(i):
                around[v].discard(i)
        for i in changed:
            table[i] = tuple(stays if v == gone else v for v in table[i])
            around[stays].add(i)
        del around[gone]
        return True

    border = 20
    while len(around) > target:
        edges = {(min(a, w), max(a, w)) for a in around for w in neighbours(a)}
        order = sorted(edges, key=lambda e: float(np.linalg.norm(vertices[e[0]] - vertices[e[1]])))
        touched: set[int] = set()
        for a, b in order:
            if len(around) == target:
                break
            if a in touched or b in touched or a not in around or b not in around:
                continue
            on_rim = rim(a), rim(b)
            if all(on_rim) and (len(shared(a, b)) != 1 or border <= 16):
                continue
            if not all(on_rim) and border > 16 and len(around) - target <= border - 16:
                continue
            gone, stays = (b, a) if on_rim[0] else (a, b)
            ring = neighbours(gone) | {stays}
            if collapse(gone, stays):
                border -= all(on_rim)
                touched |= ring
    return np.array(list(table.values()))


def mano_arrays(seed: int = 0) -> dict[str, Any]:
    """A right hand with MANO's keys, shapes and conventions, as plain arrays."""
    rng = np.random.default_rng(seed)
    model = load_hand_model()
    faces = thin(model.template.astype(float), model.faces, set(DEFAULT_TIPS), VERTICES)
    used = np.unique(faces)
    tips = dict(zip(TIP_VERTICES, DEFAULT_TIPS))
    others = iter([v for v in used if v not in DEFAULT_TIPS])
    order = np.array([tips[i] if i in tips else next(others) for i in range(VERTICES)])
    rank = {int(v): i for i, v in enumerate(order)}
    faces = np.vectorize(rank.__getitem__)(faces)
    template = model.template[order].astype(float) + np.array([0.095, 0.006, 0.006])
    joints = model.keypoint_template[[0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3]]
    regressor = np.zeros((16, VERTICES))
    for j, joint in enumerate(joints):
        near = np.argsort(np.linalg.norm(model.template[order] - joint, axis=1))[:24]
        regressor[j, near] = rng.dirichlet(np.full(24, 4.0))
    weights = model.weights[order].astype(float)
    smooth = model.shape_dirs[[10, 8, 1, 2, 4, 14, 17, 26, 28, 30]][:, order]
    shapedirs = np.moveaxis(smooth + rng.normal(0, 3e-4, smooth.shape), 0, 2)
    return {
        "v_template": template,
        "shapedirs": shapedirs,
        "posedirs": rng.normal(0, 5e-4, (VERTICES, 3, 135)),
        "J_regressor": regressor,
        "weights": weights / weights.sum(1, keepdims=True),
        "f": faces.astype(np.uint32),
        "kintree_table": np.array([MANO_PARENTS % 2**32, np.arange(16)], np.int64),
        "hands_mean": rng.normal(0, 0.2, 45),
        "hands_components": np.linalg.qr(rng.normal(size=(45, 45)))[0],
        "hands_coeffs": rng.normal(size=(20, 45)),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


def mirrored_arrays(right: dict[str, Any]) -> dict[str, Any]:
    """The left hand of ``right``."""
    left = dict(right)
    flip = np.array([-1.0, 1.0, 1.0])
    signs = np.tile(np.outer(flip, flip).ravel(), 15)
    left["v_template"] = right["v_template"] * flip
    left["shapedirs"] = right["shapedirs"] * flip[:, None]
    left["posedirs"] = right["posedirs"] * flip[:, None] * signs
    left["f"] = right["f"][:, [0, 2, 1]]
    return left


def with_sign_bug(left: dict[str, Any]) -> dict[str, Any]:
    """``left`` with the x of ``shapedirs`` as in the published MANO_LEFT.pkl."""
    return {**left, "shapedirs": left["shapedirs"] * np.array([-1.0, 1.0, 1.0])[:, None]}


def write_plain(path: Path, arrays: dict[str, Any], protocol: int = 2) -> Path:
    """A pickle without chumpy, the joint regressor sparse as in MANO's files."""
    data = {**arrays, "J_regressor": scipy.sparse.csc_matrix(arrays["J_regressor"])}
    path.write_bytes(pickle.dumps(data, protocol=protocol))
    return path


def write_chumpy(path: Path, arrays: dict[str, Any]) -> Path:
    """As the published files: some arrays are objects of the package chumpy."""
    modules = {
        name: types.ModuleType(name) for name in ("chumpy", "chumpy.ch", "chumpy.reordering")
    }

    def fake(module: str, name: str) -> type:
        cls = type(name, (), {"__module__": module})
        setattr(modules[module], name, cls)
        return cls

    ch, select = fake("chumpy.ch", "Ch"), fake("chumpy.reordering", "Select")
    template, base, picked = ch(), ch(), select()
    template.__dict__.update(x=arrays["v_template"], _status="new")
    base.__dict__.update(x=arrays["shapedirs"])
    count = arrays["shapedirs"].size
    picked.__dict__.update(a=base, idxs=np.arange(count), preferred_shape=(VERTICES, 3, 10))
    data = {
        **arrays,
        "v_template": template,
        "shapedirs": picked,
        "J_regressor": scipy.sparse.csc_matrix(arrays["J_regressor"]),
    }
    saved = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        path.write_bytes(pickle.dumps(data, protocol=2))
    finally:
        for name, module in saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    return path

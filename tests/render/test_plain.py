"""The kernels without the vector type, with every array access checked, agree with the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from scenes import FIELDS, in_torch, psnr, random_camera, random_splats
from hand_toolkit.render import render, vector
from hand_toolkit.core.types import Splats
assert not vector.VECTOR
for coefficients, antialiased in ((0, False), (4, True)):
    raw, camera = random_splats(150, 2, coefficients), random_camera(50, 70, 2)
    raw.means[5, 0] = np.nan
    grads = []
    for backend, dtype in (("reference", "float64"), ("cpu", "float32")):
        leaves = in_torch(raw, dtype, True)
        out = render(leaves, camera, (0.3, 0.2, 0.1), backend=backend, antialiased=antialiased,
                     with_ids=True, with_median_depth=True)
        ((out.color ** 2).sum() + out.depth.sum() + out.alpha.sum()).backward()
        grads.append(([getattr(leaves, n).grad.double() for n in FIELDS], out))
    (want, picture), (got, other) = grads
    assert psnr(other.color.detach(), picture.color.detach().numpy()) > 60
    assert psnr(other.depth.detach(), picture.depth.detach().numpy(), 2) > 60
    assert (other.ids == picture.ids).float().mean() > 0.99
    assert ((other.median_depth - picture.median_depth).abs() < 1e-4).float().mean() > 0.99
    for name, a, b in zip(FIELDS, want, got):
        assert (a - b).norm() <= 1e-3 * a.norm(), name

from test_avatar_renderer import CAMERA, eight_bit, make_avatar, pose
from hand_toolkit.render import AvatarRenderer
avatar = make_avatar(300)
renderer = AvatarRenderer(avatar, CAMERA)
theta, translation = pose(1)
want = eight_bit(render(avatar.splats(theta, translation), CAMERA, antialiased=True).color)
assert (renderer.render(theta, translation) == want).all() and want.any()
assert all((p == want).all() for p in renderer.stream([(theta, translation)] * 2))
assert renderer.render_planes(theta, translation).alpha.any()
"""


def test_plain_kernels_with_bounds_checks() -> None:
    environment = {**os.environ, "HAND_TOOLKIT_RENDER_PLAIN": "1", "NUMBA_BOUNDSCHECK": "1"}
    here = str(Path(__file__).parent)
    subprocess.run([sys.executable, "-c", CODE, here], env=environment, check=True, timeout=500)


def test_a_failing_vector_type_is_announced() -> None:
    """What LLVM refuses is a warning and the plain kernels, not an exception."""
    code = """
import logging
logging.basicConfig()
from hand_toolkit.render import jit
real = jit.kernel
def refusing(function):
    if function.__name__ == "_probe":
        def fail(*_):
            raise RuntimeError("LLVM cannot select v16f32")
        return fail
    return real(function)
jit.kernel = refusing
from hand_toolkit.render import vector
assert vector.VECTOR is False
"""
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    )
    assert "the vector type does not compile on this machine" in result.stderr
    assert "LLVM cannot select v16f32" in result.stderr

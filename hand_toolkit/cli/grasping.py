"""``grasp``: a hand that closes around an object of a mesh file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from ..core.errors import FileFormatError, InputError
from .common import check_output

_path = click.Path(path_type=Path)
MOST_BYTES = 1 << 29


@click.command()
@click.argument("mesh", type=_path)
@click.option("-o", "--output", type=_path, required=True, help="Motion file (.npz), one frame.")
@click.option("--side", type=click.Choice(["right", "left"]), default="right", show_default=True)
@click.option("--hand", "avatar", type=_path, help="Avatar whose hand it is; else the mean hand.")
@click.option(
    "--start",
    type=_path,
    help="Motion file with the open hand and its place, in the mesh's axes; else the hand is "
    "placed at the object.",
)
@click.option("--frame", default=0, show_default=True, help="Frame of --start.")
@click.option(
    "--scale", default=1.0, show_default=True, help="Metres of one of the mesh's units, e.g. 0.01."
)
def grasp(
    mesh: Path,
    output: Path,
    side: str,
    avatar: Path | None,
    start: Path | None,
    frame: int,
    scale: float,
) -> None:
    """Close a hand around the object in MESH (.obj .ply .stl .glb .off).

    Fingers curl within their limits until they touch, each part for itself; nothing is inside the
    object. The pose, in the mesh's axes and metres, renders and exports like any motion.

    \b
    hand-toolkit grasp cup.obj -o grasp.npz --scale 0.01
    hand-toolkit render me.hand -o grasp.png --pose grasp.npz
    """
    check_output(output, (".npz",))
    if not (np.isfinite(scale) and scale > 0):
        raise InputError(f"--scale is {scale}; give a positive number")
    from ..animate import Motion, load_motion, save_motion
    from ..core.conventions import SIDES
    from ..hand_model.grasp import close_until_contact, grasp_object

    vertices, faces = _read_mesh(mesh)
    vertices = vertices * scale
    how: dict[str, Any] = {"side": side}
    if avatar is not None:
        from ..avatar import Avatar

        loaded = Avatar.load(avatar)
        how.update(hand_model=loaded.hand_model, shape=loaded.hand(side).shape)
    if start is None:
        found = grasp_object(vertices, faces, **how)
    else:
        theta, where = load_motion(start).frame(frame)
        if side not in theta:
            raise InputError(f"{start.name} has no {side} hand in frame {frame}; give --side")
        found = close_until_contact(vertices, faces, theta[side][:16], where[side], **how)
    k = SIDES.index(side)
    poses, places = np.zeros((1, 2, 16, 3)), np.zeros((1, 2, 3))
    present = np.zeros((1, 2), bool)
    poses[0, k], places[0, k], present[0, k] = found.theta, found.translation, True
    save_motion(Motion(poses, places, present, 30.0, f"grasp of {mesh.name}"), output)
    touch = ", ".join(found.touching) or "no finger"
    click.echo(f"{output}: {touch} touch{'es' if len(found.touching) < 2 else ''} {mesh.name}")


def _read_mesh(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and triangles (F, 3) of a file, its parts joined."""
    import trimesh

    if not path.is_file():
        raise InputError(f"the mesh {path} does not exist; check the path")
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path.name} has more than 512 MiB; give a simpler mesh")
    try:
        loaded: Any = trimesh.load(path, force="mesh", process=False, skip_materials=True)
        vertices, faces = (
            np.asarray(loaded.vertices, np.float64),
            np.asarray(loaded.faces, np.int64),
        )
    except Exception as error:  # readers of strangers' files raise whatever they stumble over
        detail = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise FileFormatError(
            f"{path.name} is not a mesh that can be read ({detail}); accepted are .obj, .ply, "
            ".stl, .glb and .off"
        ) from error
    if not len(faces):
        raise FileFormatError(f"{path.name} has no triangles; give a mesh with faces")
    return vertices, faces


COMMANDS = (grasp,)

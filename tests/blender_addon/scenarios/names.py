"""What a script chooses from menus that the toolkit fills later, and names of new avatars."""

import bpy
from common import ARGS, FOLDER, import_hand, scenario

from blender_addon import link, scene_data


def run():
    import_hand(ARGS[0])
    report = {}
    for name in ("glb", "bvh", "glb"):
        target = FOLDER / f"first.{name}"
        assert bpy.ops.hand_toolkit.export(format=name, filepath=str(target), animation=False) == {
            "FINISHED"
        }
        report.setdefault("heads", []).append(target.read_bytes()[:4].decode())
        report.setdefault("asked", []).append(link.offers() is not None)
    taken = FOLDER / "photo.hand"
    report["free"] = [scene_data.free_name(str(taken))]
    taken.write_bytes(b"another's")
    report["free"].append(scene_data.free_name(str(taken)))
    return report


scenario(run)

"""An avatar from a picture, quickly."""

import bpy
from common import ARGS, scenario


def run():
    create = bpy.ops.hand_toolkit.create_from_image
    assert create(filepath=ARGS[0], output=ARGS[1], quality="draft") == {"FINISHED"}


scenario(run)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a scene: how our engine renders it."""

from __future__ import annotations

import bpy

from .pose_operators import PLACE, PLACES
from .scene_data import RELATIVE


class HandToolkitScene(bpy.types.PropertyGroup):
    """Render settings, saved with the scene."""

    light: bpy.props.EnumProperty(
        name="Light",
        description="What lights the hands",
        items=(
            (
                "PHOTO",
                "As photographed",
                "The photo's own light, from where it shone on the camera, on the posed skin",
            ),
            (
                "BAKED",
                "Baked",
                "The photo's colours, light and shade included, fixed to the skin",
            ),
            (
                "SCENE",
                "From this scene",
                "The skin without the photo's light, lit by this scene's world and lamps",
            ),
        ),
        default="PHOTO",
    )
    gloss: bpy.props.FloatProperty(
        name="Gloss",
        description="How much the skin shines in the light of this scene; 0 is matt",
        default=1.0,
        min=0.0,
        soft_max=3.0,
        max=20.0,
    )
    shadows: bpy.props.BoolProperty(
        name="Shadows",
        description="Lamps and world are shadowed by the hands themselves and by the scene's "
        "objects",
        default=True,
    )
    trim: bpy.props.BoolProperty(
        name="Trim to Skin",
        description="End the hands where their mesh ends, without the pixel of fringe that splats "
        "have; with the scene they always do",
        default=False,
    )
    light_scene: bpy.props.PointerProperty(
        name="Light scene",
        description="The scene whose hands this one holds, for Render with the Scene",
        type=bpy.types.Scene,
    )
    blur_samples: bpy.props.IntProperty(
        name="Motion blur samples",
        description="Moments within the shutter that are averaged, where motion blur is on",
        default=8,
        min=2,
        max=64,
    )
    viewport_scale: bpy.props.EnumProperty(
        name="Viewport",
        description="Resolution of the rendered viewport",
        items=(("1", "Full", "Every pixel"), ("2", "Half", "Faster"), ("4", "Quarter", "Fastest")),
        default="1",
    )
    live_source: bpy.props.StringProperty(
        name="Camera or video",
        description="A camera's number (0 is the first), or a video that is played as one",
        default="0",
        subtype="FILE_PATH",
        options=RELATIVE,
    )
    live_mirrored: bpy.props.BoolProperty(
        name="Mirrored", description="The camera gives a mirror image", default=False
    )
    live_wrist: bpy.props.BoolProperty(
        name="Wrist", description="Off takes the fingers alone, e.g. on a body", default=True
    )
    live_place: bpy.props.EnumProperty(
        name="Place", description=PLACE, items=PLACES, default="CENTER"
    )
    export_format: bpy.props.StringProperty(name="Format", default="glb")


CLASSES = (HandToolkitScene,)

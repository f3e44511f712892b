# SPDX-License-Identifier: GPL-3.0-or-later
"""Shape and skin: the hand model's parameters as sliders, the baked texture."""

from __future__ import annotations

import bpy
import numpy as np

from . import bringing, build, link, look, pair, scene_data
from .base import HandOperator, NeedsHand, WorkerOperator, active_hand
from .errors import HandError

_quiet = False


def _shape_changed(self, _context):
    """A slider moved: reshape a moment later, once for many moves. Scripts call the operator."""
    if _quiet or bpy.app.background:
        return
    if not bpy.app.timers.is_registered(_reshape_later):
        bpy.app.timers.register(_reshape_later, first_interval=0.15)


def _reshape_later():
    context = bpy.context
    if active_hand(context) is not None and context.mode == "OBJECT":
        bpy.ops.hand_toolkit.apply_shape()
    return


class HandToolkitShapeParameter(bpy.types.PropertyGroup):
    """One slider of the hand model's shape, in standard deviations."""

    value: bpy.props.FloatProperty(
        name="Value",
        description="In standard deviations from the average hand; 0 is the average",
        soft_min=-3.0,
        soft_max=3.0,
        min=-8.0,
        max=8.0,
        update=_shape_changed,
    )


def shape_of(surface):
    """(S,) shape parameters that the mesh has."""
    return np.array(surface["hand_shape"], np.float64)


def sigmas_of(surface):
    """(S,) standard deviations of the parameters."""
    return np.maximum(np.array(surface["hand_shape_sigmas"], np.float64), 1e-9)


def fill_sliders(surface):
    """Make the sliders show the shape that the mesh has."""
    global _quiet
    _quiet = True
    try:
        sliders = surface.hand_toolkit_shape
        sliders.clear()
        values = shape_of(surface) / sigmas_of(surface)
        for name, value in zip(surface["hand_shape_names"], values):
            item = sliders.add()
            item.name = name
            item.value = value
    finally:
        _quiet = False


class HAND_TOOLKIT_OT_edit_shape(NeedsHand, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.edit_shape"
    bl_label = "Edit Shape"
    bl_description = "Show a slider for every shape parameter of the hand model"

    def run(self, context):
        fill_sliders(scene_data.surface_of(active_hand(context)))


class HAND_TOOLKIT_OT_apply_shape(NeedsHand, WorkerOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.apply_shape"
    bl_label = "Apply Shape"
    bl_description = "Give the hands the shape of the sliders; their pose and keys stay"
    title = "Shaping the hand"

    values: bpy.props.StringProperty(
        name="Values",
        description="Parameters as 'name=value, ...' in standard deviations; empty takes the "
        "sliders",
        options={"SKIP_SAVE"},
    )
    both: bpy.props.BoolProperty(
        name="Both hands",
        description="Off shapes only the selected hand",
        default=True,
    )

    def invoke(self, context, event):
        return self.execute(context)  # the answer comes in milliseconds

    def ask(self, context):
        hand = active_hand(context)
        surface = scene_data.surface_of(hand)
        sigma, shape = sigmas_of(surface), shape_of(surface)
        names = list(surface["hand_shape_names"])
        if self.values:
            for name, value in _parse(self.values, names):
                shape[names.index(name)] = value * sigma[names.index(name)]
        elif len(surface.hand_toolkit_shape) == len(shape):
            shape = np.array([item.value for item in surface.hand_toolkit_shape]) * sigma
        else:
            raise HandError("no shape was given; press Edit Shape first, or give values")
        self.shape = shape
        root = scene_data.root_of(hand)
        key = link.open_avatar(root)
        self.hands = {pair.side_of(hand): hand}
        if self.both:
            self.hands |= {pair.side_of(r): r for r in scene_data.rigs_of(root)}
        return "reshape", {"key": key, "sides": sorted(self.hands)}, {"shape": shape}

    def take(self, context, value, arrays):
        for side, hand in self.hands.items():
            part = {name: arrays[f"{side}.{name}"] for name in ("vertices", "joints", "keypoints")}
            build.reshape(context, hand, part, self.shape)
            if len(scene_data.surface_of(hand).hand_toolkit_shape):
                fill_sliders(scene_data.surface_of(hand))


def _parse(text, names):
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition("="))
        if name not in names:
            raise HandError(f"the hand has no shape parameter '{name}'; it has: {', '.join(names)}")
        try:
            yield name, float(number)
        except ValueError:
            raise HandError(f"'{part.strip()}' is no 'name=number'") from None


class HAND_TOOLKIT_OT_reset_tone(NeedsHand, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.reset_tone"
    bl_label = "Reset Skin Tone"
    bl_description = "The skin as the photo shows it"

    def run(self, context):
        for hand in scene_data.rigs_of(scene_data.root_of(active_hand(context))):
            look.tone_owner(scene_data.surface_of(hand)).color = (1.0, 1.0, 1.0, 1.0)


class HAND_TOOLKIT_OT_bake_texture(NeedsHand, HandOperator, bpy.types.Operator):
    bl_idname = "hand_toolkit.bake_texture"
    bl_label = "Bake Skin Texture"
    bl_description = "Bake the splats into the mesh's texture again"

    def run(self, context):
        root = scene_data.root_of(active_hand(context))
        sides = [pair.side_of(r) for r in scene_data.rigs_of(root)]
        bringing.await_textures(root, bringing.ask_textures(link.open_avatar(root), sides))


CLASSES = (
    HandToolkitShapeParameter,
    HAND_TOOLKIT_OT_edit_shape,
    HAND_TOOLKIT_OT_apply_shape,
    HAND_TOOLKIT_OT_reset_tone,
    HAND_TOOLKIT_OT_bake_texture,
)

"""Live: a video played as a camera drives the rig, is recorded, and ends in every way it can."""

import os
import signal
import time

import bpy
import numpy as np
from common import ARGS, import_hand, refused, scenario

from blender_addon import axes, link, live, rig, scene_data


def served(session, until, seconds=60.0):
    """Serve a session as the window's timer does, until something holds."""
    end = time.monotonic() + seconds
    longest = 0.0
    while time.monotonic() < end and not until():
        begin = time.thread_time()  # of this thread alone: other programs may be running
        goes_on = session.step(bpy.context)
        longest = max(longest, time.thread_time() - begin)
        if not goes_on:
            break
        time.sleep(1 / 60)
    return longest


def begin(root, **params):
    given = {"source": ARGS[1], "hands": 1, "every_frame": True, **params}
    session = live.Session(root, link.worker().submit("live", given), "CENTER")
    live.begin(session)
    return session


def run():
    root, rigs = import_hand(ARGS[0])
    right, left = rigs["right"], rigs["left"]
    scene = bpy.context.scene
    scene.render.fps, scene.frame_end = 20, 10
    report = {}

    # from a script: every frame of the video, recorded into keys from the current frame on
    scene.frame_set(5)
    still = rig.get_theta(left)
    told = bpy.ops.hand_toolkit.live(source=ARGS[1], every_frame=True, record=True)
    assert told == {"FINISHED"} and not live.running()
    report["said"] = live.session.message, live.session.keyed
    report["range"] = scene.frame_end
    keyed, places = [], []
    for t in range(16):
        scene.frame_set(5 + t)
        keyed.append(rig.get_theta(right).tolist())
        places.append(rig.get_translation(right).tolist())
    report["theta"], report["places"] = keyed, places
    assert np.abs(rig.get_theta(left) - still).max() < 1e-6, "a hand that is not seen stays"
    assert left.animation_data is None or left.animation_data.action is None
    right.animation_data.action = None

    # as in the window: the timer's step, never waiting; frames come as fast as they are looked at
    rig.set_theta(right, np.zeros((16, 3)))
    session = begin(root)
    assert "runs already" in refused(bpy.ops.hand_toolkit.live, source=ARGS[1])
    report["longest_ms"] = 1e3 * served(session, lambda: session.frames > 3)
    report["driven"] = float(np.abs(rig.get_theta(right)[1:]).max())
    assert bpy.ops.hand_toolkit.live_record(on=True) == {"FINISHED"}
    served(session, lambda: len(session.take.seen["right"]) > 2)
    root.name = "renamed"  # sessions know their avatar by more than its name
    served(session, lambda: False)
    assert not session.running and not session.error, session.error
    report["ended"], report["taken"] = session.message, session.keyed
    report["curves"] = len(rig.action_curves(right))
    right.animation_data.action = None

    # stopped in the middle; the wrist left alone
    rig.set_theta(right, np.zeros((16, 3)))
    session = begin(root)
    session._joints = live.FINGERS
    served(session, lambda: session.frames > 0)
    assert bpy.ops.hand_toolkit.live_stop() == {"FINISHED"} and not live.running()
    assert np.abs(rig.get_theta(right)[0]).max() < 1e-6
    assert "Start Live first" in refused(bpy.ops.hand_toolkit.live_record)
    assert "No live session" in refused(bpy.ops.hand_toolkit.live_stop)
    report["stopped"] = session.message
    assert session._request.wait(20.0), "the worker lets the camera go"

    # what can go wrong is one sentence
    report["no file"] = refused(bpy.ops.hand_toolkit.live, source="/no/such.mp4")
    report["no camera"] = refused(bpy.ops.hand_toolkit.live, source="97")
    report["no video"] = refused(bpy.ops.hand_toolkit.live, source=__file__)
    session = begin(root)
    served(session, lambda: session.frames > 0)
    os.kill(link.worker().pid, signal.SIGKILL)
    served(session, lambda: False)
    report["killed"] = session.error
    assert rig.get_theta(right).shape == (16, 3)

    # the avatar is removed meanwhile
    session = begin(root)
    served(session, lambda: session.frames > 0)
    bpy.context.view_layer.objects.active = right
    assert bpy.ops.hand_toolkit.remove_avatar() == {"FINISHED"}
    served(session, lambda: False)
    report["removed"] = session.error
    live.forget()
    assert axes.SIDES and not scene_data.roots(scene)
    return report


scenario(run)

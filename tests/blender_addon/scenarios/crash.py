"""The worker is killed in mid-fit and in mid-render, or is none at all: one line, scene intact."""

import json
import os
import signal
import threading
import time

import bpy
from common import ARGS, FOLDER, camera, import_hand, refused, scenario

from blender_addon import link, scene_data


def kill_when(predicate, killed):
    """Kill the worker from a thread as soon as ``predicate()`` holds."""

    def watch():
        for _ in range(6000):
            pid = link.worker().pid
            if pid is not None and predicate():
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                return
            time.sleep(0.005)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def pending(method, least=0.0):
    return any(
        r.method == method and r.fraction >= least for r in list(link.worker()._pending.values())
    )


def scene_state():
    return sorted(
        (ob.name, tuple(map(tuple, ob.matrix_world)), len(getattr(ob.data, "vertices", ())))
        for ob in bpy.data.objects
    )


def run():
    report = {}
    scene = bpy.context.scene

    # a Python that is none, one without the toolkit, a program that is no worker
    good = os.environ["HAND_TOOLKIT_PYTHON"]
    import_it = bpy.ops.hand_toolkit.import_avatar
    for name, python in (
        ("missing", "/no/such/python"),
        ("empty", ARGS[2]),
        ("other", ARGS[3]),
        ("version", ARGS[4]),
    ):
        os.environ["HAND_TOOLKIT_PYTHON"] = python
        link.stop()
        report[name] = refused(import_it, filepath=ARGS[0])
    assert not scene_data.roots(scene)
    os.environ["HAND_TOOLKIT_PYTHON"] = good
    link.stop()

    # bad files
    report["absent"] = refused(import_it, filepath="/no/such.hand")
    broken = FOLDER / "broken.hand"
    broken.write_bytes(b"\x80\x04c" + b"posix\nsystem\n" * 40)
    report["broken"] = refused(import_it, filepath=str(broken))
    report["picture_absent"] = refused(
        bpy.ops.hand_toolkit.create_from_image, filepath="/no/such.jpg"
    )
    text = FOLDER / "text.jpg"
    text.write_text("no picture")
    report["picture_broken"] = refused(bpy.ops.hand_toolkit.create_from_image, filepath=str(text))

    _root, _rigs = import_hand(ARGS[0])
    camera()
    bpy.ops.hand_toolkit.use_engine()
    before = scene_state()

    # killed in mid-render
    scene.render.resolution_x, scene.render.resolution_y = 4096, 4096
    killed = []
    thread = kill_when(lambda: pending("render"), killed)
    report["mid_render"] = refused(bpy.ops.render.render)
    thread.join()
    assert killed and scene_state() == before
    scene.render.resolution_x, scene.render.resolution_y = 320, 240
    assert bpy.ops.render.render() == {"FINISHED"}, "the next try works"
    assert link.worker().pid not in (None, killed[0])

    # killed in mid-fit
    killed = []
    thread = kill_when(lambda: pending("fit", 0.02), killed)
    output = FOLDER / "killed.hand"
    create = bpy.ops.hand_toolkit.create_from_image
    report["mid_fit"] = refused(create, filepath=ARGS[1], output=str(output), quality="draft")
    thread.join()
    assert killed and scene_state() == before
    assert not output.exists() and not list(FOLDER.glob(".killed*"))
    begin = time.monotonic()
    assert create(filepath=ARGS[1], output=str(output), quality="draft") == {"FINISHED"}
    report["fit_seconds"] = time.monotonic() - begin
    assert output.exists() and len(scene_data.roots(scene)) == 2
    assert bpy.ops.render.render() == {"FINISHED"}

    # cancelled
    request = link.worker().submit(
        "fit", {"photo": ARGS[1], "output": str(FOLDER / "cancelled.hand"), "quality": "draft"}
    )
    while not (request.done or request.fraction > 0.02):
        time.sleep(0.01)
    asked = time.monotonic()
    request.cancel()
    while not request.done:
        time.sleep(0.01)
    report["cancel_seconds"] = time.monotonic() - asked
    report["cancelled"] = type(request.error).__name__
    assert not (FOLDER / "cancelled.hand").exists()
    assert link.worker().pid is not None, "the worker lives on"

    # a frame is drawn while a fit runs
    fit = link.worker().submit(
        "fit", {"photo": ARGS[1], "output": str(FOLDER / "busy.hand"), "quality": "draft"}
    )
    while not (fit.done or fit.fraction > 0.02):
        time.sleep(0.01)
    begin = time.monotonic()
    assert bpy.ops.render.render() == {"FINISHED"}
    report["render_while_fitting"] = time.monotonic() - begin
    report["fit_was_running"] = not fit.done
    fit.cancel()

    # Blender goes: the worker goes with it
    (FOLDER / "last_worker.json").write_text(json.dumps(link.worker().pid))
    return report


scenario(run)

"""'Set up for me': makes an environment, installs a wheel, can be cancelled, fails in one line."""

import os
import time

import bpy
from common import ARGS, FOLDER, refused, scenario

from blender_addon import chosen, setup_environment


def run():
    os.environ.pop("HAND_TOOLKIT_PYTHON")
    os.environ["HAND_TOOLKIT_ENVIRONMENT"] = str(FOLDER / "environment")
    report = {}
    assert chosen.toolkit_python() == ""
    report["unset"] = refused(bpy.ops.hand_toolkit.import_avatar, filepath=ARGS[1])
    set_up = bpy.ops.hand_toolkit.set_up
    report["bad_source"] = refused(set_up, source="/no/such.whl", wait=True)

    # cancelled in the middle
    thread = setup_environment.start(ARGS[2])
    while setup_environment.state.process is None and thread.is_alive():
        time.sleep(0.01)
    assert not set_up.poll(), "one set-up at a time"
    setup_environment.cancel()
    thread.join(60)
    report["cancelled"] = setup_environment.state.error

    # repeated, it works
    assert set_up(source=ARGS[0], wait=True) == {"FINISHED"}
    report["lines"] = list(setup_environment.state.lines)
    report["python"] = chosen.toolkit_python()
    assert set_up(source=ARGS[0], wait=True) == {"FINISHED"}, "and again, to update"
    report["second_log"] = list(setup_environment.state.lines)

    # a Python that the toolkit does not support goes through uv
    setup_environment.SUPPORTED = ((3, 1), (3, 2))
    os.environ["HAND_TOOLKIT_ENVIRONMENT"] = str(FOLDER / "with_uv")
    os.environ["PATH"] = ARGS[3] + os.pathsep + os.environ["PATH"]
    report["uv"] = refused(set_up, source=ARGS[0], wait=True)
    report["uv_log"] = list(setup_environment.state.lines)

    # and fetches it where there is none
    os.environ["PATH"] = os.defpath
    os.environ["HAND_TOOLKIT_ENVIRONMENT"] = str(FOLDER / "fetched_uv")
    os.environ["PIP_NO_INDEX"], os.environ["PIP_FIND_LINKS"] = "1", ARGS[4]
    report["fetched"] = refused(set_up, source=ARGS[0], wait=True)
    report["fetched_log"] = list(setup_environment.state.lines)
    return report


scenario(run)

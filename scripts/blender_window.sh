#!/bin/bash
# A real Blender window, driven as a user does: install the zip, create, pose, key, render.
#
#   sudo scripts/blender_window.sh trixie|sid [OUTPUT_FOLDER]
#
# trixie brings Blender 4.3, sid 5.2. Each lives in a Debian chroot of about 1.5 GB, made once under
# $HAND_TOOLKIT_CHROOTS (default /var/tmp/hand-toolkit), with Xvfb and software OpenGL; the toolkit's
# own Python ($HAND_TOOLKIT_PYTHON, default this checkout's .venv) is mounted into it. Every step
# leaves a picture in OUTPUT_FOLDER. Needs root and debootstrap. Exits with 1 when a step has not
# done what it should.
set -euo pipefail
SUITE=${1:?trixie or sid}
REPO=$(cd "$(dirname "$0")/.." && pwd)
OUT=$(mkdir -p "${2:-/tmp/blender_window_$SUITE}" && cd "${2:-/tmp/blender_window_$SUITE}" && pwd)
CHROOT=${HAND_TOOLKIT_CHROOTS:-/var/tmp/hand-toolkit}/$SUITE
PYTHON=${HAND_TOOLKIT_PYTHON:-$REPO/.venv/bin/python}
SCREEN=${HAND_TOOLKIT_DISPLAY:-77}
F12=96  # its key code: asked for by name, xdotool holds Alt, which in 5.2 means the sequencer
PATIENCE=${HAND_TOOLKIT_PATIENCE:-900}  # seconds for the fit

make_chroot() {
    [ -x "$CHROOT/usr/bin/blender" ] && return
    mkdir -p "$CHROOT"
    debootstrap --variant=minbase "$SUITE" "$CHROOT"
    mount_base
    cp /etc/resolv.conf "$CHROOT/etc/"
    local options=() more=()
    if [ "$SUITE" = sid ]; then
        options=(-o Acquire::Check-Valid-Until=false)
        more=(python3-cattr libegl1)
    fi
    DEBIAN_FRONTEND=noninteractive chroot "$CHROOT" apt-get "${options[@]}" update
    DEBIAN_FRONTEND=noninteractive chroot "$CHROOT" apt-get "${options[@]}" install -y \
        --no-install-recommends blender python3-numpy python3-requests xvfb xdotool imagemagick \
        libgl1-mesa-dri libegl-mesa0 libglx-mesa0 "${more[@]}"
}

bind() { # folder of this machine, seen at the same place (or at $2) in the chroot
    local place="$CHROOT${2:-$1}"
    mkdir -p "$place"
    mountpoint -q "$place" || mount --bind "$1" "$place"
    mount --make-private "$place"
    mounted=("$place" ${mounted[@]+"${mounted[@]}"})
}

mount_base() {
    mountpoint -q "$CHROOT/proc" || bind /proc
    mountpoint -q "$CHROOT/dev" || bind /dev
}

inside() { chroot "$CHROOT" env HOME=/root DISPLAY=:"$SCREEN" "$@"; }
start() { # log, command: in the background, ended with this script
    chroot "$CHROOT" env HOME=/root DISPLAY=:"$SCREEN" "${@:2}" >"$1" 2>&1 &
    processes+=($!)
}
picture() { inside import -window root "/hand_window/$1.png"; }
point() { inside xdotool mousemove "$1" "$2"; sleep 0.6; inside xdotool mousemove $(($1 + 1)) "$2"; sleep 0.4; }
press() { point "$1" "$2"; inside xdotool click 1; sleep "${3:-1}"; }
slow() { # x y seconds: what opens panels, which a quick click does not
    point "$1" "$2"
    inside xdotool mousedown 1; sleep 0.3; inside xdotool mouseup 1
    sleep "${3:-2}"
}
until_done() { # x y what seconds expression: a window that draws slowly misses a click now and then
    for _ in 1 2 3; do
        slow "$1" "$2" 3
        reached "$(($4 / 3))" "$5" && return
        point 300 640  # away, so that the button is entered anew
    done
    wait_for "$3" 1 "$5"
}
to_end() { point 890 500; inside xdotool click --repeat 40 --delay 40 5; sleep 2; }  # of the sidebar
to_top() { point 890 500; inside xdotool click --repeat 60 --delay 40 4; sleep 2; }
fill() { # x y text: replace a field's text
    point "$1" "$2"
    inside xdotool click --repeat 2 --delay 90 1; sleep 1
    inside xdotool key ctrl+a
    inside xdotool type --delay 60 "$3"
    inside xdotool key Return; sleep 2
}
state() { python3 -c "import json; s = json.load(open('$OUT/state.json')); print(int(bool($1)))"; }
reached() { # seconds, python expression over s
    for _ in $(seq "$1"); do
        [ -e "$OUT/state.json" ] && [ "$(state "$2")" = 1 ] && return
        sleep 1
    done
    return 1
}
wait_for() { # what, seconds, python expression over s
    reached "$2" "$3" && return
    picture failed || true
    echo "not reached within $2 s: $1" >&2
    exit 1
}

processes=()
mounted=()
finish() { # nothing stays mounted: whoever deletes the chroot must not delete this checkout with it
    for process in ${processes[@]+"${processes[@]}"}; do kill "$process" 2>/dev/null || true; done
    wait 2>/dev/null || true
    for place in ${mounted[@]+"${mounted[@]}"}; do umount --lazy "$place" || true; done
}
trap finish EXIT

make_chroot
mount_base
bind "$REPO"
bind "$("$PYTHON" -c 'import sys; print(sys.base_prefix)')"
bind "${HAND_TOOLKIT_CACHE:-$HOME/.cache/hand_toolkit}" /root/.cache/hand_toolkit
bind "$OUT" /hand_window
rm -f "$OUT"/*.png "$OUT/state.json"
mkdir -p "$OUT/photo"
rm -f "$OUT"/photo/*
cp "$REPO/hand_toolkit/media/demo.jpg" "$OUT/photo/hand.jpg"
cp "$REPO/scripts/blender_window_start.py" "$OUT/start.py"
"$PYTHON" "$REPO/scripts/build_extension.py" --output-dir "$OUT"
ZIP=$(basename "$(ls "$OUT"/hand_toolkit-*.zip)")

inside blender --background --factory-startup --command extension validate "/hand_window/$ZIP"
inside blender --background --command extension install-file -r user_default -e "/hand_window/$ZIP"
if [ "$SUITE" = sid ]; then
    "$PYTHON" -c "import sys; from hand_toolkit.testing.avatars import procedural_avatar as make
make(3, splats_per_face=2).save(sys.argv[1])" "$OUT/pair.hand"
    cp "$REPO/scripts/blender_native_check.py" "$OUT/"
    inside HAND_TOOLKIT_PYTHON="$PYTHON" blender --background \
        --addons bl_ext.user_default.hand_toolkit \
        --python /hand_window/blender_native_check.py -- /hand_window/pair.hand
fi
start "$OUT/xvfb.log" Xvfb :"$SCREEN" -screen 0 1280x800x24 +extension GLX
sleep 2
start "$OUT/blender.log" LIBGL_ALWAYS_SOFTWARE=1 HAND_TOOLKIT_PYTHON="$PYTHON" \
    HAND_WINDOW_FOLDER=/hand_window blender --factory-startup \
    --addons bl_ext.user_default.hand_toolkit --python /hand_window/start.py
wait_for "the window" 120 's["prepared"]'
sleep 3
picture 1_panel

press 893 132 5                       # Create Hand from Image
fill 628 47 /hand_window/photo/
fill 628 757 hand.jpg
picture 2_choose
press 1207 757 8                      # the file browser's confirm
wait_for "progress" 120 's["progress"] > 0.3'
picture 3_progress
wait_for "the avatar" "$PATIENCE" 's["avatars"]'
wait_for "the skin textures" "$PATIENCE" 'sum("skin" in n for n in s["images"]) >= 2'
sleep 3
picture 4_created
press 893 440 2                       # Key Pose at frame 1
wait_for "keys" 20 's["keys"]'
press 118 762 2                       # to a later frame
wait_for "another frame" 20 's["frame"] > 10'
for y in 489 509 530 551 572; do fill 875 "$y" 0.7; done
press 893 440 2
picture 5_posed
to_end
press 893 386 3                       # Render Hands Only
wait_for "our engine" 20 's["engine"] == "HAND_TOOLKIT"'
press "$([ "$SUITE" = sid ] && echo 1009 || echo 1017)" 40 2   # Rendered viewport
point 300 640; sleep 20
picture 6_viewport
drawn=$(python3 -c "import json; print(json.load(open('$OUT/state.json'))['drawn']['frames'])")
inside xdotool key space; sleep 20; inside xdotool key space; sleep 2   # play the animation
wait_for "moving pictures in the viewport" 20 "s['drawn']['frames'] > $drawn + 3"
point 300 640
inside xdotool key "$F12"
wait_for "the render" 300 's["rendered"]'
sleep 6
point 500 400
inside xdotool key Home; sleep 3
picture 7_rendered
point 500 400
inside xdotool key Escape; sleep 3    # back to the 3D view
to_end
until_done 1001 406 "the artist's engine" 60 's["engine"] != "HAND_TOOLKIT"'   # Remove
slow 793 299 2                        # Motion and IK
until_done 900 440 "a hand on the body" 60 's["attached"]'                     # Attach to Body Bone
until_done 900 392 "the body's pose" 90 's["bent"] > 0.3'                      # Retarget
bent=$(python3 -c "import json; print(json.load(open('$OUT/state.json'))['bent'])")
sleep 3
picture 8_retargeted
until_done 900 481 "a grasp" 180 "abs(s['bent'] - $bent) > 0.3"                # Close until Contact
sleep 3
picture 9_grasped
python3 -c "import json; d = json.load(open('$OUT/state.json'))['drawn']; \
    print(f\"viewport: {d['median_ms']:.0f} ms a frame, median of the last {d['frames']}\")"
echo "$OUT: $(ls "$OUT"/[1-9]_*.png | wc -l) pictures"

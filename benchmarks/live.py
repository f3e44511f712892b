"""Live tracking of rendered videos that are played as a camera: speed, delay and error.

    python benchmarks/live.py [--avatar me.hand] [--size 640x480] [--work FOLDER]

Each built-in motion is drawn with a fitted avatar (the shipped picture at draft quality unless one
is given), written as a video, and played at its own rate into ``hand-toolkit live``'s tracker:
frames worked off a second, milliseconds from a frame's coming to its pose, frames passed over,
frames with all hands, sides right, and PA-MPJPE of the joints against the pose that was drawn.
"every frame" plays without dropping, so that its error is over all of them; "raw" is not smoothed.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from hand_toolkit import Avatar, fit_photo
from hand_toolkit.animate import find_motion
from hand_toolkit.core.conventions import SIDES
from hand_toolkit.core.metrics import pa_mpjpe_mm
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy
from hand_toolkit.live import LiveFrame, LiveHand, Recorder, Tracker, follow, open_feed
from hand_toolkit.media.demo import PICTURE
from hand_toolkit.pictures.demo_sheet import render_to_file

MOTIONS = (("open-close", "right"), ("finger-count", "right"), ("wave", "right"),
           ("open-close", "both"))  # fmt: skip


class Kept:
    """An output that keeps the frames."""

    def __init__(self) -> None:
        self.frames: list[LiveFrame] = []

    def give(self, frame: LiveFrame) -> None:
        """See :class:`hand_toolkit.live.Output`."""
        self.frames.append(frame)

    def close(self) -> None:
        """See :class:`hand_toolkit.live.Output`."""


def joints(side: str, theta: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """(21, 3) keypoints of the default hand, metres."""
    return pose_hand_numpy(load_hand_model("default", side), theta, shape, np.zeros(3))[2]


def error_mm(hand: LiveHand, avatar: Avatar, theta: np.ndarray) -> float:
    """PA-MPJPE of one hand against the drawn pose, millimetres."""
    given = joints(hand.side, hand.theta, hand.shape)
    truth = joints(hand.side, theta, avatar.hand(hand.side).shape)
    return float(pa_mpjpe_mm(given[None], truth[None])[0])


def row(
    avatar: Avatar, video: Path, motion: str, sides: str, paced: bool, smooth: bool
) -> str:  # fmt: skip
    """One line of the table."""
    truth = find_motion(motion)
    wanted = SIDES if sides == "both" else (sides,)
    tracker = Tracker(len(wanted), smooth=smooth)
    tracker.warm()
    feed, fps = open_feed(video, paced=paced)
    kept, recorder = Kept(), Recorder()
    report = follow(feed, tracker, [kept, recorder])
    assert fps is not None
    errors, all_there, right = [], 0, []
    for frame in kept.frames:
        number = min(round(frame.seconds * fps), len(truth) - 1)
        found = {hand.side for hand in frame.hands}
        all_there += found == set(wanted)
        right += [hand.side in wanted for hand in frame.hands]
        errors += [
            error_mm(hand, avatar, truth.theta[number, SIDES.index(hand.side)])
            for hand in frame.hands
            if hand.side in wanted
        ]
    middle, late = np.percentile(report.delay_s, (50, 95)) * 1e3
    how = ("as a camera" if paced else "every frame") + ("" if smooth else ", raw")
    return (
        f"| {motion}, {sides} | {how} | {report.fps:.1f} | {middle:.0f} | {late:.0f} | "
        f"{report.dropped} of {report.dropped + report.frames} | {all_there / report.frames:.0%} | "
        f"{np.mean(right) if right else 0:.0%} | {np.mean(errors) if errors else np.nan:.1f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--avatar", type=Path)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--work", type=Path, help="Folder of the videos; they are used again.")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)  # as the command does
    width, height = map(int, args.size.split("x"))
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        avatar = Avatar.load(args.avatar) if args.avatar else (
            fit_photo(PICTURE, quality="draft").avatar
        )  # fmt: skip
        print("| motion | played | frames a second | delay, ms | 19 of 20 within | passed over | "
              "all hands | side right | PA-MPJPE, mm |\n" + "|---" * 9 + "|")  # fmt: skip
        for motion, sides in MOTIONS:
            video = work / f"{motion}_{sides}_{args.size}.mp4"
            if not video.exists():
                render_to_file(avatar, video, motion=motion, size=(width, height), side=sides)
            for paced, smooth in ((True, True), (False, True), (False, False)):
                print(row(avatar, video, motion, sides, paced, smooth), flush=True)


if __name__ == "__main__":
    main()

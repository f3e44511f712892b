"""Scores of the class network's heads on real frames: sides, and how far off keypoints are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from real_hand import one_subject

from hand_toolkit.core.conventions import SIDES
from hand_toolkit.see.classes import ClassNetwork
from hand_toolkit.see.crops import crop_of_points
from hand_toolkit.see.networks import landmark_network
from hand_toolkit.see.views import build_pyramid


@torch.no_grad()
def heads_scores(photos: Path, frames: str, network: ClassNetwork) -> dict[str, float]:
    """Scores on ``one_subject``, whose crops are cut by its own keypoints.

    Args:
        photos: folder of the development photos.
        frames: "even", "odd" or "all".
        network: the class network.

    Returns:
        Share of frames whose hand is called there as the side that it is, and not there as the
        other side; rank correlation of each frame's mean standard deviation with its mean error
        of the landmark network's keypoints, the same of all keypoints, and both means in pixels
        of the crop.
    """
    from scipy.stats import spearmanr

    landmarks = landmark_network()
    right_side, other_side, sigmas, errors = [], [], [], []
    for number, frame in enumerate(one_subject(photos)):
        if frames != "all" and (number % 2 == 0) != (frames == "even"):
            continue
        points = np.asarray(frame.keypoints_2d, float)[:, :2]
        view = crop_of_points(points)
        left = frame.side == SIDES[1]
        views = [replace(view, mirror=left), replace(view, mirror=not left)]
        pyramid = build_pyramid(frame.photo.pixels)
        crops = np.stack([one.cut(pyramid) for one in views])
        batch = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
        maps, found = network(batch), landmarks(batch[:1])
        right_side.append(float(maps.own[0]) > 0)
        other_side.append(float(maps.own[1]) < 0)
        matrix = views[0].matrix()
        truth = points @ matrix[:2, :2].T + matrix[:2, 2]
        errors.append(np.linalg.norm(found.points[0, :, :2].numpy() - truth, axis=1))
        sigmas.append(maps.points_log_sigma[0].exp().numpy())
    error, sigma = np.array(errors), np.array(sigmas)
    return {
        "frames": len(error),
        "there as its side": float(np.mean(right_side)),
        "not as the other": float(np.mean(other_side)),
        "rank correlation by frame": float(spearmanr(error.mean(1), sigma.mean(1))[0]),
        "by keypoint": float(spearmanr(error.ravel(), sigma.ravel())[0]),
        "error px": float(error.mean()),
        "sigma px": float(sigma.mean()),
    }

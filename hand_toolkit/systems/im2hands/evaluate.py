"""Scores of the networks on samples that never train."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .network import Im2HandsNetwork
    from .samples import Samples


def quick_scores(network: Im2HandsNetwork, samples: Samples) -> dict[str, float]:
    """Overlap of occupancies at the samples' places, and joints before and after refinement.

    Returns:
        ``iou`` of the refined and ``iou_initial`` of the single hands, from true keypoints;
        ``near_mse`` of the same two close to the other hand; ``mm`` and ``noisy_mm`` of keypoints.
    """
    import torch

    from .batches import centred, queries, taken
    from .noise import noisy_keypoints

    generator = torch.random.fork_rng()
    found: dict[str, list[float]] = {}

    def note(name: str, value: torch.Tensor) -> None:
        found.setdefault(name, []).append(float(value))

    with generator:
        torch.manual_seed(7)
        for row in range(len(samples)):
            batch = taken(samples, torch.tensor([row]))
            hands = network.frame(batch.keypoints, batch.images)
            context = network.context(hands)
            places, own, _ = queries(batch, 2048, False)
            inside = own < 0
            for name, chosen in (("iou_initial", None), ("iou", context)):
                told = network.logits(hands, chosen, places) > 0
                note(name, (told & inside).sum() / (told | inside).sum())
            noisy = noisy_keypoints(batch.keypoints, torch.ones(1))
            better = network.keypoints(noisy, batch.images)
            for name, points in (("noisy_mm", noisy), ("mm", better)):
                gap = centred(points) - centred(batch.keypoints)
                note(name, 1e3 * gap.norm(dim=-1).mean())
    return {name: sum(values) / len(values) for name, values in found.items()}

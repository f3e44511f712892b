"""Im2Hands as a training of the common loop: ``hand-toolkit train DATA -o OUT --system im2hands``.

Its three parts take turns, a step each; ``--set part='"refinement"'`` trains one alone, beginning
with an earlier checkpoint (``--set start='"OUT/checkpoint.safetensors"'``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.errors import InputError
from ...learn import Group, Trainable
from ...learn.contract import Place
from ...learn.schedule import cosine
from .batches import USABLE_M, centred, dropped, queries, taken
from .config import PARTS, PRESETS, SYSTEM, TAU_M, Im2HandsConfig, Im2HandsSettings

if TYPE_CHECKING:
    import torch

    from .network import Im2HandsNetwork
    from .samples import Samples

WARMUP_SHARE = 0.02
GRADIENT_CLIP = 1.0
TRAIN, TEST = "train", "test"
"""Folders of samples in the data folder."""


def _module(config: Im2HandsConfig, settings: Im2HandsSettings) -> Any:
    import torch
    from torch import nn

    from .keypoints import mirrored_pair, mirrored_points
    from .network import Im2HandsNetwork
    from .refinement import mirrored, other_logits, other_places, swapped

    class Losses(nn.Module):
        """The networks with the loss of the part that is trained, as the loop calls them."""

        def __init__(self) -> None:
            super().__init__()
            self.network = Im2HandsNetwork(config)
            self.network.initial.fill_flesh()

        def forward(
            self, part: str, batch: Samples, given: torch.Tensor
        ) -> dict[str, torch.Tensor]:
            """Losses of a part of the networks, of pairs whose keypoints are ``given``."""
            if part == "keypoints":
                return self._keypoints(batch, given)
            if part == "refinement":
                return self._refinement(batch, given)
            return self._initial(batch, given)

        def _initial(self, batch: Samples, given: torch.Tensor) -> dict[str, torch.Tensor]:
            places, own, _ = queries(batch, settings.queries, False)
            images = batch.images if torch.rand(()) >= settings.drop_picture else None
            hands = self.network.frame(given, images)
            found = torch.sigmoid(self.network.initial(hands, mirrored(places)))
            loss = (found - _target(own)).square().mean()
            return {"loss": loss, "initial": loss.detach()}

        def _refinement(self, batch: Samples, given: torch.Tensor) -> dict[str, torch.Tensor]:
            places, own, _ = queries(batch, settings.queries // 4, True)
            asked, target = mirrored(places), _target(own)
            with torch.no_grad():
                hands = self.network.frame(given, batch.images)
                first = self.network.initial(hands, asked)
                across = other_logits(self.network.initial, hands, asked)
            context = self.network.context(hands)
            found = self.network.refinement(context, asked, first, across)
            mine = torch.sigmoid(found)
            occupancy = (mine - target).square().mean()
            theirs = torch.sigmoid(
                self.network.refinement(
                    context, other_places(asked), swapped(across), swapped(first)
                )
            )
            both = (mine * swapped(theirs)).square().mean()
            before = (torch.sigmoid(first) - target).square().mean()
            return {
                "loss": occupancy + settings.penetration_weight * both,
                "refined": occupancy.detach(), "unrefined": before.detach(),
                "penetration": both.detach(),
            }  # fmt: skip

        def _keypoints(self, batch: Samples, given: torch.Tensor) -> dict[str, torch.Tensor]:
            truth, images = batch.keypoints, batch.images
            mirror = bool(torch.rand(()) < 0.5)
            if mirror:
                truth = mirrored_points(truth)
                given, images = mirrored_pair(given, images)
            found = self.network.keypoints.look(given, images, mirror)
            gap = centred(found) - centred(truth)
            start = centred(given) - centred(truth)
            loss = (100 * gap).square().sum(-1).mean()
            return {
                "loss": loss, "mm": 1e3 * gap.norm(dim=-1).mean().detach(),
                "given_mm": 1e3 * start.norm(dim=-1).mean(),
            }  # fmt: skip

    return Losses()


def _target(own: torch.Tensor) -> torch.Tensor:
    """(2 B, N) probabilities of distances (B, 2, N) from each place's own hand."""
    import torch

    return torch.sigmoid(-torch.cat([own[:, 0], own[:, 1]]) / TAU_M)


class Im2HandsTrainable(Trainable):
    """The networks with samples of a folder.

    Args:
        config, settings: of the run.
        data: one folder with ``train`` and, to score, ``test`` (:mod:`.samples`).
        device: of the module.
    """

    config: Im2HandsConfig
    settings: Im2HandsSettings

    def __init__(
        self,
        config: Im2HandsConfig,
        settings: Im2HandsSettings,
        data: Sequence[Path],
        device: torch.device,
    ) -> None:
        import torch

        from .samples import read_samples

        if len(data) != 1:
            raise InputError(f"im2hands trains on one folder, received {len(data)}")
        if device.type != "cpu":
            raise InputError("im2hands trains on the CPU; give --device cpu")
        self.config, self.settings = config, settings
        self.module = _module(config, settings)
        if settings.start:
            self._begin_from(Path(settings.start))
        self._samples = read_samples(data[0] / TRAIN)
        self._test = data[0] / TEST
        gap = centred(self._samples.predicted) - centred(self._samples.keypoints)
        off = gap.norm(dim=-1).mean((1, 2))
        self._found = torch.nonzero(off < USABLE_M)[:, 0]

    def _begin_from(self, start: Path) -> None:
        from ...learn.checkpoint import read_tensors
        from .weights import checkpoint_network, read_network

        weights = "version" in read_tensors(start)[1]
        known = (read_network if weights else checkpoint_network)(start)[0]
        own = self.network.state_dict()
        kept = {n: v for n, v in known.state_dict().items() if n in own and v.shape == own[n].shape}
        self.network.load_state_dict(kept, strict=False)

    @property
    def network(self) -> Im2HandsNetwork:
        """What is trained."""
        module: Any = self.module
        return module.network  # type: ignore[no-any-return]

    def groups(self) -> Sequence[Group]:
        """The parts that are trained; the others stay."""
        s, found = self.settings, []
        for name in PARTS:
            part = getattr(self.network, name).requires_grad_(s.part in ("all", name))
            if s.part in ("all", name):
                own = list(part.parameters())
                found.append(Group(own, s.rate, decay=s.decay, clip=GRADIENT_CLIP))
        return found

    def items(self, place: Place) -> Sequence[Any]:
        """One batch of one part a process."""
        part = self.settings.part
        return [PARTS[place.step % len(PARTS)] if part == "all" else part]

    def load(self, item: Any, place: Place, rng: np.random.Generator) -> tuple[Any, ...]:
        """A batch drawn by torch's generator, which the loop seeds for each step."""
        import torch

        from .noise import noisy_keypoints

        s = self.settings
        count = {"initial": s.batch, "refinement": -(-s.batch // 2), "keypoints": 2 * s.batch}[item]
        rows = torch.randint(len(self._samples), (count,))
        quarter = count // 4 if item == "keypoints" and len(self._found) else 0
        if quarter:
            rows[:quarter] = self._found[torch.randint(len(self._found), (quarter,))]
        batch = taken(self._samples, rows)
        images = dropped(batch.images, s.drop_features)
        batch = dataclasses.replace(batch, images=images)
        given = batch.keypoints
        if item == "keypoints":
            given = noisy_keypoints(given, torch.exp(0.5 * torch.randn(count)))
            given[:quarter] = batch.predicted[:quarter]
        elif item == "refinement":
            amount = 0.35 * torch.rand(count) * (torch.rand(count) < s.noise_share)
            given = noisy_keypoints(given, amount)
        return item, batch, given

    def rate(self, step: int) -> float:
        """Half a cosine down to a hundredth."""
        steps = self.settings.steps
        return cosine(step, steps, max(int(WARMUP_SHARE * steps), 1), 0.01)

    def scores(self) -> dict[str, float]:
        """Overlap and joints on pairs that never train; see :func:`.evaluate.quick_scores`."""
        from .evaluate import quick_scores
        from .samples import read_samples

        if not self._test.is_dir():
            return {}
        return quick_scores(self.network, read_samples(self._test, self.settings.scored))


class Im2HandsTraining:
    """Registers the two-hand occupancy as a training."""

    name = SYSTEM
    description = "two interacting hands as occupancy, with refined keypoints"
    settings = Im2HandsSettings

    def presets(self) -> dict[str, Im2HandsConfig]:
        """The sizes of the networks."""
        return PRESETS

    def build(
        self,
        config: Im2HandsConfig,
        settings: Im2HandsSettings,
        data: Sequence[Path],
        device: torch.device,
    ) -> Im2HandsTrainable:
        """Networks that read that folder."""
        return Im2HandsTrainable(config, settings, data, device)

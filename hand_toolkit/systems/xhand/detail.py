"""Displacement, skinning weights, albedo and light fitted to all views at full size."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from ...core.types import HandPose, Progress
from ...skin.light import soften_unseen
from .align import aligned
from .config import XHandConfig
from .drawing import Drawn, draw, lit
from .evidence import Shown
from .losses import (
    ALBEDO_PARTS,
    DISPLACEMENT_PARTS,
    laplacian,
    mesh_edges,
    picture_loss,
    smoothness,
)
from .person import MM, Person, PosedPerson
from .place import PRIOR, Places
from .renderer import NeuralRenderer
from .skin import visible_part
from .smooth_steps import SmoothSteps

MASK, SMOOTH_ALBEDO = 0.6, 0.3
"""Weights of the mask, and of the part-aware term of albedo beside the pictures."""


@dataclasses.dataclass(frozen=True)
class Hold:
    """How hard displacement is held.

    Attributes:
        rate: step in millimetres before smoothing.
        smoothing: λ of the steps on a mesh divided once; four times that where edges are half as
            long, to reach as far.
        edge, size: weights of edges that change their length and of displacement (XHand: 1e5, 1e4).
        rough: of the part-aware term, of millimetres.
    """

    rate: float
    smoothing: float
    edge: float
    size: float
    rough: float


KNOWN = Hold(3.0, 4.0, 5e3, 200.0, 0.005)
"""Where poses are known. The paper's weights hold bumps of 1 mm to a quarter in so few steps."""

ESTIMATED = Hold(1.0, 15.0, 1e5, 2e3, 0.02)
"""Where they are estimated: what poses and masks have wrong would swell fingers."""

KEEP = 0.05
"""Pull of albedo that no view shows back to its completion."""

LIGHT = 0.5
"""Pull of a view's light to what it was estimated at, in parts of its mean, squared: light that
only a few normals tell would take the place of albedo."""

BATCH = 4

RAYS = 4096
"""Pixels of a picture that the neural renderer is trained on at a time."""


class Detail:
    """The fit of one subject at full size."""

    def __init__(
        self,
        shown: Sequence[Shown],
        people: dict[str, Person],
        places: Places,
        evidence: dict[str, np.ndarray],
        config: XHandConfig,
        refine_poses: bool = True,
    ) -> None:
        """Prepare.

        Args:
            shown: the views.
            people: side -> hand with its completed albedo as average.
            places: as they were refined; moved further with everything else.
            evidence: side -> (V,) how well each vertex was seen.
            config: which terms and how long.
            refine_poses: whether poses and places may be moved.
        """
        self.moves = refine_poses and config.place_steps > 0 and config.pose_sigma > 0
        self.hold = KNOWN if config.pose_sigma == 0 else ESTIMATED
        self.shown, self.people, self.places, self.config = shown, people, places, config
        self._smooth = {
            s: laplacian(p.model.faces, len(p.model.template)) for s, p in people.items()
        }
        self._edges = {s: torch.from_numpy(mesh_edges(p.model.faces)) for s, p in people.items()}
        self._start = {s: p.albedo.average.detach().clone() for s, p in people.items()}
        self._unseen = {
            s: torch.tensor(1 - evidence[s], dtype=torch.float32)[:, None] for s in people
        }
        self._light = places.light.detach().clone()
        self._visible = [self._obstructed(t) for t in range(len(shown))]
        self._targets = [
            tuple(
                torch.tensor(a, dtype=torch.float32) for a in (s.crop.pixels, s.crop.mask, s.region)
            )
            for s in shown
        ]

    @torch.no_grad()
    def _obstructed(self, t: int) -> list[torch.Tensor]:
        posed = [self.posed(n) for n in self.places.of_view(t)]
        faces = [self.people[self.places.sides[n]].model.faces for n in self.places.of_view(t)]
        hands: tuple[HandPose, ...] = self.shown[t].view.hands
        parts = visible_part(
            hands, [p.vertices.numpy() for p in posed], [p.normals.numpy() for p in posed], faces
        )
        return [torch.tensor(v, dtype=torch.float32)[:, None] for v in parts]

    def posed(self, n: int) -> PosedPerson:
        """Hand n in its view."""
        made: PosedPerson = self.people[self.places.sides[n]](*self.places.pose(n))
        return made

    @torch.no_grad()
    def common_light(self) -> np.ndarray:
        """(9, 3) the mean of the views' lights, without extremes where no view shows a normal."""
        normals, weights = [], []
        for n in range(len(self.places.key)):
            posed = self.posed(n)
            look = posed.vertices / posed.vertices.norm(dim=-1, keepdim=True)
            facing = (-(posed.normals * look).sum(-1)).clamp_min(0)
            normals.append(posed.normals.numpy())
            weights.append((facing * (1 - self._unseen[self.places.sides[n]][:, 0])).numpy())
        share = np.array([s.weight for s in self.shown])
        light = np.average(self.places.light.numpy().astype(np.float64), axis=0, weights=share)
        return soften_unseen(light, np.concatenate(normals), np.concatenate(weights))

    def most_visible(self, side: str) -> np.ndarray:
        """(V,) how much of the light reaches each vertex in the most open of the views.

        What fists alone keep from the light would be a shadow on the open palm.
        """
        own = [
            part
            for t in range(len(self.shown))
            for n, part in zip(self.places.of_view(t), self._visible[t])
            if self.places.sides[n] == side
        ]
        most: np.ndarray = torch.stack(own).max(0).values[:, 0].numpy()
        return most

    def view_loss(self, t: int) -> tuple[torch.Tensor, dict[str, PosedPerson]]:
        """What one view costs, and its hands."""
        drawn, posed = self._drawn(t)
        light = self.places.light[t]
        pixels, mask, region = self._targets[t]
        both = mask * (drawn.alpha.detach() > 0.99)
        loss = picture_loss(drawn.color, pixels, both)
        area = (mask * region).sum().clamp_min(1.0)
        relative = (light - self._light[t]) / self._light[t, :1].abs().clamp_min(1e-2)
        loss = loss + LIGHT * (relative**2).sum()
        loss = loss + MASK * ((drawn.alpha - mask).abs() * region).sum() / area
        return loss, posed

    @torch.no_grad()
    def aligned(self) -> list[Shown]:
        """The views warped onto their hands as fitted so far; see :mod:`.align`."""
        made = []
        for t, shown in enumerate(self.shown):
            drawn, _ = self._drawn(t)
            made.append(aligned(shown, drawn.color.numpy(), drawn.alpha.numpy())[0])
        return made

    def _drawn(self, t: int) -> tuple[Drawn, dict[str, PosedPerson]]:
        numbers = self.places.of_view(t)
        posed = [self.posed(n) for n in numbers]
        faces = [self.people[self.places.sides[n]].model.faces for n in numbers]
        light = self.places.light[t]
        colours = [lit(p, light, v) for p, v in zip(posed, self._visible[t])]
        drawn = draw(posed, faces, colours, self.shown[t].crop.camera)
        return drawn, {self.places.sides[n]: p for n, p in zip(numbers, posed)}

    def regular(self, side: str, posed: PosedPerson) -> torch.Tensor:
        """What a hand's features cost by themselves."""
        person, config = self.people[side], self.config
        plain = config.laplacian == "plain"
        albedo = posed.log_albedo
        cost = SMOOTH_ALBEDO * smoothness(
            albedo - self._start[side], self._smooth[side], ALBEDO_PARTS, plain
        )
        away = (person.albedo.average - self._start[side]) ** 2
        cost = cost + KEEP * (away * self._unseen[side]).mean() * 100
        if posed.displacement is not None:
            moved = posed.displacement
            cost = cost + self.hold.rough * smoothness(
                moved / MM, self._smooth[side], DISPLACEMENT_PARTS, plain
            )
            a, b = self._edges[side].T
            rest = torch.from_numpy(person.model.template).float()
            before = (rest[a] - rest[b]).norm(dim=-1)
            after = (rest[a] + moved[a] - rest[b] - moved[b]).norm(dim=-1)
            cost = cost + self.hold.edge * ((after - before) ** 2).mean()
            cost = cost + self.hold.size * (moved**2).sum(-1).mean()
        if person.weights is not None:
            changed = person.weights.average
            cost = (
                cost
                + 0.05 * (changed**2).mean()
                + 0.1 * ((self._smooth[side] @ changed) ** 2).sum(-1).mean()
            )
        return cost

    def run(self, tell: Progress) -> None:
        """Fit."""
        config, people, hold = self.config, self.people, self.hold
        groups: list[dict[str, object]] = [{"params": [self.places.light], "lr": 0.005}]
        if self.moves:
            groups.append({"params": [self.places.angles, self.places.turns], "lr": 0.001})
            groups.append({"params": [self.places.shifts], "lr": 0.0001})
        smooth: list[SmoothSteps] = []
        for person in people.values():
            groups.append({"params": [person.albedo.average], "lr": 0.02})
            if person.pose_albedo:
                groups.append({"params": _others(person.albedo), "lr": config.rate})
            if person.displacement is not None:
                average = person.displacement.average
                reach = hold.smoothing * 4.0 ** (person.model.level - 1)
                smooth.append(SmoothSteps(average, person.model.faces, hold.rate, reach))
                groups.append({"params": _others(person.displacement), "lr": config.rate})
            if person.weights is not None:
                groups.append({"params": [person.weights.average], "lr": 0.01})
                groups.append({"params": _others(person.weights), "lr": config.rate})
        optimizer = torch.optim.Adam(groups)
        starts = [float(g["lr"]) for g in groups]  # type: ignore[arg-type]
        random = np.random.default_rng(config.seed)
        count = len(self.shown)
        batch = min(BATCH, count)
        # a few views make short passes: as many steps as eight views would have
        passes = int(np.ceil(config.steps * max(1.0, 8 / count)))
        for step in range(passes):
            for group, start in zip(optimizer.param_groups, starts):
                group["lr"] = start * 0.1 ** (step / passes)
            for steps in smooth:
                steps.rate = hold.rate * 0.1 ** (step / passes)
            order = random.permutation(count)
            for chosen in np.array_split(order, int(np.ceil(count / batch))):
                optimizer.zero_grad()
                for steps in smooth:
                    steps.zero_grad()
                for number, t in enumerate(chosen):
                    loss, posed = self.view_loss(int(t))
                    loss = loss * self.shown[t].weight / len(chosen)
                    if number == 0:  # what features cost by themselves differs little by pose
                        loss = loss + sum(self.regular(s, hand) for s, hand in posed.items())
                    loss.backward()
                if self.moves:
                    (PRIOR * self.places.prior(config) / count).backward()
                optimizer.step()
                for steps in smooth:
                    steps.step()
            if (step + 1) % config.refresh == 0:
                self._refresh()
            tell((step + 1) / passes, f"fitting skin and detail to {count} pictures")
        self._refresh()  # what is baked is the average

    def train_renderer(self, tell: Progress) -> dict[str, NeuralRenderer]:
        """side -> the neural renderer, trained on the fitted hands one view at a time.

        Only views that show one hand are used: the network draws one.
        """
        config = self.config
        random = np.random.default_rng(config.seed)
        made = {s: NeuralRenderer(p, config.renderer) for s, p in self.people.items()}
        for side, renderer in made.items():
            own = [
                (n, t)
                for n, (t, _) in enumerate(self.places.key)
                if self.places.sides[n] == side and len(self.places.of_view(t)) == 1
            ]
            optimizer = torch.optim.Adam(renderer.parameters(), config.rate)
            for step in range(config.renderer_steps if own else 0):
                n, t = own[step % len(own)]
                pixels, mask, _ = self._targets[t]
                with torch.no_grad():
                    posed = self.posed(n)
                inside = np.flatnonzero(mask.numpy().ravel() > 0.9)

                def choose(covered: np.ndarray, known: np.ndarray = inside) -> np.ndarray:
                    both = np.intersect1d(covered, known)
                    return both[random.permutation(len(both))[:RAYS]]

                _, where, drawn = renderer.picture(
                    self.people[side], posed, self.places.light[t].detach(), self._visible[t][0],
                    self.shown[t].crop.camera, choose,
                )  # fmt: skip
                target = pixels.reshape(-1, 3)[where]
                weight = (mask.reshape(-1)[where] > 0.9).float()[:, None]
                loss = ((drawn - target).abs() * weight).sum() / (3 * weight.sum()).clamp_min(1)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                tell((step + 1) / config.renderer_steps, "training the neural renderer")
        return made

    def _refresh(self) -> None:
        for side, person in self.people.items():
            own = [
                self.places.pose(n)[0].detach()
                for n, s in enumerate(self.places.sides)
                if s == side
            ]
            if not own:
                continue
            for part in (person.albedo, person.displacement, person.weights):
                if part is not None:
                    part.refresh(torch.stack(own))


def _others(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    return [p for name, p in module.named_parameters() if name != "average"]

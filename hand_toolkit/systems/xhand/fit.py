"""From views to a personal avatar: places, skin, detail, bake."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ...avatar import Avatar
from ...core.errors import InputError
from ...core.types import HandPose, Progress
from ...media.viewset import ViewSet
from ...skin.light import SKIN_LINEAR
from .bake import bake
from .config import XHandConfig
from .detail import Detail
from .evidence import Shown, check_one_person, look_at
from .outlines import fit_outlines
from .person import Person
from .place import Places, neutral_light, refine_places
from .renderer import NeuralRenderer
from .resume import Stages, key_of, restore, state_of
from .skin import Skin, gather_skin
from .stored import to_extras

AGREE = 0.55
"""Overlap with its mask from which a view is believed; the others are left out."""


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """What a fit found.

    Attributes:
        avatar: baked.
        people: side -> fitted hand.
        skins: side -> its skin.
        shown: the views that were used.
        places: where the hands are in them.
        left_out: a sentence for each view that was not used.
        renderers: side -> its neural renderer, where one was asked for.
    """

    avatar: Avatar
    people: dict[str, Person]
    skins: dict[str, Skin]
    shown: list[Shown]
    places: Places
    left_out: list[str]
    renderers: dict[str, NeuralRenderer] = dataclasses.field(default_factory=dict)


def fit_xhand(
    views: ViewSet,
    config: XHandConfig,
    tell: Progress = lambda fraction, message: None,
    refine_poses: bool = True,
    resume: Path | None = None,
) -> Fitted:
    """Fit a person's hands to views of them.

    Args:
        views: outlined pictures of one person's hands.
        config: how.
        tell: progress; may raise to stop.
        refine_poses: whether poses, places and shape may be moved.
        resume: file that every whole stage is written to, that an interrupted fit of the same
            pictures and settings goes on from, and that is deleted at the end.

    Raises:
        InputError: no view can be used, or the views disagree; or ``resume`` is another fit's.
        FileFormatError: ``resume`` is no such file.
    """
    threads = torch.get_num_threads()
    # thousands of small steps: threads would wait for each other longer than they work
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            return _fit(views, config, tell, refine_poses, resume)
    finally:
        torch.set_num_threads(threads)


def _fit(
    views: ViewSet, config: XHandConfig, tell: Progress, refine_poses: bool, resume: Path | None
) -> Fitted:
    tell(0.0, "looking at the pictures")
    shown, left_out = look_at(views, config.size)
    if not config.one_person:
        check_one_person(shown)
    model = views.hand_model
    if model is None:
        raise InputError("no picture shows a hand; use pictures of whole hands")
    sides = [s for s in ("right", "left") if any(x.view.estimate.hand(s) for x in shown)]
    shapes = {s: views.shape(s) for s in sides}
    skin = torch.log(torch.tensor(SKIN_LINEAR))
    plain = {s: Person(model, s, shapes[s], skin, config, level=1, plain=True) for s in sides}
    places = Places.of(shown, neutral_light())
    stages = Stages(resume, key_of(shown, config, refine_poses))
    rows = _placed(shown, plain, places, config, refine_poses, views.fps, stages, tell)
    keep = _agreeing(shown, rows, left_out)
    if len(keep) < len(shown):
        shown, places = [shown[t] for t in keep], _only(places, keep)
        rows = [rows[t] for t in keep]
    shown = _weighed(shown, rows)
    hands = _now(shown, places, plain)
    reference = ViewSet(tuple(s.view for s in shown)).reference
    tell(0.36, "gathering skin from all pictures")
    gathered = gather_skin(shown, hands, reference)
    skins, lights = gathered.skins, gathered.lights
    places.light.data = torch.tensor(np.stack(lights), dtype=torch.float32)
    torch.manual_seed(config.seed)  # networks that are read for the first time draw numbers, too
    people = {
        side: Person(model, side, plain[side].shape.detach().numpy(), torch.zeros(3), config)
        for side in skins
    }
    align = config.align and refine_poses and len(shown) > 1
    first = dataclasses.replace(config, steps=-(-config.steps // 2)) if align else config
    detail = Detail(shown, people, places, _laid(skins, people), first, refine_poses)
    before = stages.get("detail")
    if before is None:
        detail.run(lambda f, m: tell(0.45 + (0.2 if align else 0.45) * f, m))
        stages.keep("detail", state_of(places, people))
    else:
        restore(before, places, people)
    if align:
        tell(0.65, "aligning the pictures with the hand")
        hands = _now(shown, places, people)
        warped = detail.aligned()
        gathered = gather_skin(warped, hands, reference, gathered)
        skins, lights = gathered.skins, gathered.lights
        places.light.data = torch.tensor(np.stack(lights), dtype=torch.float32)
        detail = Detail(warped, people, places, _laid(skins, people), first, refine_poses)
        detail.run(lambda f, m: tell(0.7 + 0.2 * f, m))
    renderers: dict[str, NeuralRenderer] = {}
    if config.renderer != "none":
        renderers = detail.train_renderer(lambda f, m: tell(0.9 + 0.02 * f, m))
    tell(0.92, "baking the avatar")
    hands = _now(shown, places, people)
    view = shown[reference].view
    extras = {
        f"xhand.views.{side}": skins[side].layout.image(
            skins[side].views[:, None].astype(np.uint8)
        )[..., 0]
        for side in skins
    }
    extras |= to_extras(people, config)
    provenance = {"method": "xhand", "photo": view.name}
    others = ", ".join(s.view.name for t, s in enumerate(shown) if t != reference)
    if others:
        provenance["further_photos"] = others
    light = detail.common_light()
    dims = {side: detail.most_visible(side) for side in people}
    avatar = bake(people, skins, hands[reference], light, view.camera, provenance, extras, dims)
    stages.finish()
    return Fitted(avatar, people, skins, shown, places, left_out, renderers)


def _placed(
    shown: Sequence[Shown],
    plain: dict[str, Person],
    places: Places,
    config: XHandConfig,
    refine_poses: bool,
    fps: float | None,
    stages: Stages,
    tell: Progress,
) -> list[dict[str, float]]:
    """Lay the hands on their outlines, then on their pictures; what :func:`refine_places` says."""
    before = stages.get("placed")
    if before is not None:
        rows = [dict(zip(("overlap", "colour"), row)) for row in before.pop("rows").tolist()]
        restore(before, places, plain)
        return rows
    if refine_poses and config.place_steps:
        tell(0.02, f"laying the hand on {len(shown)} outlines")
        shapes = {s: p.shape.detach().double().numpy() for s, p in plain.items()}
        for side, shape in fit_outlines(shown, shapes, places, config).items():
            plain[side].shape.data = torch.tensor(shape, dtype=torch.float32)
    how = config if refine_poses else dataclasses.replace(config, place_steps=0)
    small = [s.reduced(config.place_size) for s in shown]
    rows = refine_places(small, plain, places, how, fps, lambda f, m: tell(0.05 + 0.3 * f, m))
    found = np.array([[row["overlap"], row["colour"]] for row in rows])
    stages.keep("placed", {**state_of(places, plain), "rows": found})
    return rows


def _laid(skins: dict[str, Skin], people: dict[str, Person]) -> dict[str, np.ndarray]:
    """Give the people the albedo of their skins; side -> (V,) how well each vertex was seen."""
    evidence = {}
    for side, person in people.items():
        start = skins[side].at_vertices(person.model, skins[side].log_albedo)
        person.albedo.average.data = torch.tensor(start, dtype=torch.float32)
        seen = skins[side].evidence[:, None]
        evidence[side] = skins[side].at_vertices(person.model, seen)[:, 0]
    return evidence


def _now(
    shown: Sequence[Shown], places: Places, people: dict[str, Person]
) -> list[tuple[HandPose, ...]]:
    return placed_hands(shown, places, {s: p.shape.detach().numpy() for s, p in people.items()})


def placed_hands(
    shown: Sequence[Shown], places: Places, shapes: dict[str, np.ndarray]
) -> list[tuple[HandPose, ...]]:
    """Per view the hands where they were put."""
    from ...hand_model import load_hand_model, pose_hand_numpy

    result: list[tuple[HandPose, ...]] = []
    for t, s in enumerate(shown):
        own = []
        for n, hand in zip(places.of_view(t), s.view.hands):
            with torch.no_grad():
                theta, place = (x.double().numpy() for x in places.pose(n))
            model = load_hand_model(hand.hand_model, hand.side, 0)
            shape = shapes[hand.side].astype(np.float64)
            points = pose_hand_numpy(model, theta, shape, place)[2]
            own.append(
                dataclasses.replace(
                    hand,
                    theta=theta,
                    shape=shape,
                    translation=place,
                    joints_cam_m=points,
                    keypoints_2d=s.view.camera.project(points),
                )
            )
        result.append(tuple(own))
    return result


def _agreeing(
    shown: Sequence[Shown], rows: Sequence[dict[str, float]], left_out: list[str]
) -> list[int]:
    """Views whose hand lies on its mask; says which do not.

    Raises:
        InputError: none does.
    """
    keep = []
    for t, (s, row) in enumerate(zip(shown, rows)):
        if row["overlap"] < AGREE and len(shown) > 1:
            part = round(100 * row["overlap"])
            left_out.append(f"'{s.view.name}' does not fit the others (its hand covers {part} %)")
        else:
            keep.append(t)
    if not keep or (len(shown) >= 4 and len(keep) < 2):
        raise InputError(
            f"only {len(keep)} of {len(shown)} pictures show one hand that fits ({left_out[-1]}); "
            "add sharp pictures of the whole hand, or fit one picture alone"
        )
    return keep


def _weighed(shown: Sequence[Shown], rows: Sequence[dict[str, float]]) -> list[Shown]:
    """Views that differ more from the common albedo than most count less."""
    colour = np.array([r["colour"] for r in rows])
    usual = float(np.median(colour)) + 1e-6
    share = np.clip(usual / np.maximum(colour, 1e-6), 0.25, 1.0)
    return [dataclasses.replace(s, weight=s.weight * float(w)) for s, w in zip(shown, share)]


def _only(places: Places, keep: Sequence[int]) -> Places:
    number = {t: k for k, t in enumerate(keep)}
    rows = [n for n, (t, _) in enumerate(places.key) if t in number]
    parameter = torch.nn.Parameter
    return Places(
        [(number[places.key[n][0]], places.key[n][1]) for n in rows],
        [places.sides[n] for n in rows],
        parameter(places.angles.detach()[rows].clone()),
        parameter(places.turns.detach()[rows].clone()),
        parameter(places.shifts.detach()[rows].clone()),
        parameter(places.light.detach()[list(keep)].clone()),
        places.start_angles[rows],
        places.start_wrist[rows],
        places.start_place[rows],
    )

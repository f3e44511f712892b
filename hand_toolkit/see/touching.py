"""Hands that touch: a second one where the class map of a known hand shows another, and duplicates.

Each hand's class map says which pixels are its own and which another hand's, so the maps of two
hands judge each other: what one calls another hand must be what the other calls its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .confidence import confidence
from .crops import crop_of_points, second_look
from .inference import find_landmarks
from .landmarks import CROP_SIZE
from .mending import in_doubt, mended
from .owners import Owners, Pair, compare, owners_of, unexplained
from .search import SAME_HAND
from .views import Detection, View, cluster, consensus, distance, hand_views

if TYPE_CHECKING:
    from .finder import NetworkSearch

LEAST_POINTS = 20
"""Points of an unexplained other hand, of the about 5,000 on a map, that start a search."""

MIN_COMPANY = 0.1
"""Probability that another hand is in the crop, below which none is looked for; those that were
found had .75 and more, a third of the searches in vain less than this."""

TURNS = 12
SCALE = 0.95
"""Edge of the crops that are tried, in units of the known hand's."""

MIN_PRESENCE = 0.3
"""Of a proposal; the maps have the last word."""

ELSEWHERE = 0.15
"""Distance, in units of the hand's size, at which a proposal is not the known hand."""

MAX_PROPOSALS = 3
MIN_CHANCE = 0.45
DUPLICATE = 0.4
"""Part of what two maps call their own that they share, above which they are of one hand."""

PART = 0.25
"""The same part, above which a hand is taken for a piece of a surer one that denies it; the heel of
a palm had .35, hands pressed together or interlaced in real photos .18 at most."""

LEAST_OF_KNOWN = 0.3
"""Chance below which one of two hands that were both found is taken for a duplicate."""

PRESSED_GAPS = (0.35, 0.5, 0.65)
PRESSED_OVERLAP, PRESSED_ON_HAND, PRESSED_HIDDEN = 0.25, 0.85, 0.6
"""What the maps must say of a hand behind another: overlap with the other hand's pixels, keypoints
on a hand, and the front hand's keypoints on another hand in the map of the hidden one."""

PRESSED_SHIFT = 0.05
"""Least mean distance in the picture, in units of the hand's size, between a hand and the one
behind it: a palm that faces the camera hides all of what is pressed to it."""

PRESSED_PRESENCE = 0.5
"""Of a hand that nobody saw but its edges."""

NEAR = 1.6
"""Hands whose middles are farther apart, in units of the larger one's size, do not touch."""

WEIGHTS = {"overlap": 3.2, "same_own": -3.2, "own_on_hand": 2.0, "presence": 2.4}
OFFSET = -4.7
"""Logistic regression on 91 second hands that were proposed, 22 of them there; by hand, once."""


def chance(pair: Pair, presence: float) -> float:
    """How likely the second hand of a pair is one, given the first.

    Args:
        pair: what their maps say about each other.
        presence: of the second hand over its own crops, 0 where they do not show it.
    """
    values = {
        "overlap": pair.overlap, "same_own": pair.same_own, "own_on_hand": pair.own_on_hand,
        "presence": presence,
    }  # fmt: skip
    logit = OFFSET + sum(WEIGHTS[name] * value for name, value in values.items())
    return 1 / (1 + math.exp(-logit))


def touching_hands(search: NetworkSearch, hands: Sequence[Detection]) -> list[Detection]:
    """The hands without duplicates, and those that they touch.

    Args:
        search: of the photo.
        hands: confirmed ones.
    """
    known = [owners_of(search.pyramid, hand) for hand in hands]
    known = without_duplicates(known)
    for owners in list(known):
        if len(known) >= search.max_hands:
            break
        if not any(owners is k for k in known):
            continue
        if owners.company < MIN_COMPANY:
            continue
        points = unexplained(owners, [other for other in known if other is not owners])
        if len(points) >= LEAST_POINTS:
            found = _second(search, owners, points, known)
            if found is not None:
                known = [*without_mistaken(known, found), found]
    known = _mended(search, known)
    return [
        replace(
            owners.hand,
            confidence=confidence(owners),
            behind=owners.depth,
            behind_sigma=owners.depth_sigma,
        )
        for owners in known
    ]


def without_duplicates(known: list[Owners]) -> list[Owners]:
    """Of two hands that are one, the one that the maps believe more."""
    kept: list[Owners] = []
    for owners in sorted(known, key=lambda o: -_self_belief(o)):
        rivals = [o for o in kept if _near(o.hand, owners.hand)]
        # the surer map decides: a mistaken hand calls the true one another
        if all(_chance(rival, owners) > LEAST_OF_KNOWN for rival in rivals):
            kept.append(owners)
    return [owners for owners in known if any(owners is k for k in kept)]


def without_mistaken(known: list[Owners], found: Owners) -> list[Owners]:
    """The known hands but those that a surer one, found beside them, shows to be a part of it.

    The heel of a palm may look like a hand; its map then calls the rest of the palm another's.
    """
    return [
        owners
        for owners in known
        if not _near(found.hand, owners.hand)
        or _self_belief(owners) >= _self_belief(found)
        or _chance(found, owners) > LEAST_OF_KNOWN
        or compare(found, owners).same_own < PART
    ]


def _mended(search: NetworkSearch, known: list[Owners]) -> list[Owners]:
    """The hands, those in doubt looked for anew; none is put where another one is."""
    out = list(known)
    for number, owners in enumerate(known):
        if not in_doubt(owners):
            continue
        again = mended(search, owners)
        others = [k for k in out if k is not owners]
        if all(distance(again.hand, k.hand) > ELSEWHERE for k in others):
            out[number] = again
    return out


def _chance(first: Owners, second: Owners) -> float:
    return chance(compare(first, second), second.hand.presence)


def _self_belief(owners: Owners) -> float:
    """Presence, and how much of the hand its own map calls its own."""
    return owners.hand.presence * float(owners.at(owners.hand.keypoints)[:, 1].mean())


def _near(first: Detection, second: Detection) -> bool:
    gap = np.linalg.norm(first.keypoints.mean(axis=0) - second.keypoints.mean(axis=0))
    return bool(gap < NEAR * max(first.size, second.size))


def _second(
    search: NetworkSearch, owners: Owners, points: np.ndarray, known: Sequence[Owners]
) -> Owners | None:
    """The hand that ``points`` of the map show, or None where nothing convinces."""
    hand = owners.hand
    views = _views(owners, points)
    seen = find_landmarks(search.pyramid, views)
    seen += search.look(hand_views(hand)[:2])
    new = [
        d for d in seen
        if d.presence > MIN_PRESENCE and all(distance(d, k.hand) > ELSEWHERE for k in known)
    ]  # fmt: skip
    best, best_chance = None, MIN_CHANCE
    for group in cluster(new)[:MAX_PROPOSALS]:
        proposal = _again(search, consensus(group))
        presence = proposal.presence
        if any(distance(proposal, k.hand) < ELSEWHERE for k in known):
            continue
        judged = owners_of(search.pyramid, proposal)
        pair = compare(owners, judged)
        rivals = [k for k in known if k is not owners and _near(k.hand, proposal)]
        if any(compare(k, judged).same_own > DUPLICATE for k in rivals):
            continue
        if chance(pair, presence) > best_chance:
            best, best_chance = judged, chance(pair, presence)
    return best if best is not None else _palm_to_palm(search, owners, known)


def _palm_to_palm(search: NetworkSearch, owners: Owners, known: Sequence[Owners]) -> Owners | None:
    """The mirror image of a hand before its palm, where the maps of both agree that it is there.

    Of hands pressed together one hides the other but for its edges, in which no detector sees a
    hand.
    """
    best, best_overlap = None, PRESSED_OVERLAP
    for gap in PRESSED_GAPS:
        partner = mirrored_partner(owners.hand, gap)
        shift = np.linalg.norm(partner.keypoints - owners.hand.keypoints, axis=1).mean()
        if shift < PRESSED_SHIFT * owners.hand.size:
            continue
        judged = owners_of(search.pyramid, partner)
        pair = compare(owners, judged)
        rivals = [k for k in known if k is not owners and _near(k.hand, judged.hand)]
        fits = pair.own_on_hand > PRESSED_ON_HAND and pair.first_on_other > PRESSED_HIDDEN
        if any(compare(k, judged).same_own > DUPLICATE for k in rivals):
            continue
        if fits and pair.overlap > max(best_overlap, pair.same_own):
            best, best_overlap = judged, pair.overlap
    return best


def mirrored_partner(hand: Detection, gap: float) -> Detection:
    """The other hand of a pair pressed together, as the mirror image in a plane before the palm.

    Args:
        hand: a hand.
        gap: between the two palms' keypoints, in lengths from wrist to middle knuckle.
    """
    points = np.column_stack([hand.keypoints, hand.depth])
    palm = np.cross(points[5] - points[0], points[17] - points[0])
    palm /= max(float(np.linalg.norm(palm)), 1e-9) * (-1 if hand.left else 1)
    middle = points[[0, 5, 9, 13, 17]].mean(axis=0)
    length = float(np.linalg.norm(points[9] - points[0]))
    mirrored = points - 2 * ((points - middle) @ palm)[:, None] * palm + gap * length * palm
    world = hand.world - hand.world[[0, 5, 9, 13, 17]].mean(axis=0)
    return Detection(
        keypoints=mirrored[:, :2],
        depth=mirrored[:, 2] - mirrored[0, 2],
        world=world - 2 * (world @ palm)[:, None] * palm,
        left=not hand.left,
        score=hand.score,
        presence=PRESSED_PRESENCE,
    )


def _again(search: NetworkSearch, hand: Detection) -> Detection:
    """The proposal averaged over its own crops; crops that do not show it count as presence 0."""
    seen = find_landmarks(search.pyramid, second_look(hand.keypoints))
    good = [d for d in seen if d.presence > MIN_PRESENCE and distance(d, hand) < SAME_HAND]
    presence = sum(d.presence for d in good) / len(seen)
    return replace(consensus(good) if good else hand, presence=presence)


def _views(owners: Owners, points: np.ndarray) -> list[View]:
    """Crops in all directions around the unexplained pixels, and between them and the hand."""
    own = owners.own_points
    middle = points.mean(axis=0)
    between = (middle + (own.mean(axis=0) if len(own) else owners.hand.keypoints.mean(axis=0))) / 2
    side = SCALE * crop_of_points(owners.hand.keypoints).side
    return [
        View((float(x), float(y)), side, 2 * math.pi * k / TURNS, bool(k % 2), CROP_SIZE)
        for x, y in (middle, between)
        for k in range(TURNS)
    ]

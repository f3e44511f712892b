"""Contract checks for avatar methods; the built-in ones pass the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..avatar import Avatar
from ..core.conventions import SIDES
from ..core.types import Photo
from ..media.viewset import ViewSet
from ..systems.method import AvatarMethod, MethodConfig, run_method
from .checks import check_names, check_options, require
from .views import drawn_views


def check_method(
    method: Any,
    *,
    options: Mapping[str, Any] | None = None,
    hand_model: str = "default",
    same_bytes: bool = True,
) -> None:
    """Check that ``method`` keeps the contract of :class:`hand_toolkit.AvatarMethod`.

    It is asked for the avatar of one drawn hand, of the same hand in three pictures of which
    only some show its back, and of two hands.

    Args:
        method: what ``register_methods`` registers.
        options: settings that make it quick; the rest are defaults.
        hand_model: a model that it suits.
        same_bytes: the same seed must give the same avatar.

    Raises:
        AssertionError: with what is wrong.
    """
    check_names(method, "method")
    require(isinstance(method, AvatarMethod), "it lacks a member of hand_toolkit.AvatarMethod")
    check_options(method.options)
    require(method.suits(hand_model) is True, f"suits('{hand_model}') is not True")
    require(method.suits("no-such-model") in (True, False), "suits must answer True or False")
    for alias in getattr(method, "aliases", ()):
        require(
            isinstance(alias, str) and alias != method.name, f"alias {alias!r} is no other name"
        )
    config = MethodConfig("draft", dict(options or {}), seed=0)
    one = drawn_views(size=160, hand_model=hand_model)
    first = _checked(method, one, config, "one photo")
    require(first.hand("right").observed, "of one photo, the right hand is not said to be observed")
    if same_bytes:
        again = run_method(method, one, config)
        same = all(
            np.array_equal(first.hand(s).color, again.hand(s).color)
            and np.array_equal(first.hand(s).binding.offset, again.hand(s).binding.offset)
            for s in first.sides
        )
        require(same, "the same seed gave another avatar the second time")
    three = drawn_views((0.0, 140.0, 180.0), size=160, hand_model=hand_model)
    _checked(method, three, config, "three photos")
    two = drawn_views(sides=SIDES, size=160, hand_model=hand_model)
    both = _checked(method, two, config, "two hands")
    for side in SIDES:
        require(both.hand(side).observed, f"of two hands, the {side} one is not observed")


def _checked(method: AvatarMethod, views: ViewSet, config: MethodConfig, case: str) -> Avatar:
    told: list[tuple[float, str]] = []
    before = [(view.read().pixels.copy(), view.outlined()[0].copy()) for view in views]
    avatar = run_method(method, views, config, lambda part, what: told.append((part, what)))
    for (pixels, mask), view in zip(before, views):
        photo: Photo = view.read()
        same = np.array_equal(photo.pixels, pixels) and np.array_equal(view.outlined()[0], mask)
        require(same, f"{case}: a picture or mask that it was given was changed")
    parts = [part for part, _ in told]
    require(parts == sorted(parts), f"{case}: progress goes back: {parts}")
    require(all(0 <= p <= 1 for p in parts), f"{case}: progress leaves 0 to 1: {parts}")
    require(all(isinstance(w, str) for _, w in told), f"{case}: progress was told no text")
    view = views[views.reference]
    for hand in view.hands:
        made = avatar.hand(hand.side)
        require(len(made) > 0, f"{case}: the {hand.side} hand has no splats")
        moved = float(np.linalg.norm(made.source_translation - hand.translation))
        require(
            moved < 0.05,
            f"{case}: the {hand.side} hand's source_translation is {moved:.2f} m off the view's",
        )
    _stops(method, views, config, case)
    return avatar


def _stops(method: AvatarMethod, views: ViewSet, config: MethodConfig, case: str) -> None:
    class Stop(Exception):
        pass

    def stop(part: float, what: str) -> None:
        raise Stop

    try:
        run_method(method, views, config, stop)
    except Stop:
        return
    raise AssertionError(f"{case}: it never reports progress, or does not stop when that raises")

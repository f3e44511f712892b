"""The built-in methods keep the contract, and the check sees what breaks it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from hand_toolkit.avatar import Avatar, AvatarHand, surface
from hand_toolkit.avatar.layout import lay_splats
from hand_toolkit.avatar.lighting import constant_light
from hand_toolkit.core.errors import PluginError
from hand_toolkit.core.options import Option
from hand_toolkit.core.registry import registry
from hand_toolkit.hand_model import rest_hand
from hand_toolkit.media import ViewSet
from hand_toolkit.systems import MethodConfig
from hand_toolkit.testing.method import check_method


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("texture", {"refinement": 2, "splats_per_face": "1", "working_size": 128}),
        ("igsn", {"steps": 2, "refinement": 2, "splats_per_face": "1", "working_size": 128}),
    ],
)
def test_the_built_in_ones_keep_the_contract(name: str, options: dict[str, Any]) -> None:
    check_method(registry().get("methods", name), options=options)


class Plain:
    """A method that keeps the contract; each test below breaks one thing of it."""

    name = "plain"
    description = "grey hands"
    options = (Option("grey", float, 0.5, "of the skin", (), 0.0, 1.0),)

    def suits(self, hand_model: str) -> bool:
        return hand_model == "default"

    def fit(self, views: ViewSet, config: MethodConfig, progress: Any) -> Avatar:
        progress(0.5, "greying")
        view = views[views.reference]
        hands = []
        for hand in view.hands:
            mesh = surface(hand.hand_model, hand.side, 0)
            binding = lay_splats(rest_hand(mesh, hand.shape)[0], mesh.faces, 1)
            grey = np.full((len(binding), 3), config.options["grey"])
            ones = np.ones(len(binding))
            hands.append(
                AvatarHand(
                    hand.side, hand.shape, binding, ones, grey, grey, ones,
                    source_theta=hand.theta, source_translation=hand.translation,
                )
            )  # fmt: skip
        return Avatar("default", 0, tuple(hands), constant_light(), view.camera)


def test_a_plain_one_passes() -> None:
    check_method(Plain())


class Placeless(Plain):
    def fit(self, views: ViewSet, config: MethodConfig, progress: Any) -> Avatar:
        avatar = super().fit(views, config, progress)
        far = np.array([0.0, 0.0, 9.0])
        hands = tuple(dataclasses.replace(h, source_translation=far) for h in avatar.hands)
        return dataclasses.replace(avatar, hands=hands)


class Painter(Plain):
    def fit(self, views: ViewSet, config: MethodConfig, progress: Any) -> Avatar:
        views[0].read().pixels[:] = 0
        return super().fit(views, config, progress)


class Silent(Plain):
    def fit(self, views: ViewSet, config: MethodConfig, progress: Any) -> Avatar:
        return super().fit(views, config, lambda part, what: None)


class Backwards(Plain):
    def fit(self, views: ViewSet, config: MethodConfig, progress: Any) -> Avatar:
        progress(0.9, "nearly")
        return super().fit(views, config, progress)


class Dice(Plain):
    def fit(self, views: ViewSet, config: MethodConfig, progress: Any) -> Avatar:
        grey = float(np.random.default_rng().random())
        return super().fit(views, MethodConfig(options={"grey": grey}), progress)


class Nothing(Plain):
    def fit(self, views: ViewSet, config: MethodConfig, progress: Any) -> Any:
        progress(0.5, "nothing")
        return None


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Placeless, "source_translation is"),
        (Painter, "was changed"),
        (Silent, "never reports progress"),
        (Backwards, "progress goes back"),
        (Dice, "another avatar the second time"),
    ],
)
def test_what_breaks_the_contract_is_seen(broken: type[Plain], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_method(broken())


def test_what_is_no_avatar_is_the_plugin_s_fault() -> None:
    with pytest.raises(PluginError, match="'plain' returned NoneType"):
        check_method(Nothing())

"""What an avatar method is: options that list themselves, and one function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ..core.errors import InputError, PluginError
from ..core.options import Option, parse_settings
from ..core.types import Progress

if TYPE_CHECKING:
    from ..avatar import Avatar
    from ..media.viewset import ViewSet


QUALITIES = ("draft", "standard", "high")


@dataclass(frozen=True)
class MethodConfig:
    """How a method is to fit.

    Attributes:
        quality: one of ``QUALITIES``: seconds, about a minute, or minutes on a laptop.
        options: every option of the method, parsed.
        seed: of every random choice; the same seed on the same device gives the same bytes.
        device: "cpu" or "cuda".
        refine_poses: whether poses, shape and place may be moved; False where they are known.
    """

    quality: str = "standard"
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    device: str = "cpu"
    refine_poses: bool = True

    def __post_init__(self) -> None:
        if self.quality not in QUALITIES:
            raise InputError(
                f"unknown quality {self.quality!r}; accepted are: {', '.join(QUALITIES)}"
            )


@runtime_checkable
class AvatarMethod(Protocol):
    """What ``register_methods`` registers: makes an avatar of photos of one person's hands.

    A method may also have ``aliases``, further names for ``--method``, and ``max_views``, the most
    pictures that it is given where the user names no number; and may say in its avatar's
    provenance ``left_out``, sentences parted by "; ", which views it did not use and why.

    Attributes:
        name: the word after ``--method``.
        description: one line.
        options: settings, listed by the command line and Blender by themselves.
    """

    name: str
    description: str
    options: tuple[Option, ...]

    def suits(self, hand_model: str) -> bool:
        """Whether it can fit hands of that model; asked for ``--method auto``, so quickly."""
        ...

    def fit(self, views: ViewSet, config: MethodConfig, progress: Progress) -> Avatar:
        """Make the avatar.

        Args:
            views: one or more photos, each with hands, camera, mask and labels; a method for one
                photo takes ``views[views.reference]``.
            config: how.
            progress: told how far it is.

        Returns:
            An avatar of the hands' own model with the light, pose and camera of the reference
            view.

        Raises:
            InputError: the views cannot be used.
        """
        ...


AUTO = ("igsn", "texture")
"""What ``--method auto`` tries, in this order."""


def find_method(name: str, hand_model: str) -> AvatarMethod:
    """The installed method of that name or alias; of "auto", the first that suits the hand model.

    Raises:
        InputError: no such method, or none that suits.
    """
    from ..core.registry import registry

    table = registry()
    if not table.names("methods"):
        raise InputError(
            "no avatar method is installed; install the toolkit again (pip install hand-toolkit, "
            "or pip install -e . in a checkout)"
        )
    if name != "auto":
        return table.get("methods", name)  # type: ignore[no-any-return]
    others = (n for n in table.names("methods") if n not in AUTO)
    for candidate in (*(n for n in AUTO if n in table.tables["methods"]), *others):
        method: AvatarMethod = table.get("methods", candidate)
        if method.suits(hand_model):
            return method
    raise InputError(f"no installed method fits hands of the model '{hand_model}'; name one")


def run_method(
    method: AvatarMethod,
    views: ViewSet,
    config: MethodConfig,
    progress: Progress = lambda fraction, message: None,
) -> Avatar:
    """Fit, with the options checked and what comes back looked at.

    Raises:
        InputError: an option that the method has not, or views that cannot be used.
        PluginError: it returned something else than an avatar of the views' hands.
    """
    import dataclasses

    from ..avatar import Avatar

    options = parse_settings(f"method {method.name}", method.options, config.options)
    avatar = method.fit(views, dataclasses.replace(config, options=options), progress)
    if not isinstance(avatar, Avatar):
        raise PluginError(
            f"the method '{method.name}' returned {type(avatar).__name__}; it must return an Avatar"
        )
    lacking = [side for side in views.sides if side not in avatar.sides]
    if avatar.hand_model != views.hand_model or lacking:
        raise PluginError(
            f"the method '{method.name}' returned the {' and '.join(avatar.sides)} hand of model "
            f"'{avatar.hand_model}'; the photos show {' and '.join(views.sides)} of "
            f"'{views.hand_model}'"
        )
    return avatar

"""One folder for each published system, under its own name; ``plugin`` offers what they make."""

from .method import AvatarMethod, MethodConfig

__all__ = ["AvatarMethod", "MethodConfig"]

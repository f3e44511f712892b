"""``synth``, ``train`` and ``evaluate``: the learned prior."""

from __future__ import annotations

import click

COMMANDS: tuple[click.Command, ...] = ()

"""Writes docs/cli.md from the command line's own help; ``--check`` only compares.

python scripts/write_cli_docs.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hand_toolkit.cli import cli

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
WIDTH = 100

HEAD = """# Command line

Written by `python scripts/write_cli_docs.py` from the help that each command prints; a test
compares the two. Errors and exit codes are explained in [errors.md](errors.md), plugins in
[plugins.md](plugins.md).
"""


def page() -> str:
    """The page as it should be."""
    parts = [HEAD, _section(cli, "hand-toolkit", None)]
    context = click.Context(cli, info_name="hand-toolkit", **cli.context_settings)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if command is not None and not command.hidden:
            parts.append(_section(command, f"hand-toolkit {name}", context))
    return "\n".join(parts)


def _section(command: click.Command, title: str, parent: click.Context | None) -> str:
    context = click.Context(
        command,
        info_name=title.split()[-1],
        parent=parent,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        **command.context_settings,
    )
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    return f"## {title}\n\n```text\n{text}\n```\n"


def main() -> int:
    """Write the page, or compare it."""
    text = page()
    if "--check" in sys.argv[1:]:
        same = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
        if not same:
            print("docs/cli.md is old; run: python scripts/write_cli_docs.py", file=sys.stderr)
        return 0 if same else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

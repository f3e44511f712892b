"""The command line's help is what the docs show."""

from __future__ import annotations

import difflib
import runpy
from pathlib import Path

import click

from hand_toolkit.cli import cli

ROOT = Path(__file__).resolve().parents[1]


def test_the_page_is_the_help() -> None:
    expected = runpy.run_path(str(ROOT / "scripts" / "write_cli_docs.py"))["page"]()
    found = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    lines = difflib.unified_diff(
        found.splitlines(), expected.splitlines(), "docs/cli.md", "--help", lineterm="", n=1
    )
    assert found == expected, "run: python scripts/write_cli_docs.py\n" + "\n".join(lines)


def test_every_command_and_option_is_explained() -> None:
    for name, command in cli.commands.items():
        assert (command.help or "").strip(), f"{name} has no help"
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                said = parameter.help or isinstance(parameter.type, click.Choice)
                assert said, f"{name} {parameter.opts[-1]} has no help"


def test_every_exit_code_is_documented() -> None:
    from hand_toolkit.cli import EPILOG
    from hand_toolkit.core import errors

    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    codes = {
        item.exit_code
        for item in vars(errors).values()
        if isinstance(item, type) and issubclass(item, errors.HandToolkitError)
    }
    for code in sorted(codes | {0, 70}):
        assert f"| {code} |" in page, f"docs/errors.md lacks exit code {code}"
        assert f" {code} " in f" {EPILOG.replace(chr(10), ' ')} ", f"--help lacks exit code {code}"
    for name, item in vars(errors).items():
        if isinstance(item, type) and issubclass(item, errors.HandToolkitError):
            assert f"`{name}`" in page, f"docs/errors.md lacks {name}"

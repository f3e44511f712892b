"""What the readme and the docs tell people to type is right.

Conventions, for README.md and docs/**/*.md:

- Commands stand in blocks fenced with ```sh, one a line; ``\\`` at the end of a line and ``#``
  comments work as in a shell. Every block that has a ``hand-toolkit`` line is such a block.
- Each ``hand-toolkit`` line is parsed by the real command line: an unknown command, option or value
  fails. So is each `hand-toolkit ...` in running text, as far as its options go.
- README.md's ``hand-toolkit`` lines are also run, top to bottom, in one temporary folder in which
  ``photo.jpg`` and ``other.jpg`` are the picture that comes with the toolkit, and then its
  ```python blocks. ``CHEAPER`` and ``QUICK`` say what is made smaller and what is only parsed.
- Relative links lead to files.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from environments import ROOT, run

from hand_toolkit.cli import cli

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
OTHER_PROGRAMS = {"make", "pip", "pytest", "python", "python3", "bash", "npm", "npx", "apt-get",
                  "git", "cd", "export", "blender", "source", "torchrun", "accelerate"}  # fmt: skip
ONLY_PARSED = {"demo", "live", "view", "serve", "train", "evaluate", "synth", "import-mano"}
"""Take minutes, wait for somebody, or need the user's own files; they have tests of their own."""

CHEAPER = {"fit": ["--quality", "draft"], "render": ["--size", "64x64"], "export": ["--lod", "1"]}
"""Added to the commands that are run."""

LIMIT = 550
"""Seconds for a command; a draft fit takes about 15 on two idle cores."""

QUICK = (('fit_photo("photo.jpg")', 'fit_photo("photo.jpg", quality="draft")'),)
"""Replaced in the Python that is run."""


@dataclass(frozen=True)
class Command:
    """A command line as a page shows it."""

    page: str
    line: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}:{self.line} {' '.join(self.words)}"


def blocks(path: Path) -> list[tuple[int, str, list[str]]]:
    """(first line's number, language, lines) of every fenced block; an open one ends the page."""
    found: list[tuple[int, str, list[str]]] = []
    opened: tuple[int, str, list[str]] | None = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.match(r"^\s*```(.*)$", line)
        if fence and opened is None:
            opened = (number + 1, fence[1].strip(), [])
        elif fence and opened is not None:
            found.append(opened)
            opened = None
        elif opened is not None:
            opened[2].append(line)
    return [*found, opened] if opened else found


def shell_commands(path: Path) -> tuple[list[Command], list[str]]:
    """Every command in the page's ```sh blocks, and where the page breaks the conventions."""
    page = path.relative_to(ROOT).as_posix()
    commands, problems = [], []
    if len(re.findall(r"^\s*```", path.read_text(encoding="utf-8"), re.M)) % 2:
        problems.append(f"{page} has a fence that is not closed")
    for start, language, lines in blocks(path):
        if language != "sh":
            strays = [line for line in lines if re.match(r"^\s*(\$ )?hand-toolkit ", line)]
            if strays and not (language == "text" and page == "docs/cli.md"):
                problems.append(f"{page}:{start} fence it with ```sh: {strays[0]}")
            continue
        joined, first = "", start
        for number, line in enumerate(lines, start):
            first = first if joined else number
            joined += line
            if joined.endswith("\\"):
                joined = joined[:-1]
                continue
            for part in re.split(r"&&|\||;", joined):
                try:
                    words = shlex.split(part, comments=True)
                except ValueError as error:
                    problems.append(f"{page}:{first} {error}: {part}")
                    continue
                if words:
                    commands.append(Command(page, first, tuple(words)))
            joined = ""
        if joined:
            problems.append(f"{page}:{first} ends in a backslash")
    return commands, problems


COMMANDS = [command for path in PAGES for command in shell_commands(path)[0]]
OURS = [command for command in COMMANDS if command.words[0] == "hand-toolkit"]
RUN = [c for c in OURS if c.page == "README.md" and c.words[1] not in ONLY_PARSED]


def test_the_readme_has_commands_to_test() -> None:
    """So that a change of its format cannot leave these tests with nothing to do."""
    assert {"fit", "render", "export", "pose"} <= {command.words[1] for command in RUN}
    python = [b for b in blocks(ROOT / "README.md") if b[1] == "python"]
    assert python
    assert (ROOT / "README.md").read_text("utf-8").count("hand-toolkit ") >= len(RUN)


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_the_page_keeps_the_conventions(path: Path) -> None:
    assert shell_commands(path)[1] == []


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_the_command_line_takes_it(command: Command) -> None:
    program = command.words[0]
    if program != "hand-toolkit":
        known = program in OTHER_PROGRAMS or program.startswith((".venv/bin/", "./"))
        assert known, f"{command}: unknown program; is it a typing error?"
        for word in command.words[1:]:
            if re.fullmatch(r"(benchmarks|scripts)/\S+\.(py|sh)", word):
                assert (ROOT / word).is_file(), f"{command}: there is no {word}"
        return
    words = list(command.words[1:])
    for k, word in enumerate(words):
        if word in (">", "2>", ">>"):
            words = words[:k]
            break
    try:
        group = click.Context(cli, **cli.context_settings)
        name, found, rest = cli.resolve_command(group, words)
        assert found is not None
        if "--help" not in rest and words not in (["--help"], ["--version"]):
            found.make_context(name, list(rest), parent=group)
    except click.ClickException as error:
        if words in (["--help"], ["--version"]):
            return
        raise AssertionError(f"{command}: {error.format_message()}") from error


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_options_in_running_text_exist(path: Path) -> None:
    text = re.sub(r"^\s*```.*?^\s*```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for span in re.findall(r"`(hand-toolkit [^`]+)`", text):
        words = [word.strip("[]…,") for word in span.split()[1:]]
        if words[0].startswith("-"):
            continue
        assert words[0] in cli.commands, f"{path.name}: `{span}` names no command"
        options = {o for p in cli.commands[words[0]].params for o in (*p.opts, *p.secondary_opts)}
        for word in words[1:]:
            name = word.split("=")[0]
            known = not name.startswith("--") or name in options | {"--help"}
            assert known, f"{path.name}: `{span}` has no option {name}"


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if not re.match(r"^(https?:|mailto:|#)", target):
            place = path.parent / target.split("#")[0]
            assert place.exists(), f"{path.relative_to(ROOT)} links to {target}, which is not there"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the readme's commands run, one after the other."""
    from hand_toolkit.media.demo import PICTURE

    result = tmp_path_factory.mktemp("readme")
    for name in ("photo.jpg", "other.jpg"):
        shutil.copy(PICTURE, result / name)
    return result


@pytest.mark.parametrize("command", RUN, ids=str)
def test_the_readme_s_commands_run(command: Command, folder: Path) -> None:
    name = command.words[1]
    given = [word for word in CHEAPER.get(name, []) if word.startswith("--")]
    extra = [] if any(word in command.words for word in given) else CHEAPER.get(name, [])
    words = [*command.words[1:], *extra]
    before = set(folder.rglob("*"))
    run(sys.executable, "-m", "hand_toolkit.cli", *words, cwd=folder, timeout=LIMIT)
    outputs = [words[k + 1] for k, word in enumerate(words) if word in ("-o", "--output")]
    for output in outputs:
        assert (folder / output).exists(), f"{command} left no {output}"
        assert (folder / output).is_dir() or (folder / output).stat().st_size > 100
    new = {path.relative_to(folder).parts[0] for path in set(folder.rglob("*")) - before}
    assert not [name for name in new if name.startswith(".")], f"{command} left {new}"


def test_the_readme_s_python_runs(folder: Path) -> None:
    code = "\n".join(
        "\n".join(lines)
        for _, language, lines in blocks(ROOT / "README.md")
        if language == "python"
    )
    for slow, quick in QUICK:
        assert slow in code, f"the readme no longer has {slow}; mend QUICK"
        code = code.replace(slow, quick)
    run(sys.executable, "-c", code, cwd=folder, timeout=LIMIT)

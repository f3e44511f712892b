"""Shared fixtures, which tests are slow, and the rule that a set-up machine skips nothing.

Under ``HAND_TOOLKIT_STRICT=1`` (what ``make test`` sets) a test may be skipped only for one of
``ALLOWED`` reasons; any other skip fails the run, since the set-up should have installed what
the test needs.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiers import is_slow

ALLOWED = (
    "no CUDA device",
    "the real photos are not here",
    "the reports' files are not here",
    "BPY_ALL is not set",
)
PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "photos"

_skipped: list[str] = []


@pytest.fixture(scope="session")
def photos() -> Path:
    """Folder of real test photos beside the checkout; their licence forbids shipping them."""
    if not (PHOTOS / "annotations.json").is_file():
        pytest.skip("the real photos are not here")
    return PHOTOS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_slow(item.nodeid):
            item.add_marker(pytest.mark.slow)
    if any(item.get_closest_marker("gpu") for item in items):
        import torch

        if not torch.cuda.is_available():
            for item in items:
                if item.get_closest_marker("gpu"):
                    item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not reason.startswith(ALLOWED):
            _skipped.append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skipped and os.environ.get("HAND_TOOLKIT_STRICT"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _skipped and os.environ.get("HAND_TOOLKIT_STRICT"):
        terminalreporter.section("skipped for lack of something the set-up should install")
        for line in _skipped:
            terminalreporter.line(line)

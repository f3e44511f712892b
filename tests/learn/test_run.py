"""Trainings by name: presets, settings from the command line, scores of a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from toy import ToyConfig, ToySettings, ToyTraining

from hand_toolkit.cli import cli
from hand_toolkit.core.errors import FileFormatError, InputError
from hand_toolkit.core.registry import registry
from hand_toolkit.learn import from_mapping, score_checkpoint, settings_of, with_changes
from hand_toolkit.learn.checkpoint import read_header

TOY = ToyTraining()


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy, registered beside the built-in trainings."""
    table = registry().tables["trainings"]
    monkeypatch.setitem(table, "toy", TOY)


def test_presets_and_changes() -> None:
    config, settings = settings_of(TOY, None, ["width=5", "rate=0.5"], seed=3, steps=None)
    assert config == ToyConfig(width=5)
    assert settings == ToySettings(rate=0.5, seed=3)
    assert settings_of(TOY, "narrow")[0].width == 4
    with pytest.raises(InputError, match="accepted are: usual, narrow"):
        settings_of(TOY, "wide")
    with pytest.raises(InputError, match=r"unknown setting 'widht'; ToySettings has steps.*width"):
        with_changes(config, settings, ["widht=3"])
    with pytest.raises(InputError, match="no JSON value"):
        with_changes(config, settings, ["width=many"])
    with pytest.raises(InputError, match="steps is 0"):
        with_changes(config, settings, ["steps=0"])
    with pytest.raises(InputError, match="unknown setting widht for ToyConfig"):
        from_mapping(ToyConfig, {"widht": 3})


def test_the_command_trains_any_system(known: None, tmp_path: Path) -> None:
    command = ["train", "--system", "toy", "-o", str(tmp_path), "--steps", "6", "--device", "cpu",
               "--config", "narrow", "--set", "checkpoint_every=2", "--seed", "4"]  # fmt: skip
    done = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    path = tmp_path / "checkpoint.safetensors"
    assert str(path) in done.output
    state = read_header(path)
    assert (state["system"], state["progress"]["step"], state["config"]) == (
        "toy",
        6,
        {"width": 4},
    )
    assert state["settings"]["seed"] == 4
    scores = score_checkpoint(path, [])
    assert scores == score_checkpoint(path, []) and 0 < scores["held out"] < 10
    done = CliRunner().invoke(cli, ["evaluate", str(tmp_path), "--checkpoint", str(path)])
    assert done.exit_code == 0 and f"held out {scores['held out']:.3f}" in done.output


def test_an_unknown_system_and_no_checkpoint(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["train", "--system", "nose", "-o", str(tmp_path)])
    assert isinstance(done.exception, InputError) or done.exit_code == 2
    wanted = "no training 'nose' is installed; installed are: eyes, hhmr, igsn"
    with pytest.raises(InputError, match=wanted):
        registry().get("trainings", "nose")
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"\x80\x04\x95" + bytes(200))
    with pytest.raises(FileFormatError, match=r"bad\.safetensors is no checkpoint"):
        score_checkpoint(bad, [])

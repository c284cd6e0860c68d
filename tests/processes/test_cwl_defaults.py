"""A stage called from a shell uses the same defaults as its CWL file."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2] / "processes"
STAGES = ("ingest", "preprocess", "detect", "assess", "publish")


@pytest.mark.parametrize("stage", STAGES)
def test_defaults_of_command_line_and_cwl_agree(stage: str) -> None:
    document = yaml.safe_load((ROOT / stage / "process.cwl").read_text(encoding="utf-8"))
    parser = importlib.import_module(f"processes.{stage}.__main__").parser()
    defaults = {action.dest: action.default for action in parser._actions}
    compared = 0
    for name, entry in document["inputs"].items():
        if isinstance(entry, dict) and "default" in entry and "inputBinding" in entry:
            if isinstance(entry["default"], dict):
                continue
            prefix = entry["inputBinding"]["prefix"].rstrip("=").removeprefix("--")
            assert defaults[prefix.replace("-", "_")] == entry["default"], name
            compared += 1
    assert compared or stage == "ingest"


@pytest.mark.parametrize("stage", STAGES)
def test_help_explains_every_option(stage: str) -> None:
    parser = importlib.import_module(f"processes.{stage}.__main__").parser()
    silent = [action.dest for action in parser._actions if not action.help]
    assert not silent
    assert parser.description


def test_the_chain_has_the_defaults_of_its_stages() -> None:
    chain = yaml.safe_load((ROOT / "orchard_monitoring" / "process.cwl").read_text("utf-8"))
    compared = 0
    for step in chain["steps"].values():
        stage = yaml.safe_load((ROOT / "orchard_monitoring" / step["run"]).read_text("utf-8"))
        for name, source in step["in"].items():
            ours = chain["inputs"].get(source) if isinstance(source, str) else None
            if ours is not None and "default" in ours:
                assert ours["default"] == stage["inputs"][name]["default"], (stage["id"], name)
                compared += 1
    assert compared > 12

"""The points at which tests let a controller die: each stands in the code, and is described."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import k8s_manager
from k8s_manager import fault_points
from k8s_manager.errors import ConfigError
from k8s_manager.fault_points import POINTS


def test_every_point_stands_in_the_code_once_and_every_one_there_is_described() -> None:
    folder = Path(k8s_manager.__file__).parent
    code = "".join(path.read_text() for path in folder.rglob("*.py"))
    assert sorted(re.findall(r'(?<!def )\breached\("([^"]+)"\)', code)) == sorted(POINTS)


@pytest.mark.parametrize("text", ["kill", "kill:planned", "kill:nowhere:1", "burn:planned:1"])
def test_what_is_no_fault_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected ACTION:POINT:PASSAGE .* planned"):
        fault_points.order(text)
    fault_points.order("")


def test_a_fault_happens_at_its_passage_and_not_before() -> None:
    code = (
        "from k8s_manager.fault_points import reached\n"
        "for number in range(9): print(number, flush=True); reached('planned')"
    )
    for faults, last in (("kill:planned:3", "2"), ("kill:any:4,kill:decided:1", "3")):
        ended = subprocess.run(
            [sys.executable, "-c", code], env={"CDI_FAULTS": faults},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (ended.returncode, ended.stdout.split()[-1]) == (-9, last)

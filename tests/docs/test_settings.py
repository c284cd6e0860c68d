"""The settings page says what the code says."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_settings_page_is_made_from_the_code() -> None:
    command = [sys.executable, str(ROOT / "docs" / "make_settings.py"), "--check"]
    done = subprocess.run(command, check=False)
    assert done.returncode == 0, "run: python docs/make_settings.py"

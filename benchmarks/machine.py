"""The machine that a figure was measured on, in one line."""

import os
import platform
from pathlib import Path


def machine() -> str:
    """Return processor, cores, memory and present load; other work on it makes figures larger."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    return f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB memory, load {load:.1f}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()

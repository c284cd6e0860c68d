"""Compile a folder's modules to bytecode that is never checked against the source again.

python containers/precompile.py FOLDER

In an image the source cannot change, so that the check (one `stat` for every import) and the
source's time, which differs with every build, would only cost start-up time and equal layers.
"""

import compileall
import re
import sys
from py_compile import PycInvalidationMode

NEVER_IMPORTED = re.compile(r"/(tests?|idlelib|tkinter|turtledemo|ensurepip|lib2to3)/")


def main() -> int:
    """Return 1 when a module could not be compiled, else 0."""
    done = compileall.compile_dir(
        sys.argv[1],
        maxlevels=30,
        quiet=1,
        force=True,
        rx=NEVER_IMPORTED,
        workers=0,
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    return int(not done)


if __name__ == "__main__":
    raise SystemExit(main())

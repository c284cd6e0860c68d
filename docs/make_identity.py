"""Write the table of routes and roles in docs/identity.md from the code that decides it.

python docs/make_identity.py            # writes
python docs/make_identity.py --check    # says whether it is up to date
"""

import sys
from pathlib import Path

from werkzeug.routing import Map

from k8s_manager.identity import Identity, Role
from k8s_manager.settings import Settings
from ogcapi.access import ACCESS, JOB, LISTS, RELEASING, TO_RELEASE
from ogcapi.app import create_app
from ogcapi.forgery import SAFE

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "identity.md"
BEGIN = "<!-- made by docs/make_identity.py -->\n"
END = "<!-- end -->\n"


def main() -> int:
    """Write or check the page; returns the exit code."""
    settings = Settings.load({}, ROOT / "pygeoapi-config.yml")
    before, _, rest = TARGET.read_text(encoding="utf-8").partition(BEGIN)
    old, _, after = rest.partition(END)
    new = _table(create_app(settings).url_map)
    if "--check" in sys.argv:
        return int(old != new)
    TARGET.write_text(before + BEGIN + new + END + after, encoding="utf-8")
    return 0


def _table(routes: Map) -> str:
    head = ["request", "nobody known", *Role]
    lines = [head, ["---"] * len(head)]
    for rule in sorted(routes.iter_rules(), key=lambda rule: (rule.rule, rule.endpoint)):
        for method in sorted(rule.methods or ()):
            if method in SAFE and method != "GET":
                continue
            request = f"`{method} {rule.rule}`"
            own = JOB in rule.arguments or rule.endpoint in LISTS
            cells = _cells(ACCESS[rule.endpoint], own)
            lines.append([request, *cells])
            if rule.endpoint in RELEASING:
                stricter = _cells(TO_RELEASE, own)
                # Whose job it is is asked first: others' stay unseen.
                both = zip(cells, stricter, strict=True)
                seen = ["403, 404" if pair == ("own", "403") else pair[1] for pair in both]
                lines.append([f"{request} for a release", *seen])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cells(needed: Role | None, own: bool) -> list[str]:
    """Return what nobody and each role gets: a status, `yes`, or `own` (others' are 404)."""
    if needed is None:
        return ["yes"] * (1 + len(Role))
    cells = ["401"]
    for role in Role:
        who = Identity("somebody", frozenset({role}))
        allowed = "own" if own and who.jobs_of is not None else "yes"
        cells.append(allowed if who.may(needed) else "403")
    return cells


if __name__ == "__main__":
    raise SystemExit(main())

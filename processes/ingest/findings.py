"""What was missing and why, kept from the first look at a source, so that nothing is silent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Findings:
    """Collects what could not be had (`missing`) and what was decided on the way (`notes`).

    Reasons: ``not-in-source`` (no such tile there), ``corrupt``, ``no-crs``, ``misplaced`` (the
    raster does not lie where its name says), ``gone`` (listed, but answered 404), ``no-access``,
    ``s3-keys-needed``, ``incomplete`` (a scene without the bands it takes), ``no-scene``.
    """

    missing: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lacks(self, product: str, source: str, name: str, reason: str, detail: str = "") -> None:
        """Record that file or tile `name` could not be had."""
        entry = {"product": product, "source": source, "name": name, "reason": reason}
        self.missing.append({**entry, "detail": detail} if detail else entry)

    def note(self, sentence: str) -> None:
        """Record a decision that a reader of the results should know."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def as_document(self) -> dict[str, Any]:
        """Return the content of ``missing.json``, in a stable order."""
        ordered = sorted(self.missing, key=lambda entry: sorted(entry.items()))
        return {"missing": ordered, "notes": sorted(self.notes)}

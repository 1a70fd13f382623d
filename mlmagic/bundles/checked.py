"""What checking a bundle came to, for its reader: findings in, a table of them out; `views` draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mlmagic.results import Result

State = Literal["ok", "failed", "told"]
GLYPHS: dict[State, str] = {"ok": "✓", "failed": "✗", "told": "·"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    name : str
        ``files``, ``signature``, ``operators``, ``schema``, ``parity``, ``assertion NAME``, …
    state : str
        ``ok``, ``failed``, or ``told``: it could not be looked at, or is neither right nor wrong.
    words : str
    part : str
        ``bundle``, or the file of rows it is about.
    """

    name: str
    state: State
    words: str
    part: str = "bundle"


@dataclass(frozen=True, repr=False)
class CheckedBundle(Result):
    """Whether a bundle is whole, answers here as it did where it was made, and fits some rows.

    Attributes
    ----------
    name, version, path : str
    findings : sequence of Finding
    """

    name: str
    version: str
    path: str
    findings: Sequence[Finding]

    @property
    def ok(self) -> bool:
        """Nothing failed."""
        return not any(one.state == "failed" for one in self.findings)

    @property
    def headline(self) -> str:
        """What came out, in one line."""
        failed = sum(one.state == "failed" for one in self.findings)
        verdict = f"{failed} of {len(self.findings)} checks failed" if failed else "all is well"
        return f"bundle {self.name} (version {self.version}): {verdict}"

    def text(self) -> str:
        width = max((len(one.name) for one in self.findings), default=0)
        lines, part = [self.headline], "bundle"
        for one in self.findings:
            if one.part != part:
                lines.append(f"{one.part}:")
            part = one.part
            lines.append(f"  {GLYPHS[one.state]} {one.name:<{width}}  {one.words}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        about = {"name": self.name, "version": self.version, "path": self.path, "ok": self.ok}
        return {**about, "findings": [asdict(one) for one in self.findings]}

    def to_pandas(self) -> Any:
        """A row for each check."""
        import pandas

        return pandas.DataFrame([asdict(one) for one in self.findings], columns=["part", "name", "state", "words"])

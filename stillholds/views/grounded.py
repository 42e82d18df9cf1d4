"""Whether papers are what pages take them for, wherever they are shown: a small mark in ink, and both texts where they
disagree.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from claims.papers import grounding
from claims.papers.grounding import Finding, Ground
from stillholds.views import frame, marks
from stillholds.words import ground_mark


def by_paper(grounds: Iterable[Ground]) -> dict[str, Ground]:
    """Grounds by the ids of their entries."""
    return {one.named.key: one for one in grounds}


def mark(one: Ground) -> str:
    """What matters most, as HTML."""
    return marks.html(ground_mark(one.headline.state))


def suffix(grounds: Mapping[str, Ground], paper: str) -> str:
    """The mark behind a paper's name, by whatever GROUNDS go by; nothing for what is no paper."""
    one = grounds.get(paper)
    return (
        f" <span class='sh-small sh-soft'>{marks.html(ground_mark(one.headline.state), small_words=True)}</span>"
        if one
        else ""
    )


def summary(grounds: Sequence[Ground]) -> str:
    """How many papers are what, as a sentence of HTML."""
    said = f"{grounding.summary(grounds)} {grounding.checked(grounds)}".strip() if grounds else ""
    return f"<p class='sh-small sh-soft'>{escape(said)}</p>" if said else ""


def findings(one: Ground) -> str:
    """All that holds of a paper, as HTML."""
    return frame.listing(list(map(_finding, one.findings)))


def _finding(finding: Finding) -> str:
    about = f", {frame.link(finding.by, finding.by.label)}" if finding.by else ""
    head = f"{marks.html(ground_mark(finding.state))} {escape(finding.said)}{about}"
    both = [("Pages", finding.ours), ("arXiv", finding.theirs)]
    rows = [[f"<span class='sh-soft'>{name}</span>", escape(text)] for name, text in both if text]
    return head + (frame.table(["", ""], rows) if rows and finding.state != "not yet checked" else "")

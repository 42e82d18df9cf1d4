"""A paper as arXiv describes it: what the adapter reads, the store keeps, and everything else works on."""

import re
from typing import Self

from pydantic import AwareDatetime, Field, model_validator

from kb.sources.page import Value

# How authors and administrators say it, in the comment or in place of the abstract. "This paper was withdrawn from ICLR",
# "a previous version of this paper was withdrawn" and "the data were withdrawn" are something else.
_PAPER = "(?:paper|article|submission|manuscript|work|preprint|e-?print|letter|note|report|draft|document|contribution)"
_OURS = "(?:this|the|our|my|their|his|her)"
_SOON = r"(?:(?:now|temporarily|voluntarily|hereby|since|therefore|thus|currently|being)\s+)*"
_WAS = rf"(?:(?:has|had)\s+{_SOON}been|is|was)\s+{_SOON}"
_FROM_ARXIV = r"(?!\s+(?:by\s+(?:\w+\s+){1,2})?from\s+(?!(?:the\s+)?arxiv\b))"
_BY_ARXIV = r"\s+by\s+(?:the\s+)?arxiv\b"
_BEGINS = r"(?:^\W*|[.;:,!(\[]\s*)"  # a sentence, or a part of one
_DONE = rf"withdrawn\b{_FROM_ARXIV}"
_WHY = r"\s+(?:by|due|because|owing|since)\b"
_WITHDRAWN = re.compile(
    "|".join(
        [
            rf"(?<!of\s)\b{_OURS}\s+{_PAPER}\s+{_WAS}{_DONE}",
            rf"{_BEGINS}(?:this\s+|the\s+)?{_PAPER}\s+(?:{_WAS})?{_DONE}",
            rf"{_BEGINS}(?:has\s+been\s+)?{_DONE}(?={_WHY})",
            rf"(?:^\W*|[.;!]\s+){_DONE}(?=\W*$|\s*[.;:,!—–]|\s+(?:for|as|in\s+favou?r|on|until|pending)\b|\s+-)",
            rf"(?:\bthis\s+|{_BEGINS})(?:{_PAPER}|version)\s+(?:{_WAS})?(?:withdrawn|removed){_BY_ARXIV}",
            rf"\b(?:we|i|(?:the\s+)?authors?)\s+(?:of\s+this\s+{_PAPER}\s+)?(?:(?:have|has|had)\s+{_SOON}withdrawn|"
            rf"(?:am|are|is)\s+{_SOON}withdrawing|{_SOON}withdraws?|withdrew|(?:wish(?:es)?|want|would\s+like|decided|"
            rf"(?:have|has)\s+decided)\s+to\s+withdraw)\s+(?:it\b|{_OURS}\s+{_PAPER}\b){_FROM_ARXIV}",
        ]
    ),
    re.IGNORECASE,
)


class Record(Value):
    """One version of a paper. Text is plain, on one line, and nobody's to trust: LaTeX stays as it was written."""

    arxiv: str  # id without a version
    version: int = Field(ge=1)
    title: str
    authors: tuple[str, ...]
    abstract: str
    categories: tuple[str, ...]  # the primary one first
    comment: str = ""
    doi: str = ""
    journal: str = ""
    published_at: AwareDatetime  # the first version
    updated_at: AwareDatetime  # this one

    @model_validator(mode="after")
    def _is_dated(self) -> Self:
        if self.updated_at < self.published_at:
            raise ValueError(f"version {self.version} of {self.arxiv} is dated before its first one")
        return self

    @property
    def is_withdrawn(self) -> bool:
        """Whether this version says that the paper was withdrawn."""
        return bool(_WITHDRAWN.search(self.comment) or _WITHDRAWN.match(self.abstract))

    @property
    def address(self) -> str:
        """Where a person reads it."""
        return f"https://arxiv.org/abs/{self.arxiv}v{self.version}"

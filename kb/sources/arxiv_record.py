"""A paper as arXiv describes it: what the adapter reads, the store keeps, and everything else works on."""

import re
from typing import Self

from pydantic import AwareDatetime, Field, model_validator

from kb.sources.page import Value

# How authors and administrators say it: in the comment, or in place of the abstract.
_WITHDRAWN = re.compile(
    r"\b(?:this|the)\s+(?:paper|article|submission|manuscript|work|preprint)\s+(?:has\s+been|is|was)\s+withdrawn\b|^\s*withdrawn\b",
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

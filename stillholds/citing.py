"""The formats in which papers are given away."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from claims.papers.citations import Cited
from kb.exports.bibtex import bibtex
from kb.exports.csl import csl


class Form(NamedTuple):
    """A format: what people call it, how its files end, its media type, and what writes it."""

    name: str
    ending: str
    media_type: str
    write: Callable[[Sequence[Cited]], str]


def _bibtex(cited: Sequence[Cited]) -> str:
    return bibtex([one.work for one in cited], [one.key for one in cited])


def _csl(cited: Sequence[Cited]) -> str:
    return csl([one.work for one in cited], [one.key for one in cited])


FORMS = {
    "bibtex": Form("BibTeX", "bib", "application/x-bibtex", _bibtex),
    "csl": Form("CSL-JSON", "json", "application/vnd.citationstyles.csl+json", _csl),
}

"""Papers as BibTeX. What strangers wrote is one value in braces, whatever it holds: see `kb.latex`."""

import re
from collections.abc import Sequence

from kb.exports.citing import Work, is_group, parts
from kb.latex import characters, latex, readable

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_STRANGE = re.compile(r"[^\w./:;()<>\[\]+-]")  # in an id, a DOI or an address


def bibtex(works: Sequence[Work], keys: Sequence[str]) -> str:
    """A .bib file with an entry for each of WORKS, under KEYS."""
    from bibtexparser.entrypoint import write_string
    from bibtexparser.library import Library
    from bibtexparser.model import Block, Entry, Field
    from bibtexparser.writer import BibtexFormat

    entries: list[Block] = [
        Entry("misc", key, [Field(name, value) for name, value in fields(work).items() if value])
        for work, key in zip(works, keys, strict=True)
    ]
    form = BibtexFormat()  # type: ignore[no-untyped-call]  # the library does not say what it takes: nothing
    form.indent, form.trailing_comma, form.block_separator = "  ", True, "\n"
    return str(write_string(Library(entries), unparse_stack=[], bibtex_format=form))


def fields(work: Work) -> dict[str, str]:
    """An entry's fields in their order, with what encloses them; empty ones for what is not known."""
    return {
        "title": f"{{{{{latex(work.title)}}}}}",  # twice: styles keep the capitals
        "author": _braced(" and ".join(map(_author, filter(None, map(str.strip, work.authors))))),
        "year": _braced(str(work.year or "")),
        "month": _MONTHS[work.date.month - 1] if work.date else "",
        "eprint": _braced(_STRANGE.sub("", work.arxiv or "")),
        "archivePrefix": _braced("arXiv" if work.arxiv else ""),
        "primaryClass": _braced(characters(work.primary)),
        "doi": _braced(_STRANGE.sub("", work.doi)),
        "journal": _braced(latex(work.journal)),
        "url": _braced(_STRANGE.sub("", work.address)),
        "note": _braced(latex(work.note)),
    }


def _braced(value: str) -> str:
    return f"{{{value}}}" if value else ""


def _author(name: str) -> str:
    """Family, Given; a group in braces, so that nothing takes its name apart."""
    plain = readable(name)
    if is_group(plain):
        return f"{{{characters(plain)}}}"
    given, small, last, suffix = parts(plain)
    whole = [characters(" ".join(filter(None, [small, last]))), characters(suffix), characters(given)]
    return ", ".join(filter(None, whole))

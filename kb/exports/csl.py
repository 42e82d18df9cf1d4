"""Papers as CSL-JSON, which Zotero, Pandoc and the styles of citationstyles.org read."""

import json
from collections.abc import Sequence
from typing import Any

from kb.exports.citing import Work, is_group, parts
from kb.latex import readable


def csl(works: Sequence[Work], keys: Sequence[str]) -> str:
    """A CSL-JSON file with an item for each of WORKS, under KEYS; nothing in it is HTML, wherever it is set in."""
    said = json.dumps([item(work, key) for work, key in zip(works, keys, strict=True)], indent=2, ensure_ascii=False)
    for sign in "<>&\u2028\u2029":
        said = said.replace(sign, f"\\u{ord(sign):04x}")
    return said + "\n"


def item(work: Work, key: str) -> dict[str, Any]:
    """One item, without the fields that nothing is known for."""
    said: dict[str, Any] = {
        "id": key,
        "citation-key": key,
        "type": "article",  # what CSL calls a preprint
        "title": readable(work.title),
        "author": [_name(readable(name)) for name in work.authors if name.strip()],
        "issued": _date(work),
        "abstract": readable(work.abstract),
        "publisher": "arXiv" if work.arxiv else "",
        "number": f"arXiv:{work.arxiv}" if work.arxiv else "",
        "archive": "arXiv" if work.arxiv else "",
        "archive_location": work.arxiv or "",
        "version": str(work.version) if work.version else "",
        "keyword": ", ".join(work.categories),
        "DOI": work.doi,
        "URL": work.address,
        "note": ". ".join(filter(None, [work.note, f"Published in {readable(work.journal)}" if work.journal else ""])),
    }
    return {name: value for name, value in said.items() if value}


def _date(work: Work) -> dict[str, Any]:
    if work.date:
        return {"date-parts": [[work.date.year, work.date.month, work.date.day]]}
    return {"date-parts": [[work.year]]} if work.year else {}


def _name(author: str) -> dict[str, str]:
    if is_group(author):
        return {"literal": author}
    given, small, last, suffix = parts(author)
    said = {"family": last, "given": given, "non-dropping-particle": small, "suffix": suffix}
    return {name: value for name, value in said.items() if value}

"""arXiv ids in both of their forms, as arXiv itself writes them: in small letters, and old ones without the subject class
that they once carried. `math.GT/0309136` is `math/0309136`, here as there.
"""

import re
from collections.abc import Iterator

# https://info.arxiv.org/help/arxiv_identifier.html: what stood in front of the slash until April 2007.
_ARCHIVES = frozenset(
    "acc-phys adap-org alg-geom ao-sci astro-ph atom-ph bayes-an chao-dyn chem-ph cmp-lg comp-gas cond-mat cs dg-ga "
    "funct-an gr-qc hep-ex hep-lat hep-ph hep-th math math-ph mtrl-th nlin nucl-ex nucl-th patt-sol physics plasm-ph "
    "q-alg q-bio quant-ph solv-int supr-con".split()
)
_CLASS = (
    r"(?:\.(?:[a-z]{2}|[a-z]+-[a-z]+|soft|other|optics))?"  # and the subject behind it: math.GT, cond-mat.stat-mech
)
_NUMBER = rf"(\d{{2}}(?:0[1-9]|1[0-2])\.\d{{4,5}}|[a-z-]+{_CLASS}/\d{{7}})(?:v\d+)?(?:\.pdf)?"
_DOI = r"(?:(?:https?://)?(?:www\.|dx\.)?doi\.org/|doi\s*:\s*)?10\.48550/arxiv\."  # what arXiv gives every paper
_PAGE = r"(?:https?://)?(?:(?:www|export|browse)\.)?arxiv\.org/(?:abs|pdf|html|format|e-print|src|ps)/"
_WORD = r"arxiv(?:\s*:\s*|\s+(?:(?:e-?print|preprint|paper|id)\s*:?\s*(?:arxiv\s*:\s*)?)?)"
_MARK = rf"(?:{_DOI}|{_PAGE}|{_WORD}(?P<bracket>\[)?)"
_FLAGS = re.IGNORECASE | re.ASCII  # arXiv knows no other digits
_ID = re.compile(rf"{_MARK}?{_NUMBER}(?(bracket)\])", _FLAGS)
_VERSION = re.compile(r"v(\d+)(?:\.pdf)?\]?$", _FLAGS)
_NEWEST = 9999  # no paper has come near
# In a text: no part of a longer word or number. An underscore before it may be emphasis.
_MARKED = re.compile(rf"(?<![a-z0-9]){_MARK}{_NUMBER}(?!\d)", _FLAGS)
# What nothing else looks like, even without a mark: an old id of a known archive, a new one with its version.
_BARE = re.compile(
    rf"(?<![a-z0-9./:-])((?:{'|'.join(sorted(_ARCHIVES, key=len, reverse=True))}){_CLASS}/\d{{2}}(?:0[1-9]|1[0-2])\d{{3}}"
    r"|\d{2}(?:0[1-9]|1[0-2])\.\d{4,5}(?=v[1-9]))(?:v\d{1,4})?(?![a-z0-9/])",
    _FLAGS,
)
# What is marked as an id, whether it is one or not. Behind a space only what looks like one: `arXiv: 3 May` is none.
_TRIED = re.compile(
    rf"(?<![a-z0-9])(?:(?:{_DOI}|{_PAGE}|arxiv:)(?=\d|[a-z.-]+/\d)|arxiv\s*:\s*(?=\d{{3,}}\.\d{{3}}|[a-z.-]+/\d{{5}}))"
    r"[\w/-]+(?:\.\w+)*",
    _FLAGS,
)
# What a text that names a paper by its id holds, as databases look for it: a superset, quick to find.
HOLDS_ID = r"[aA][rR][xX][iI][vV]|/[0-9]{7}|[0-9]{4}\.[0-9]{4,5}[vV][1-9]"


def arxiv_id(text: str) -> str | None:
    """The id that TEXT is, with or without `arXiv:` and a version, or as an address or DOI; None when it is none."""
    found = _ID.fullmatch(text.strip())
    return _canonical(found[2]) if found else None


def arxiv_ids(text: str) -> tuple[str, ...]:
    """The ids that TEXT marks as arXiv's, or that are nothing else, in order, each once."""
    return tuple(dict.fromkeys(arxiv for _, arxiv in sorted(_places(text))))


def _places(text: str) -> Iterator[tuple[int, str]]:
    for found in _MARKED.finditer(text):
        yield found.start(2), _canonical(found[2])
    for found in _BARE.finditer(text):
        if could_be(arxiv := _canonical(found[1])):
            yield found.start(1), arxiv


def no_ids(text: str) -> tuple[str, ...]:
    """What TEXT marks as an arXiv id and is none, as it is written there, in order, each once: `arXiv:2605.254591`."""
    tried = [found for found in _TRIED.finditer(text) if not _MARKED.match(text, found.start())]
    return tuple(dict.fromkeys(found[0] for found in tried))


def versioned(text: str) -> tuple[str, int | None] | None:
    """The id that TEXT is, and the version that it names; None when it is none."""
    named, version = arxiv_id(text), _VERSION.search(text.strip())
    number = int(version[1][:9]) if version else None
    if named is None or (number is not None and not 1 <= number <= _NEWEST):
        return None
    return named, number


def newest_named(text: str, arxiv: str) -> int | None:
    """The newest version of a paper that TEXT names, as in `2605.25459v2`, marked as arXiv's or not."""
    archive, slash, number = map(re.escape, arxiv.rpartition("/"))
    subject = _CLASS if slash else ""
    begins = r"(?:(?<![\w.])|(?<=arxiv\.))"  # the DOI of a paper ends with its id
    found = re.findall(rf"{begins}{archive}{subject}{slash}{number}v(\d{{1,4}})\b", text, _FLAGS)
    return max((int(each) for each in found if int(each)), default=None)


def could_be(arxiv: str) -> bool:
    """Whether arXiv ever gave out ids like this one, as it writes them: archives of before April 2007, four digits until
    2014, five from then on.
    """
    archive, slash, _ = arxiv.rpartition("/")
    if slash:
        return archive in _ARCHIVES
    month, _, number = arxiv.partition(".")
    return month >= "0704" and len(number) == (5 if month >= "1501" else 4)


def _canonical(arxiv: str) -> str:
    archive, slash, number = arxiv.lower().rpartition("/")
    return f"{archive.partition('.')[0]}{slash}{number}"

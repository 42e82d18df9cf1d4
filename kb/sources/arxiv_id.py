"""arXiv ids in both of their forms, without the version."""

import re

_PREFIX = r"(?:arxiv:\s*|(?:https?://)?(?:www\.)?arxiv\.org/(?:abs|pdf|html)/)"
_NUMBER = r"(\d{2}(?:0[1-9]|1[0-2])\.\d{4,5}|[a-z-]+(?:\.[a-z]{2})?/\d{7})(?:v\d+)?(?:\.pdf)?"
_ID = re.compile(f"{_PREFIX}?{_NUMBER}", re.IGNORECASE)
_VERSION = re.compile(r"v(\d+)(?:\.pdf)?$", re.IGNORECASE)
_NEWEST = 9999  # no paper has come near
_MARKED = re.compile(f"{_PREFIX}{_NUMBER}", re.IGNORECASE)


def arxiv_id(text: str) -> str | None:
    """The id that TEXT is, with or without `arXiv:` and a version, or as an address; None when it is none."""
    found = _ID.fullmatch(text.strip())
    return found[1] if found else None


def arxiv_ids(text: str) -> tuple[str, ...]:
    """The ids that TEXT marks as arXiv's, in order, each once."""
    return tuple(dict.fromkeys(found[1] for found in _MARKED.finditer(text)))


def versioned(text: str) -> tuple[str, int | None] | None:
    """The id that TEXT is, as arXiv itself writes it, and the version that it names; None when it is none. Old ids have
    lost their subject class there: `math.GT/0309136` is `math/0309136`.
    """
    named, version = arxiv_id(text), _VERSION.search(text.strip())
    number = int(version[1][:9]) if version else None
    if named is None or (number is not None and not 1 <= number <= _NEWEST):
        return None
    archive, slash, rest = named.lower().rpartition("/")
    return f"{archive.partition('.')[0]}{slash}{rest}", number

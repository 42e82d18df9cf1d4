"""Cuts what an entity says into passages: small enough to be one thought, and shown as the reason why it was found.

A passage is the title alone, or a sentence with the one after it. Longer passages blur what the embedding model makes
of them, single sentences lose what "this" refers to (docs/decisions/ has the figures).
"""

import re

from kb.models import Claim, Entity, Line, Note, Paper
from kb.sources.markdown import without_brackets
from kb.text import paragraphs, plain, sentences

LONGEST = 1000  # characters of one sentence that are kept: the embedding model reads 256 tokens
_MARKUP = re.compile(r"[*`#>]+|(?<!\w)_+|_+(?!\w)")


def passages_of(entity: Entity, detail: Note | Line | Claim | Paper) -> list[str]:
    """The passages of one entity; the first is its title."""
    if isinstance(detail, Note):
        head = [detail.hook, detail.summary, detail.original_title]
    elif isinstance(detail, Line):
        head = [detail.hook]
    elif isinstance(detail, Claim):
        head = [entity.short]
    else:
        head = [title for title in detail.titles if title != entity.title]
    texts = [*head, *(_MARKUP.sub("", paragraph) for paragraph in paragraphs(without_brackets(detail.body)))]
    said = [sentence[:LONGEST] for text in texts for sentence in sentences(plain(text))]
    pairs = [" ".join(said[start : start + 2]) for start in range(len(said))]
    return list(dict.fromkeys([entity.title, *pairs]))

"""What the tests of triage share: records, claims and abstracts."""

from datetime import UTC, datetime

from claims.papers.triage import ClaimText
from kb.sources.arxiv_record import Record

DAY = datetime(2026, 1, 1, tzinfo=UTC)

CLAIM = ClaimText(
    id="entropy",
    title="In reinforcement learning, reward follows the policy entropy of a language model.",
    body="Reward is bought with entropy.",
    topics=("policy entropy",),
)
OTHER = ClaimText(id="calibration", title="Binary reward harms the calibration of a model's stated confidence.")

NEAR = (
    "We study the policy entropy of a language model. In reinforcement learning, reward follows the policy entropy of "
    "the model. The relation is the same for the four algorithms that we tried."
)
FAR = (
    "We study how birds sing in the forests of the north. Males sing at dawn and the songs are long. In the evening "
    "the songs of the same males are short and rare."
)


def paper(arxiv: str, title: str, abstract: str) -> Record:
    return Record(
        arxiv=arxiv,
        version=1,
        title=title,
        authors=("A. Author",),
        abstract=abstract,
        categories=("cs.LG",),
        published_at=DAY,
        updated_at=DAY,
    )

"""Whether a record says that its paper was withdrawn: the words of real comments, and words that only sound like it."""

import pytest

from tests.arxiv_server import record

WITHDRAWN = [
    "Withdrawn",
    "Withdrawn.",
    "withdrawn due to an error",
    "Withdrawn by the authors",
    "Withdrawn: superseded by arXiv:0804.1234",
    "Withdrawn, see arXiv:0804.1234",
    "Withdrawn - the proof of Theorem 2 is wrong",
    "Withdrawn for further revision",
    "Withdrawn by arXiv administration because of fraudulently claimed institutional affiliation",
    "Has been withdrawn by the author",
    "12 pages. Withdrawn",
    "12 pages; withdrawn because of a gap in Section 4",
    "LaTeX, 12 pages, withdrawn by the author",
    "Paper withdrawn",
    "Paper withdrawn due to an error in Lemma 3",
    "12 pages, paper withdrawn due to a crucial sign error in equation 3",
    "The paper is being withdrawn because the data were wrong",
    "This paper has been withdrawn",
    "This paper has been withdrawn by the author(s), due to an error that comes from Lemma 2",
    "This paper has now been withdrawn",
    "This paper has been temporarily withdrawn",
    "This article is withdrawn, since it was superseded by arXiv:1203.1234",
    "20 pages, 3 figures. This manuscript was withdrawn because a coauthor did not agree",
    "Due to an error in the proof, this paper has been withdrawn",
    "This paper has been withdrawn from arXiv",
    "submission has been withdrawn by the author",
    "This submission has been withdrawn by arXiv administrators due to inappropriate text overlap with external sources",
    "This submission has been removed by arXiv administrators because of a dispute about its authors",
    "This version withdrawn by arXiv administrators because the submitter had no right to agree to the license",
    "The authors have withdrawn this paper",
    "The author has withdrawn this paper due to a possible dispute",
    "The authors of this paper have withdrawn it",
    "We withdraw this paper because of an error in the main theorem",
    "We are withdrawing the submission: the result was known",
    "We have decided to withdraw our manuscript",
    "I withdrew this paper after a reader found a gap",
]
STANDING = [
    "",
    "12 pages",
    "This paper is not withdrawn",
    "This paper was never withdrawn; a claim that it was is wrong",
    "This paper was withdrawn from ICLR 2026 and is under review elsewhere",
    "This work was withdrawn from NeurIPS; 12 pages",
    "This paper has been withdrawn from the conference",
    "This paper was withdrawn by the authors from NeurIPS 2025",
    "We have withdrawn this paper from ICLR and submitted it to TMLR",
    "Withdrawn from ICML 2024",
    "Paper withdrawn from PRL, resubmitted to JHEP",
    "ICLR 2025 (withdrawn)",
    "A withdrawn submission to ICLR 2025",
    "Withdrawn ICLR 2025 submission",
    "This is a revised version of a paper withdrawn earlier",
    "The first version of this paper was withdrawn because of an error, which is corrected here",
    "Replaces the withdrawn arXiv:1203.1234",
    "Comment on a withdrawn paper",
    "the data were withdrawn",
    "We withdraw the claim that was made in Section 4 of version 1",
    "We study papers that were withdrawn by their authors",
    "Version 2 withdrawn, version 3 corrects it",
    "This paper is about drugs that were withdrawn by their makers",
    "This paper has been withdrawal-tested",
]


@pytest.mark.parametrize("comment", WITHDRAWN)
def test_a_withdrawn_paper_is_known_by_its_comment(comment: str) -> None:
    assert record(comment=comment).is_withdrawn
    assert record(comment=comment.upper()).is_withdrawn


@pytest.mark.parametrize("comment", STANDING)
def test_a_paper_that_stands_is_not_taken_for_withdrawn(comment: str) -> None:
    assert not record(comment=comment).is_withdrawn


@pytest.mark.parametrize(
    ("abstract", "is_withdrawn"),
    [
        ("This paper has been withdrawn by the authors because of an error in Section 2.", True),
        ("The authors have withdrawn this paper.", True),
        ("Paper withdrawn.", True),
        ("[Withdrawn] We show that bees count.", False),
        ("Withdrawn drugs are those which a maker took back. We count them.", False),
        ("We count papers. This paper has been withdrawn.", False),
        ("We count bees.", False),
    ],
)
def test_an_abstract_says_so_in_its_first_words(abstract: str, is_withdrawn: bool) -> None:
    assert record(abstract=abstract).is_withdrawn == is_withdrawn


def test_a_long_comment_is_read_in_no_time() -> None:
    assert not record(comment="this paper has been now " * 2000 + "the authors have " * 2000).is_withdrawn

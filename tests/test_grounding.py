"""What holds of a paper that pages name: decided from two descriptions of it, without a store and without asking."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claims.papers.grounding import STATES, Known, Lookup, Named, Naming, News, Proposal, counts, ground
from kb.dates import WrittenDate
from kb.latex import characters, latex, readable
from kb.read import Card
from kb.sources.arxiv_record import Record
from kb.titles import folded, likeness, similarity
from tests.kb_support import reproducible

FIRST = datetime(2025, 5, 22, 17, 0, tzinfo=UTC)


def record(**changes: Any) -> Record:
    plain: dict[str, Any] = {
        "arxiv": "2505.00007",
        "version": 1,
        "title": "Bees Count Scouts: A Study of Quorums",
        "authors": ("Ada Vogel",),
        "abstract": "We count scouts.",
        "categories": ("q-bio.PE",),
        "published_at": FIRST,
        "updated_at": changes.get("published_at", FIRST),
    }
    return Record(**(plain | changes))


def entry(slug: str = "a-claim", kind: str = "claim") -> Card:
    return Card(id=f"id of {slug}", kind=kind, slug=slug, title=slug.replace("-", " "), short="", is_stub=False)


def naming(date: str | None = None, version: int | None = None, **changes: Any) -> Naming:
    said = WrittenDate.parse(date) if date else None
    return Naming(**{"by": entry(), "type": "cites", "date": said, "version": version, **changes})


def named(*namings: Naming, title: str | None = "Bees Count Scouts", **changes: Any) -> Named:
    titles = (title,) if title else ()
    plain = {"key": "the paper", "card": entry("paper", "paper"), "arxiv": "2505.00007", "titles": titles}
    return Named(**(plain | {"namings": namings} | changes))


def known(one: Record | None = None, **changes: Any) -> Known:
    return Known(record=one or record(), asked_at=FIRST + timedelta(days=90), **changes)


def states(one: Named, of: Known) -> list[str]:
    return [finding.state for finding in ground(one, of).findings]


# --- ids and titles --------------------------------------------------------------------------------------------------


def test_an_id_with_the_title_that_pages_give_is_grounded_and_both_texts_are_there() -> None:
    found = ground(named(), known()).headline
    assert (found.state, found.ours, found.theirs) == (
        "grounded",
        "Bees Count Scouts",
        "Bees Count Scouts: A Study of Quorums",
    )


def test_nobody_was_asked_yet() -> None:
    assert states(named(), Known()) == ["not yet checked"]


def test_an_id_that_arxiv_does_not_have() -> None:
    lookup = Lookup(asked_for="2505.00007", outcome="not found", checked_at=FIRST)
    assert states(named(), Known(lookup=lookup)) == ["not found"]


def test_a_lookup_of_another_id_says_nothing() -> None:
    lookup = Lookup(asked_for="2505.00008", outcome="not found", checked_at=FIRST)
    assert states(named(), Known(lookup=lookup)) == ["not yet checked"]


def test_another_title_shows_both() -> None:
    found = ground(named(title="Wasps Count Nothing"), known()).headline
    assert (found.state, found.ours, found.theirs) == ("title differs", "Wasps Count Nothing", record().title)


def test_of_several_titles_each_that_differs_is_said() -> None:
    one = named(titles=("Bees Count Scouts", "Wasps", "Hornets"))
    assert [finding.ours for finding in ground(one, known()).findings] == ["Wasps", "Hornets"]


@pytest.mark.parametrize(
    ("ours", "theirs", "how"),
    [
        ("bees count scouts", "Bees Count Scouts", "same"),
        ("Bees Count Scouts", "Bees Count Scouts: A Study", "same"),
        ("Bees Count Scouts: A Study", "Bees Count Scouts", "same"),
        ("Bees — Count Scouts", "Bees: Count Scouts", "same"),
        ("Self-play of bees", "Self–Play of Bees", "same"),
        ("beta-Bees of Schrodinger", r"$\beta$-Bees of Schr\"odinger", "same"),
        ("O(n^2) Bees", r"$O(n^2)$ \emph{Bees}", "same"),
        ("Bees Count Scouts: A Study", "Bees Count Scouts: Another", "different"),
        ("Bees Count Scouts Twice", "Bees Count Scouts Twice and Then Rest", "cut short"),
        ("Bees Count", "Bees Count Scouts", "different"),
        ("Bees Count Scouts", "Bees Counted Scouts", "different"),
        ("", "Bees", "different"),
        ("???", "!!!", "different"),
    ],
)
def test_when_two_titles_are_the_same(ours: str, theirs: str, how: str) -> None:
    assert likeness(ours, theirs) == how


@reproducible
@given(st.text(max_size=60), st.text(max_size=60))
def test_similarity_is_one_only_for_the_same_title(ours: str, theirs: str) -> None:
    assert 0 <= similarity(ours, theirs) <= 1
    assert (similarity(ours, theirs) == 1) == (likeness(ours, theirs) == "same")
    assert likeness(ours, ours) == ("same" if folded(ours) else "different")


def test_a_title_alone_is_proposed_and_never_taken() -> None:
    proposals = (Proposal(record=record(), similarity=1.0), Proposal(record=record(arxiv="2505.00009"), similarity=0.7))
    lookup = Lookup(asked_for="Bees Count Scouts", outcome="proposed", proposals=proposals, checked_at=FIRST)
    one = ground(named(arxiv=None), Known(lookup=lookup))
    assert (one.headline.state, one.arxiv, one.proposals) == ("proposed", None, proposals)


def test_what_a_person_accepted_grounds_it_and_says_who() -> None:
    lookup = Lookup(
        asked_for="Bees Count Scouts",
        outcome="accepted",
        proposals=(Proposal(record=record(), similarity=1.0, who="ada"),),
        checked_at=FIRST,
    )
    one = ground(named(arxiv=None), known(lookup=lookup))
    assert (one.headline.state, one.arxiv) == ("grounded", "2505.00007")
    assert "says ada" in one.headline.said


def test_a_title_that_changed_is_looked_for_anew() -> None:
    lookup = Lookup(asked_for="Something Else", outcome="accepted", checked_at=FIRST)
    assert states(named(arxiv=None), Known(lookup=lookup)) == ["not yet checked"]


# --- withdrawn, newer, later -----------------------------------------------------------------------------------------


def test_withdrawn_comes_first_and_says_when_and_why() -> None:
    gone = record(version=2, comment="This paper has been withdrawn by the author", title="Another")
    news = (News(kind="withdrawn", version=2, at=datetime(2025, 8, 1, tzinfo=UTC)),)
    one = ground(named(), known(gone, is_withdrawn=True, news=news))
    assert [finding.state for finding in one.findings] == ["withdrawn", "title differs"]
    assert "2025-08-01" in one.headline.said
    assert one.headline.theirs == gone.comment


THIRD = {"version": 3, "updated_at": datetime(2025, 9, 1, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("date", "version", "state"),
    [
        (None, 1, "newer version"),
        (None, 3, "grounded"),
        (None, 4, "not found"),
        (None, None, "grounded"),
        ("2025-06", None, "newer version"),
        ("2025-09-01", None, "grounded"),
        ("2025", None, "grounded"),  # it may be of December
        ("2025-06", 3, "grounded"),  # the page knows the newest version
    ],
)
def test_a_version_that_is_newer_than_the_one_meant(date: str | None, version: int | None, state: str) -> None:
    one = ground(named(naming(date, version)), known(record(**THIRD)))
    assert one.headline.state == state
    if state == "newer version":
        assert one.headline.theirs.startswith("v3, 2025-09-01")
        assert one.headline.by == entry()


@pytest.mark.parametrize(
    ("date", "is_flagged"),
    [
        ("2025-05-21", True),
        ("2025-04", True),
        ("2024", True),
        ("2025-05-22", False),
        ("2025-05", False),
        ("2025", False),
        ("~2025", False),
        ("~2024", False),  # it may be of 2025
        ("~2023", True),
        ("2024–2026", False),
        ("2020–2024", True),
    ],
)
def test_a_paper_that_came_after_the_statement_is_flagged_only_when_that_is_certain(
    date: str, is_flagged: bool
) -> None:
    found = states(named(naming(date)), known())
    assert found == (["later than the statement"] if is_flagged else ["grounded"])


def test_a_day_is_as_long_as_it_is_anywhere() -> None:
    morning = record(published_at=datetime(2025, 5, 23, 8, tzinfo=UTC))  # still the 22nd in California
    assert states(named(naming("2025-05-22")), known(morning)) == ["grounded"]


def test_a_paper_that_is_only_related_may_be_later() -> None:
    late = naming("2020", type="relates")
    assert states(named(late, naming("2020", type="attached", by=entry("other"))), known()) == ["grounded"]


def test_no_date_is_too_late_for_a_calendar() -> None:
    assert states(named(naming("~9999")), known()) == ["grounded"]


def test_what_matters_most_stands_first_and_all_is_counted() -> None:
    ones = [ground(named(), known()), ground(named(title="Wasps"), known()), ground(named(), Known())]
    assert counts(ones) == {"title differs": 1, "not yet checked": 1, "grounded": 1}
    late = ground(named(naming("2020"), title="Wasps"), known(record(**THIRD)))
    order = [STATES.index(finding.state) for finding in late.findings]
    assert order == sorted(order)
    assert len(order) == 2


# --- LaTeX -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "read", "as_latex"),
    [
        (r"Schr\"odinger $\alpha$-VAE", "Schrödinger α-VAE", r"Schr\"odinger $\alpha$-VAE"),
        ("50% of $5 and $6", "50% of $5 and $6", r"50\% of \$5 and \$6"),
        (r"\input{/etc/passwd} bees", "bees", "bees"),
        (r"$\input{x}$", None, None),
        (r"$^^5cinput x$", None, r"{\textasciicircum}{\textasciicircum}5cinput x"),
        ("a_b & {c}", "a_b & c", r"a\_b \& c"),
        (r"$\frac{a}{b}$ of bees", "a/b of bees", r"$\frac{a}{b}$ of bees"),
    ],
)
def test_latex_is_read_and_written(written: str, read: str | None, as_latex: str | None) -> None:
    if read is not None:
        assert readable(written) == read
    if as_latex is not None:
        assert latex(written) == as_latex
    assert r"\input" not in latex(written)


def test_what_is_nested_too_deeply_stays_text() -> None:
    assert readable("{" * 3000 + "x" + "}" * 3000).strip("{}") == "x"


NASTY = st.text(alphabet=st.sampled_from(list("{}\\$%#&~^_\"'@,= \nab1é\u202e")), max_size=40)


@reproducible
@given(NASTY)
def test_latex_never_opens_or_closes_more_than_its_own_braces(text: str) -> None:
    for said in (latex(text), characters(text)):
        depth = 0
        for sign in said:
            depth += (sign == "{") - (sign == "}")
            assert depth >= 0
        assert depth == 0
        assert "\n" not in said

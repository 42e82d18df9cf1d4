"""What holds of a paper that pages name: decided from two descriptions of it, without a store and without asking."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claims.papers.grounding import (
    STATES,
    Called,
    Known,
    Lookup,
    Named,
    Naming,
    News,
    Proposal,
    checked,
    counts,
    ground,
    summary,
)
from kb.dates import WrittenDate
from kb.read import Card
from kb.sources.arxiv_record import Record
from kb.titles import folded, likeness, similarity
from tests.kb_support import reproducible

FIRST = datetime(2025, 5, 22, 17, 0, tzinfo=UTC)
LATER = datetime(2025, 9, 1, tzinfo=UTC)


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


def test_who_gives_a_title_that_differs_is_said() -> None:
    note, line = entry("a-note", "note"), entry("a-line", "line")
    called = (Called(title="Wasps", by=note), Called(title="Bees Count Scouts", by=line))
    one = named(titles=("Bees Count Scouts", "Wasps"), called=called)
    (found,) = ground(one, known()).findings
    assert (found.state, found.by, found.ours) == ("title differs", note, "Wasps")


def test_a_title_is_compared_with_the_one_of_the_version_that_its_page_names() -> None:
    first, newest = record(title="Alpha Particles in a Box"), record(version=2, title="Beta Rays", updated_at=LATER)
    one = named(
        naming("2025-06", 1),
        titles=("Alpha Particles in a Box",),
        called=(Called(title="Alpha Particles in a Box", by=entry(), version=1),),
    )
    assert states(one, known(newest, older=(first,))) == ["newer version"]
    assert states(one, known(newest)) == ["title differs", "newer version"]  # arXiv was not asked about version 1 yet


def test_what_is_no_id_is_said_to_be_none() -> None:
    in_text = Named(key="arxiv:arXiv:2605.254591", written="arXiv:2605.254591", namings=(naming(),))
    card = entry("paper", "paper").model_copy(update={"title": "arXiv:2605.254591 – Bees"})
    listed = named(arxiv=None, card=card, titles=(card.title,))
    for one in (in_text, listed):
        found = ground(one, Known()).headline
        assert (found.state, found.said) == ("not found", "arXiv:2605.254591 is no arXiv id")
    assert in_text.title == "arXiv:2605.254591"


# --- withdrawn, newer, later -----------------------------------------------------------------------------------------


def test_withdrawn_comes_first_and_says_when_and_why() -> None:
    gone = record(version=2, comment="This paper has been withdrawn by the author", title="Another")
    news = (News(kind="withdrawn", version=2, at=datetime(2025, 8, 1, tzinfo=UTC)),)
    one = ground(named(), known(gone, is_withdrawn=True, news=news))
    assert [finding.state for finding in one.findings] == ["withdrawn", "title differs"]
    assert "2025-08-01" in one.headline.said
    assert one.headline.theirs == gone.comment


def test_a_withdrawal_is_dated_by_the_version_that_said_so() -> None:
    gone = record(version=3, comment="This paper has been withdrawn", updated_at=datetime(2025, 9, 1, tzinfo=UTC))
    march, august = datetime(2025, 6, 3, tzinfo=UTC), datetime(2025, 8, 3, tzinfo=UTC)
    news = (
        News(kind="withdrawn", version=1, at=march),
        News(kind="returned", version=2, at=march),
        News(kind="withdrawn", version=2, at=august),
        News(kind="new version", version=3, at=gone.updated_at),
    )
    assert ground(named(), known(gone, is_withdrawn=True, news=news)).headline.said == (
        "withdrawn with version 2 of 2025-08-03"
    )
    assert ground(named(), known(gone, is_withdrawn=True)).headline.said == "withdrawn with version 3 of 2025-09-01"


def test_a_persons_word_is_no_question_to_arxiv() -> None:
    lookup = Lookup(asked_for="Bees Count Scouts", outcome="accepted", checked_at=FIRST + timedelta(days=200))
    assert ground(named(arxiv=None), known(lookup=lookup)).checked_at == known().asked_at


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
        ("2025-10", 3, "grounded"),
        ("2025-06", 3, "later than the statement"),  # the version that it names
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


def test_a_named_version_that_came_after_the_statement_is_later_than_it() -> None:
    second, third = record(version=2, updated_at=LATER), record(version=3, updated_at=LATER + timedelta(days=9))
    found = ground(named(naming("2025-07", 2)), known(third, older=(second,))).findings
    assert [finding.state for finding in found] == ["later than the statement", "newer version"]
    assert found[0].said == "version 2 came on 2025-09-01, after the claim that rests on it"
    assert states(named(naming("2025-09-01", 2)), known(second)) == ["grounded"]
    assert states(named(naming("2025-07", 2)), known(third)) == ["newer version"]  # nobody knows when version 2 came


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
    assert summary(ones) == "3 papers named here: 1 grounded, 1 not yet checked, 1 title differs."
    assert summary(ones[:1]) == "1 paper named here: 1 grounded."
    assert checked(ones) == "Checked 2025-08-20."
    assert (
        checked([*ones, ground(named(), Known(record=record(), asked_at=FIRST))]) == "Checked 2025-05-22 to 2025-08-20."
    )
    assert checked(ones[2:]) == ""
    late = ground(named(naming("2020"), title="Wasps"), known(record(**THIRD)))
    order = [STATES.index(finding.state) for finding in late.findings]
    assert order == sorted(order)
    assert len(order) == 2

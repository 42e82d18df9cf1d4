"""What people make of papers beside claims: the fold, the acts, the ledger, and what pages show of it."""

from datetime import datetime
from pathlib import Path

import pytest
from sqlmodel import select

from claims import acts, audit, overview, timeline
from claims.errors import CannotSay
from claims.freshness import Freshness
from claims.ledger import News
from claims.papers import inbox
from claims.papers.inbox import Attach, Became, Dismiss, Snooze
from kb.models import Entity, Link, Paper, Suggestion
from kb.search import Filters, search
from kb.store import Store
from stillholds.words import event_words
from tests.claims_support import NOW, around, claim_id, measurement, past, run_with, sql
from tests.inbox_support import DAY, SPAN, an_inbox, came, matched, paper, row_of, suggested
from tests.kb_support import write

ONE, TWO, THREE = "2611.00001", "2611.00002", "2611.00003"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = an_inbox(tmp_path_factory.mktemp("made"))
    run_with(store, measurement(around(0.6, 0.05)))
    return store.path


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Store:
    return Store(write(tmp_path / "library.db", made.read_bytes()))


def freshness(store: Store, at: datetime = NOW + DAY) -> Freshness:
    """By the code and the machine of then."""
    with store.reading() as session:
        found = overview.record(session, claim_id(store), at, at).freshness
    assert found is not None
    return found


def links(store: Store) -> list[tuple[str, str, str]]:
    """Attached papers: id, what they are, and the sentence."""
    with store.reading() as session:
        query = select(Paper.arxiv, Link.label, Link.sentence).join(Link, Link.source_id == Paper.id)
        return sorted(session.exec(query.where(Link.type == "attached")))


def whole(store: Store) -> None:
    assert audit.audit(store).problems == ()


# --- attaching -------------------------------------------------------------------------------------------------------


def test_an_attached_contradiction_makes_the_claim_due_and_shows_what_leans_on_it(store: Store) -> None:
    assert freshness(store).word == "FRESH"
    done = inbox.attach(store, "the-gap", ONE, "contradicts", "ada", NOW + DAY)
    assert "a paper contradicts it (arXiv:2611.00001v1), by ada: On 2611.00001" in done.due
    assert [one.other.title for one in done.leaning] == ["Does the gap last?"]
    assert freshness(store).word == "DUE"
    assert done.due in freshness(store).reason
    assert links(store) == [(ONE, "contradicts", SPAN)]
    assert row_of(store, "the-gap", ONE).state == "attached"
    whole(store)


def test_a_claim_that_was_never_tested_says_that_a_paper_contradicts_it_too(tmp_path: Path) -> None:
    store = an_inbox(tmp_path)
    done = inbox.attach(store, "the-gap", ONE, "contradicts", "ada", NOW)
    assert freshness(store).reason == f"it was never tested under its present contract; {done.due}"
    inbox.undo(store, "the-gap", "ada", NOW)
    assert freshness(store).reason == "it was never tested under its present contract"


@pytest.mark.parametrize("relation", ["supports", "qualifies", "extends"])
def test_what_does_not_speak_against_a_claim_makes_nothing_due(store: Store, relation: str) -> None:
    done = inbox.attach(store, "the-gap", ONE, relation, "ada", NOW + DAY)
    assert (done.due, done.not_due) == ("", "")
    assert freshness(store).word == "FRESH"
    assert links(store) == [(ONE, relation, SPAN)]
    whole(store)


def test_what_nothing_tests_is_attached_and_not_due(store: Store) -> None:
    done = inbox.attach(store, "spoken", "arXiv:2611.00002v1", "supersedes", "ada", NOW)
    assert done.due == ""
    assert "no contract" in done.not_due
    acts.retire(store, "the-gap", "too dear", "a cheaper run", "bo", NOW)
    done = inbox.attach(store, "the-gap", ONE, "contradicts", "ada", NOW)
    assert "retired by bo" in done.not_due
    assert freshness(store).word == "RETIRED"
    whole(store)


def test_a_contradiction_that_came_while_a_claim_was_retired_is_a_reason_once_it_is_woken(store: Store) -> None:
    acts.retire(store, "the-gap", "too dear", "a cheaper run", "bo", NOW)
    done = inbox.attach(store, "the-gap", ONE, "contradicts", "ada", NOW)
    assert '`stillholds wake the-gap --reason "…"` brings it back' in done.not_due
    acts.wake(store, "the-gap", "look again", "bo", NOW + DAY)
    assert "a paper contradicts it (arXiv:2611.00001v1), by ada" in freshness(store, NOW + DAY).reason


def test_a_link_has_the_sureness_of_the_guess_only_where_the_guess_was_right(store: Store) -> None:
    for arxiv, relation in ((ONE, "supports"), (TWO, "supports")):  # the first was guessed to contradict
        inbox.attach(store, "the-gap", arxiv, relation, "ada", NOW)
    with store.reading() as session:
        weights = (
            select(Paper.arxiv, Link.weight).join(Paper, Paper.id == Link.source_id).where(Link.type == "attached")
        )
        assert dict(session.exec(weights).all()) == {ONE: None, TWO: 0.8}


def test_an_attached_paper_is_an_entry_that_search_finds(store: Store) -> None:
    inbox.attach(store, "the-gap", ONE, "supports", "ada", NOW)
    with store.reading() as session:
        entity = session.exec(select(Entity).where(Entity.kind == "paper")).one()
        hits = search(session, "who wrote the text", None, Filters(), 5)
    assert (entity.title, entity.slug, entity.version_id) == ("On 2611.00001", "on-2611-00001", None)
    assert entity.slug in [hit.slug for hit in hits]


@pytest.mark.parametrize(
    ("claim", "arxiv", "said"),
    [
        ("the-gap", "2611.99999", "has come here"),
        ("the-gap", "nonsense", "is no arXiv id"),
        ("the-gap", TWO, "attached as supports by bo on 2026-11-21"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_of_many_is_kept(
    store: Store, claim: str, arxiv: str, said: str
) -> None:
    inbox.attach(store, "the-gap", TWO, "supports", "bo", NOW)
    before = len(past(store).entries)
    with pytest.raises(CannotSay, match=said):
        inbox.many(store, [("the-gap", ONE), (claim, arxiv)], Attach(relation="extends"), "ada", NOW)
    assert len(past(store).entries) == before
    assert links(store) == [(TWO, "supports", SPAN)]
    assert row_of(store, "the-gap", ONE).state == "new"
    whole(store)


def test_many_are_one_act_and_a_pair_named_twice_is_one(store: Store) -> None:
    pairs = [("the-gap", ONE), ("the-gap", TWO), ("the-gap", f"arXiv:{TWO}v1"), ("spoken", ONE)]
    done = inbox.many(store, pairs, Attach(relation="contradicts"), "ada", NOW)
    assert [(one.claim.slug, one.arxiv) for one in done] == [("the-gap", ONE), ("the-gap", TWO), ("spoken", ONE)]
    assert links(store) == [(ONE, "contradicts", ""), (ONE, "contradicts", SPAN), (TWO, "contradicts", SPAN)]
    inbox.undo_many(store, [(one.claim.slug, one.seq) for one in done], "ada", NOW)
    assert links(store) == []
    whole(store)


def test_undo_takes_back_what_was_said_of_many_at_once(store: Store) -> None:
    inbox.dismiss(store, "the-gap", THREE, "another thing", "ada", NOW)
    inbox.many(store, [("the-gap", ONE), ("the-gap", TWO)], Attach(relation="contradicts"), "ada", NOW + DAY)
    assert [one.arxiv for one in inbox.undo(store, "the-gap", "ada", NOW + DAY)] == [ONE, TWO]
    assert links(store) == []
    assert [one.arxiv for one in inbox.undo(store, "the-gap", "ada", NOW + DAY)] == [THREE]
    whole(store)


# --- dismissing, looking later ---------------------------------------------------------------------------------------


def test_a_dismissal_needs_a_reason_and_stays(store: Store) -> None:
    with pytest.raises(CannotSay, match="a reason is missing"):
        inbox.dismiss(store, "the-gap", ONE, "  ", "ada", NOW)
    inbox.dismiss(store, "the-gap", ONE, "about another thing", "ada", NOW)
    assert row_of(store, "the-gap", ONE).state == "dismissed"
    with pytest.raises(CannotSay, match="dismissed by ada"):
        inbox.dismiss(store, "the-gap", ONE, "again", "bo", NOW)
    with pytest.raises(CannotSay, match="dismissed by ada"):
        inbox.snooze(store, "the-gap", ONE, NOW + DAY, "bo", NOW)
    inbox.attach(store, "the-gap", ONE, "supports", "bo", NOW)  # whoever reads on may think otherwise
    assert row_of(store, "the-gap", ONE).state == "attached"
    inbox.undo(store, "the-gap", "bo", NOW)
    assert row_of(store, "the-gap", ONE).state == "dismissed"
    whole(store)


def test_a_paper_is_put_off_until_a_time_that_is_to_come(store: Store) -> None:
    with pytest.raises(CannotSay, match="is over"):
        inbox.snooze(store, "the-gap", ONE, NOW, "ada", NOW)
    inbox.snooze(store, "the-gap", ONE, NOW + 7 * DAY, "ada", NOW)
    inbox.snooze(store, "the-gap", ONE, NOW + 9 * DAY, "ada", NOW + DAY)
    row = row_of(store, "the-gap", ONE)
    assert (row.state, row.until) == ("snoozed", NOW + 9 * DAY)
    whole(store)


# --- taking back -----------------------------------------------------------------------------------------------------


def test_undo_takes_back_the_last_act_of_a_person_and_what_followed_from_it(store: Store) -> None:
    inbox.attach(store, "the-gap", ONE, "contradicts", "ada", NOW + DAY)
    inbox.dismiss(store, "the-gap", TWO, "about another thing", "bo", NOW + DAY)
    (done,) = inbox.undo(store, "the-gap", "ada", NOW + DAY)
    assert (done.arxiv, done.kind) == (ONE, "undone")
    assert freshness(store).word == "FRESH"
    assert links(store) == []
    assert row_of(store, "the-gap", ONE).state == "new"
    assert row_of(store, "the-gap", TWO).state == "dismissed"
    assert [entry.event.kind for entry in past(store).entries][-4:] == ["attached", "due", "dismissed", "undone"]
    with store.reading() as session:
        assert session.exec(select(Entity).where(Entity.kind == "paper")).all() == []
    with pytest.raises(CannotSay, match="nothing by ada"):
        inbox.undo(store, "the-gap", "ada", NOW + DAY)
    with pytest.raises(CannotSay, match="entry 1 is nothing"):
        inbox.undo(store, "the-gap", "ada", NOW + DAY, seq=1)
    whole(store)


def test_a_claim_stays_due_for_the_reasons_that_were_not_taken_back(store: Store) -> None:
    acts.make_due(store, "the-gap", "I doubt it", "bo", NOW + DAY)
    one = inbox.attach(store, "the-gap", ONE, "contradicts", "ada", NOW + DAY)
    inbox.attach(store, "the-gap", TWO, "supersedes", "ada", NOW + DAY)
    inbox.undo(store, "the-gap", "bo", NOW + DAY, seq=one.seq)
    assert freshness(store).word == "DUE"
    assert [because.cause for because in past(store).waiting.because] == ["asked", "superseded"]


def test_a_run_answers_an_attachment_and_undo_after_it_changes_nothing(store: Store) -> None:
    inbox.attach(store, "the-gap", ONE, "contradicts", "ada", NOW + DAY)
    run_with(store, measurement(around(0.6, 0.05)), at=NOW + 2 * DAY)
    assert past(store).waiting.because == ()
    inbox.undo(store, "the-gap", "ada", NOW + 3 * DAY)
    assert past(store).waiting.because == ()
    assert freshness(store, NOW + 4 * DAY).word == "FRESH"
    whole(store)


def test_standing_flips_and_runs_are_those_of_the_same_chain_without_papers(store: Store) -> None:
    before = past(store)
    inbox.attach(store, "the-gap", ONE, "supports", "ada", NOW)
    inbox.dismiss(store, "the-gap", TWO, "no", "ada", NOW)
    inbox.snooze(store, "the-gap", THREE, NOW + DAY, "ada", NOW)
    inbox.undo(store, "the-gap", "ada", NOW)
    after = past(store)
    assert (after.standing, after.flips, after.runs, after.waiting) == (
        before.standing,
        before.flips,
        before.runs,
        before.waiting,
    )
    assert after.entries[: len(before.entries)] == before.entries


# --- news of what a claim rests on -----------------------------------------------------------------------------------


def show(store: Store, event: News, version: int) -> None:
    with store.writing() as session:
        row, said = session.get_one(Suggestion, (claim_id(store), ONE)), Became(event=event, version=version)
        row.news = said.model_dump()
        row.state = inbox.shown(inbox.inbox_of(past(store).entries).get(ONE), said).state


def test_a_new_version_of_a_paper_that_a_claim_rests_on_makes_it_due_once_a_person_says_so(store: Store) -> None:
    inbox.attach(store, "the-gap", ONE, "supports", "ada", NOW)
    came(store, paper(ONE, 2), now=NOW + DAY)
    show(store, "new version", 2)
    assert row_of(store, "the-gap", ONE).state == "new"
    done = inbox.attach(store, "the-gap", ONE, "new version", "ada", NOW + DAY)
    assert "a paper that bears on it has a new version (arXiv:2611.00001v2)" in done.due
    assert row_of(store, "the-gap", ONE).state == "attached"
    assert links(store) == [(ONE, "supports", SPAN)]  # what it is to the claim is another question
    with pytest.raises(CannotSay, match="attached as new version"):
        inbox.attach(store, "the-gap", ONE, "new version", "bo", NOW + DAY)
    came(store, paper(ONE, 3, comment="This paper has been withdrawn"), now=NOW + 2 * DAY)
    show(store, "withdrawn", 3)
    assert row_of(store, "the-gap", ONE).state == "new"
    inbox.dismiss(store, "the-gap", ONE, "we knew", "ada", NOW + 2 * DAY)
    assert row_of(store, "the-gap", ONE).state == "dismissed"
    assert links(store) == [(ONE, "supports", SPAN)]
    whole(store)


def test_news_are_of_papers_that_a_claim_rests_on_and_true(store: Store) -> None:
    with pytest.raises(CannotSay, match="does not rest on"):
        inbox.attach(store, "the-gap", ONE, "new version", "ada", NOW)
    inbox.attach(store, "the-gap", ONE, "supports", "ada", NOW)
    for news, said in (("withdrawn", "withdrawal"), ("returned", "return")):
        with pytest.raises(CannotSay, match=f"arXiv has told of no {said} of arXiv:{ONE}: `stillholds pull`"):
            inbox.attach(store, "the-gap", ONE, news, "ada", NOW)
    with pytest.raises(CannotSay, match=r"of no new version of .* after version 1, which was attached"):
        inbox.attach(store, "the-gap", ONE, "new version", "ada", NOW)


def test_news_of_what_a_claim_no_longer_rests_on_are_gone(store: Store) -> None:
    done = inbox.attach(store, "the-gap", ONE, "supports", "ada", NOW)
    came(store, paper(ONE, 2), now=NOW + DAY)
    show(store, "new version", 2)
    inbox.undo(store, "the-gap", "ada", NOW + DAY, seq=done.seq)
    row = row_of(store, "the-gap", ONE)
    assert (row.news, row.state, row.rank) == (None, "new", 1)
    assert row.match == matched("contradicts")  # how it was matched is still known
    whole(store)


# --- the audit -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE suggestion SET state = 'new'", "what its inbox shows"),
        ("DELETE FROM suggestion WHERE state = 'attached'", "what its inbox shows"),
        ("DELETE FROM link WHERE type = 'attached'", "shown as attached"),
        ("UPDATE link SET label = 'supports' WHERE type = 'attached'", "shown as attached"),
        ("UPDATE suggestion SET state = 'dismissed' WHERE state = 'new'", "what its inbox shows"),
    ],
)
def test_the_audit_finds_a_cache_that_is_not_what_the_entries_give(store: Store, statement: str, what: str) -> None:
    suggested(store, "spoken", THREE)
    inbox.attach(store, "the-gap", ONE, "contradicts", "ada", NOW)
    whole(store)
    sql(store, statement)
    problems = audit.audit(store).problems
    assert problems
    assert all(what in problem.what for problem in problems)


def test_a_deed_is_checked_at_the_border() -> None:
    with pytest.raises(ValueError, match="relation"):
        Attach(relation="likes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="until"):
        Snooze(until="2026-11-21T00:00:00")  # type: ignore[arg-type]
    assert Dismiss(reason="").reason == ""  # what is empty is said by the act, in words


# --- what pages show of it -------------------------------------------------------------------------------------------


def test_attachments_are_shown_over_time_with_those_that_were_taken_back(store: Store) -> None:
    inbox.attach(store, "the-gap", ONE, "contradicts", "ada", NOW + DAY, reason="look at table 2")
    inbox.attach(store, "spoken", TWO, "supports", "bo", NOW + 2 * DAY)
    inbox.undo(store, "the-gap", "ada", NOW + 3 * DAY)
    with store.reading() as session:
        found = timeline.attachments(session)
        early = timeline.attachments(session, until=NOW + DAY)
    assert [(one.claim.slug, one.undone_at) for one in found] == [("spoken", None), ("the-gap", NOW + 3 * DAY)]
    assert [one.claim.slug for one in early] == ["the-gap"]


def test_every_entry_is_said_in_words(store: Store) -> None:
    inbox.attach(store, "the-gap", ONE, "contradicts", "ada", NOW, reason="look at table 2")
    inbox.dismiss(store, "the-gap", TWO, "another thing", "ada", NOW)
    inbox.snooze(store, "the-gap", THREE, NOW + DAY, "ada", NOW)
    inbox.undo(store, "the-gap", "ada", NOW)
    said = [event_words(entry.event) for entry in past(store).entries[-5:]]
    assert said[0] == ("attached, contradicts", "arXiv:2611.00001v1, On 2611.00001, by ada: look at table 2")
    assert said[1][0] == "made due"
    assert said[2] == ("paper dismissed", "arXiv:2611.00002v1, On 2611.00002, by ada: another thing")
    assert said[3] == ("paper put off", "arXiv:2611.00003v1, On 2611.00003, by ada, until 2026-11-22")
    assert said[4] == ("taken back", f"entry {past(store).entries[-2].seq}, by ada")

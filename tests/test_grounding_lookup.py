"""Asking a real server about the papers that pages name, keeping each answer, and the two commands."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select
from typer.testing import CliRunner, Result

from claims.errors import CannotSay
from claims.papers import citations, naming
from claims.papers.grounding import Ground
from claims.papers.looking_up import accept, could_be, look_up, questions, wanted
from kb import arxiv_papers, attaching
from kb.attaching import Attachment
from kb.errors import ArxivRefused, NotFound
from kb.models import ArxivCheck, ArxivPaper
from kb.pace import Pace
from kb.read import find
from kb.sources.arxiv import LONGEST_QUERY, Arxiv
from kb.store import Store
from stillholds import cli, grounding
from tests.arxiv_server import (
    DAWN,
    Server,
    counts_ids,
    empty_page,
    html,
    record,
    replaced,
    says_nothing,
    serving,
    too_many,
    versions,
)
from tests.kb_support import NO_SEEDS, SEEDS, bring_in, filled, quiet, vault
from tests.postgres_support import Server as Postgres

NOW = DAWN + timedelta(days=40)

PAGES = {
    "notes__quorum": "---\ndate: 2026-05-20\npapers:\n- arXiv:2605.00001 – Bees Count\n- Scouts Walk the Hollow\n---\n# A quorum\n\n"
    "Scouts count; see also arXiv:2605.00004 for the same in ants.\n",
    "claims__later": "---\nnote: quorum\ndate: 2025-01\npapers:\n- arXiv:2605.00002v1 – Wasps Rest\n---\n# Wasps rest\n\nThey do.\n",
    "papers__gone": "---\ntitle: Drones Dance\narxiv: '2605.00003'\naliases: [dancing-drones]\n---\n# Drones Dance\n\nA paper.\n",
    "lines__walk": "---\nkind: line\npapers: [arXiv:2605.00009 – No Such Paper]\n---\n# Why walk\n\nBecause of [[quorum]] and [[gone]].\n",
}
THERE = [
    versions(record("2605.00001", title="Bees Count: A Study")),
    versions(record("2605.00002", title="Hornets Rest"), record("2605.00002", 2, title="Hornets Rest")),
    versions(record("2605.00003", 2, title="Drones Dance", comment="This paper has been withdrawn by the author")),
    versions(record("2605.00004", title="Ants Count Too")),
    versions(record("2605.00005", title="Scouts Walk the Hollow: Measuring a Dark Room")),
    versions(record("2605.00006", title="How Scouts Walk Around the Hollow")),
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return vault(tmp_path, **PAGES)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(THERE) as server:
        yield server


@pytest.fixture
def arxiv(server: Server, tmp_path: Path) -> Arxiv:
    return Arxiv(server.url, pace=Pace(0.0, folder=tmp_path / "pace"), pauses=(0.0,))


def grounds(store: Store) -> dict[str, Ground]:
    with store.reading() as session:
        return {one.named.title: one for one in naming.grounds(session)}


def titles(found: Iterable[Ground]) -> list[str]:
    return [one.named.title for one in found]


def ask(store: Store, arxiv: Any, *, days: float = 30, report: Callable[[int, int], None] = quiet) -> Any:
    return look_up(store, arxiv, wanted(grounds(store).values(), NOW, days), lambda: NOW, report)


def states(store: Store) -> dict[str, tuple[str, ...]]:
    return {title: tuple(finding.state for finding in one.findings) for title, one in grounds(store).items()}


# --- which papers are named ------------------------------------------------------------------------------------------


def test_every_way_of_naming_a_paper_is_found(store: Store) -> None:
    found = grounds(store)
    assert {title: one.arxiv for title, one in found.items()} == {
        "Bees Count": "2605.00001",
        "Wasps Rest": "2605.00002",
        "Drones Dance": "2605.00003",
        "No Such Paper": "2605.00009",
        "Scouts Walk the Hollow": None,
        "arXiv:2605.00004": "2605.00004",
    }
    (in_text,) = found["arXiv:2605.00004"].named.namings
    assert (in_text.by.slug, in_text.type) == ("quorum", "names")
    (claim,) = found["Wasps Rest"].named.namings
    assert (claim.version, claim.date and claim.date.written) == (1, "2025-01")
    assert found["Drones Dance"].named.titles == ("Drones Dance",)  # its file's name and alias are no titles


def test_an_entry_has_the_papers_that_it_names(store: Store) -> None:
    with store.reading() as session:
        of_note = {one.named.title for one in naming.chosen(session, ["quorum"])}
        of_line = {one.named.title for one in naming.chosen(session, ["walk"])}
        one = [each.named.title for each in naming.chosen(session, ["arXiv:2605.00002v1", "2605.00004", "gone"])]
        with pytest.raises(NotFound, match=r"2605\.77777"):
            naming.chosen(session, ["2605.77777"])
    assert of_note == {"Bees Count", "Scouts Walk the Hollow", "arXiv:2605.00004"}
    assert of_line == {"No Such Paper", "Drones Dance"}
    assert one == ["Wasps Rest", "arXiv:2605.00004", "Drones Dance"]


# --- asking ----------------------------------------------------------------------------------------------------------


def test_each_paper_ends_as_what_it_is(store: Store, arxiv: Arxiv, server: Server) -> None:
    answered = ask(store, arxiv)
    assert (answered.wanted, answered.asked, answered.problem) == (6, 6, "")
    assert states(store) == {
        "Bees Count": ("grounded",),
        "Wasps Rest": ("title differs", "later than the statement", "newer version"),
        "Drones Dance": ("withdrawn",),
        "No Such Paper": ("not found",),
        "Scouts Walk the Hollow": ("proposed",),
        "arXiv:2605.00004": ("grounded",),
    }
    proposals = grounds(store)["Scouts Walk the Hollow"].proposals
    assert [one.record.arxiv for one in proposals] == ["2605.00005"]
    first, versions_named, _ = server.requests
    assert first.params["id_list"].count(",") == 4
    assert versions_named.params["id_list"] == "2605.00002v1"


def test_it_is_the_same_on_postgresql(store: Store, arxiv: Arxiv, postgres: Postgres, tmp_path: Path) -> None:
    other = Store(postgres.library())
    assert not bring_in(other, *sorted((tmp_path / "vault").rglob("*.md"))).refused
    for one in (store, other):
        ask(one, arxiv)
        accept(one, "scouts-walk-the-hollow", "2605.00005", "ada", NOW)
    assert states(other) == states(store)
    with store.reading() as here, other.reading() as there:
        for slug in ("quorum", "walk", "later", "gone", "2605.00004"):
            assert titles(naming.chosen(there, [slug])) == titles(naming.chosen(here, [slug])) != []
    other.engine.dispose()


def test_what_was_checked_lately_is_not_asked_again(store: Store, arxiv: Arxiv, server: Server) -> None:
    ask(store, arxiv)
    before = len(server.requests)
    assert ask(store, arxiv).wanted == 0
    assert len(server.requests) == before
    with store.reading() as session:
        everything = naming.grounds(session)
    assert wanted(everything, NOW + timedelta(days=31), 30).total == 6
    assert wanted(everything, NOW - timedelta(days=1), 30).total == 6  # a clock that was wrong


def test_a_title_that_is_worded_otherwise_is_found_by_its_words(store: Store, arxiv: Arxiv, server: Server) -> None:
    server.papers[4] = versions(record("2605.00005", title="Scouts in the Dark Walk a Hollow"))
    ask(store, arxiv)
    proposals = grounds(store)["Scouts Walk the Hollow"].proposals
    assert {one.record.arxiv for one in proposals} == {"2605.00005", "2605.00006"}
    assert [one.similarity for one in proposals] == sorted((one.similarity for one in proposals), reverse=True)
    with store.reading() as session:
        assert session.get(ArxivPaper, "2605.00005") is None  # a proposal is no paper of the library


def test_asking_that_breaks_off_keeps_what_was_answered_and_goes_on(store: Store, arxiv: Arxiv, server: Server) -> None:
    def break_off(done: int, _total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(store, arxiv, report=break_off)
    assert states(store)["Bees Count"] == ("grounded",)
    assert ask(store, arxiv).wanted == 2  # the title, and the version that a claim names


@pytest.mark.parametrize("fault", [html(), too_many()], ids=["html", "429"])
def test_a_refusal_is_said_and_nothing_is_taken_for_missing(fault: Any, store: Store, tmp_path: Path) -> None:
    with serving(THERE, faults={lambda _: True: fault}) as server:
        arxiv = Arxiv(server.url, pace=Pace(0.0, folder=tmp_path / "pace"), pauses=(0.0,))
        answered = ask(store, arxiv)
    assert answered.asked == 0
    assert answered.problem
    assert {headline for found in states(store).values() for headline in found} == {"not yet checked"}


class Breaks:
    """An arXiv that knows ids and is gone when titles are looked for."""

    def __init__(self, arxiv: Arxiv) -> None:
        self.by_ids = arxiv.by_ids

    def search(self, query: str, start: int = 0, size: int = 100, **_: Any) -> Any:
        raise ArxivRefused(f"no answer to {query}", passing=True)


def test_a_refusal_in_the_middle_keeps_what_came_before_it(store: Store, arxiv: Arxiv) -> None:
    answered = ask(store, Breaks(arxiv))
    assert (answered.asked, answered.wanted) == (5, 6)
    assert "no answer" in answered.problem
    assert states(store)["Scouts Walk the Hollow"] == ("not yet checked",)


class Refuses:
    """An arXiv that knows ids and refuses for good to look for titles that hold one of WORDS."""

    def __init__(self, arxiv: Arxiv, *words: str) -> None:
        self.arxiv, self.words, self.asked = arxiv, words, 0

    def by_ids(self, ids: Sequence[str]) -> Any:
        return self.arxiv.by_ids(ids)

    def search(self, query: str, start: int = 0, size: int = 100, **how: Any) -> Any:
        self.asked += 1
        if any(word in query for word in self.words):
            raise ArxivRefused("refuses the request (HTTP 400)")
        return self.arxiv.search(query, start, size, **how)


TITLES = "---\npapers: [Ants, {}, Scouts Walk the Hollow]\n---\n# A note\n\nText.\n"


def test_a_title_that_arxiv_refuses_holds_up_no_other(tmp_path: Path, arxiv: Arxiv) -> None:
    store = vault(tmp_path, notes__a=TITLES.format("Bumblebees"))
    answered = ask(store, Refuses(arxiv, "ants", "bumblebees"))
    assert (answered.asked, answered.wanted) == (1, 3)
    assert answered.problem == ("“Ants”: refuses the request (HTTP 400); “Bumblebees”: refuses the request (HTTP 400)")
    assert states(store) == {
        "Ants": ("not found",),
        "Bumblebees": ("not found",),
        "Scouts Walk the Hollow": ("proposed",),
    }
    assert ask(store, arxiv).wanted == 0


def test_an_arxiv_that_refuses_everything_is_not_asked_on_and_on_and_has_said_nothing(
    tmp_path: Path, arxiv: Arxiv
) -> None:
    store = vault(tmp_path, notes__a=TITLES.format("Bumblebees, Drones, Wasps"))
    refuses = Refuses(arxiv, "ti:")
    assert ask(store, refuses).asked == 0
    assert refuses.asked == 4
    assert set(states(store).values()) == {("not yet checked",)}


def test_an_entry_that_cannot_be_read_leaves_its_paper_unchecked_and_the_others_are_known(
    store: Store, arxiv: Arxiv, server: Server
) -> None:
    server.faults = {lambda _: True: replaced(b"Ants Count Too", b"")}
    answered = ask(store, arxiv)
    assert (answered.asked, answered.wanted, answered.problem) == (5, 6, "2605.00004v1 has no title")
    before = states(store)
    assert (before["Bees Count"], before["arXiv:2605.00004"]) == (("grounded",), ("not yet checked",))
    assert before["No Such Paper"] == ("not found",)  # it was asked for alone
    server.faults = {}
    assert ask(store, arxiv).wanted == 1
    assert states(store)["arXiv:2605.00004"] == ("grounded",)


def test_an_id_that_arxiv_never_gave_out_spoils_no_question(tmp_path: Path, arxiv: Arxiv, server: Server) -> None:
    text = "Read arXiv:hive/1234567, arXiv:1605.1234 and arXiv:2605.00001.\n"
    store = vault(tmp_path, notes__a=f"# A note\n\n{text}")
    ask(store, arxiv)
    assert states(store) == {
        "arXiv:2605.00001": ("grounded",),
        "arXiv:hive/1234567": ("not found",),
        "arXiv:1605.1234": ("not found",),
    }
    assert server.requests[0].params["id_list"] == "2605.00001"
    assert [could_be(one) for one in ("hep-th/9901001", "0704.0001", "1412.1234", "0703.0001", "1412.12345")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_an_old_id_with_its_subject_class_is_the_same_paper(tmp_path: Path, arxiv: Arxiv, server: Server) -> None:
    server.papers.append(versions(record("math/0309136", title="On Hives")))
    store = vault(tmp_path, notes__a="---\npapers: ['arXiv:math.GT/0309136 – On Hives']\n---\n# A note\n\nText.\n")
    ask(store, arxiv)
    assert states(store) == {"On Hives": ("grounded",)}


def test_an_old_id_with_its_subject_class_is_one_paper_with_its_news(tmp_path: Path) -> None:
    text = "---\npapers: ['arXiv:math.GT/0309136v1 – On Hives']\n---\n# A note\n\nSee arXiv:math/0309136.\n"
    store = vault(tmp_path, notes__a=text, notes__b="# Another\n\nSee arXiv:Math.GT/0309136v2.\n")
    gone = record("math/0309136", 2, title="On Hives", comment="This paper has been withdrawn")
    with store.writing() as session:
        arxiv_papers.put(session, [gone], NOW)
    with store.reading() as session:
        (one,) = naming.grounds(session)
        (same,) = naming.chosen(session, ["math.GT/0309136"])
        assert list(arxiv_papers.named(session)) == ["math/0309136"]
        assert [cited.work.arxiv for cited in citations.chosen(session, ["math.GT/0309136v1"])] == ["math/0309136"]
    assert one == same
    assert one.headline.state == "withdrawn"
    assert one.arxiv == "math/0309136"
    assert {(naming.type, naming.version) for naming in one.named.namings} == {
        ("cites", 1),
        ("names", None),
        ("names", 2),
    }


def test_questions_go_from_the_exact_to_the_loose() -> None:
    assert questions("How Do Scouts Measure the Volume of Dark Cavities?") == [
        'ti:"how do scouts measure the volume of dark cavities"',
        "ti:scouts AND ti:measure AND ti:volume AND ti:dark AND ti:cavities",
        "ti:scouts AND ti:measure AND ti:volume AND ti:cavities",
    ]
    assert questions('" OR cat:* (') == ['ti:"or cat"', "ti:cat"]
    assert questions("???") == []


def test_a_long_title_is_asked_for_by_its_longest_words() -> None:
    asked = questions(" ".join(f"alpha{number}beta" for number in range(400)))
    assert max(map(len, asked)) <= LONGEST_QUERY
    assert asked[-1].count("ti:") == 4
    assert questions("a" * 4000) == []


@pytest.mark.parametrize("fault", [counts_ids(), says_nothing()], ids=["counted", "empty entry"])
def test_one_paper_that_arxiv_does_not_have_holds_up_no_other(
    store: Store, arxiv: Arxiv, server: Server, fault: Any
) -> None:
    server.faults = {lambda asked: bool(asked.params["id_list"]): fault}
    answered = ask(store, arxiv)
    assert (answered.asked, answered.wanted, answered.problem) == (6, 6, "")
    assert (states(store)["Bees Count"], states(store)["No Such Paper"]) == (("grounded",), ("not found",))


def test_an_empty_answer_about_a_paper_that_was_here_is_a_fault(store: Store, server: Server, tmp_path: Path) -> None:
    with store.writing() as session:
        arxiv_papers.put(session, [record("2605.00001", title="Bees Count")], NOW - timedelta(days=40))
    server.faults = {lambda asked: bool(asked.params["id_list"]): empty_page()}
    answered = ask(store, Arxiv(server.url, pace=Pace(0.0, folder=tmp_path / "pace"), pauses=(0.0,)))
    assert answered.problem.startswith("arXiv sent nothing, though it has 2605.00001")
    assert states(store)["No Such Paper"] == ("not yet checked",)


def test_what_is_no_id_is_reported_and_nobody_is_asked(tmp_path: Path, arxiv: Arxiv, server: Server) -> None:
    head = "---\npapers: ['arXiv:2605.254592 – Bees']\n---\n# A note\n\n"
    store = vault(tmp_path, notes__a=f"{head}See arXiv:2605.254591 and https://arxiv.org/abs/2613.00001.\n")
    assert ask(store, arxiv).wanted == len(server.requests) == 0
    found = grounds(store)
    assert {one.headline.said for one in found.values()} == {
        "arXiv:2605.254592 is no arXiv id",
        "arXiv:2605.254591 is no arXiv id",
        "https://arxiv.org/abs/2613.00001 is no arXiv id",
    }
    assert {one.headline.state for one in found.values()} == {"not found"}
    with store.reading() as session:
        assert titles(naming.chosen(session, ["a-note"])) == sorted(found)
        assert [cited.work.title for cited in citations.everything(session)] == ["arXiv:2605.254592 – Bees"]


def test_every_form_of_an_id_is_read_in_texts_and_lists(store: Store, tmp_path: Path, postgres: Postgres) -> None:
    doi = "---\npapers: ['https://doi.org/10.48550/arXiv.2605.00001v2 – Bees', 'arXiv preprint 2605.00002']\n---\n"
    pages = {
        "notes__a": f"{doi}# A note\n\nSee doi:10.48550/arXiv.2605.00003.\n",
        "notes__b": "# Another\n\nOld: hep-th/9901001. It costs 2605.00005.\n",
        "claims__c": "# A third\n\nSee 2605.00004v2.\n",
    }
    here, there = vault(tmp_path / "forms", **pages), Store(postgres.library())
    assert not bring_in(there, *sorted((tmp_path / "forms").rglob("*.md"))).refused
    for one in (here, there):
        found = grounds(one)
        assert sorted(each.arxiv or "" for each in found.values()) == [
            "2605.00001", "2605.00002", "2605.00003", "2605.00004", "hep-th/9901001",
        ]  # fmt: skip
        assert found["Bees"].arxiv == "2605.00001"
        with one.reading() as session:
            assert len(arxiv_papers.named(session)) == 5
            assert len(naming.in_texts(session, ["hep-th/9901001"])) == 1
    there.engine.dispose()


# --- versions, and who says what --------------------------------------------------------------------------------------


RENAMED = [
    versions(
        record("2605.00011", title="Alpha particles in a box", published_at=DAWN),
        record("2605.00011", 2, title="Beta rays in a jar", published_at=DAWN, updated_at=DAWN + timedelta(days=30)),
    ),
    versions(
        *(record("2605.00013", number, title="Gamma", published_at=DAWN) for number in (1,)),
        *(
            record(
                "2605.00013", number, title="Gamma", published_at=DAWN, updated_at=DAWN + number * timedelta(days=10)
            )
            for number in (2, 3)
        ),
    ),
]
NAMES_VERSIONS = (
    "---\ndate: 2026-05-06\npapers: ['arXiv:2605.00011v1 – Alpha particles in a box', 'arXiv:2605.00013v2 – Gamma']\n---\n"
    "# A note\n\nText.\n"
)


def test_the_version_that_a_page_names_is_the_one_that_it_is_compared_with(
    tmp_path: Path, arxiv: Arxiv, server: Server
) -> None:
    server.papers = list(RENAMED)
    store = vault(tmp_path, notes__a=NAMES_VERSIONS)
    answered = ask(store, arxiv)
    assert (answered.asked, answered.wanted, answered.problem) == (2, 2, "")
    assert states(store) == {
        "Alpha particles in a box": ("newer version",),
        "Gamma": ("later than the statement", "newer version"),
    }
    assert server.requests[1].params["id_list"] == "2605.00011v1,2605.00013v2"
    assert ask(store, arxiv).wanted == 0
    again = look_up(store, arxiv, wanted(grounds(store).values(), NOW + timedelta(days=90), 30), lambda: NOW, quiet)
    assert again.asked == 2
    assert len(server.requests) == 3  # what a version is never changes


def test_a_version_of_a_paper_that_was_pulled_is_asked_for_alone(tmp_path: Path, arxiv: Arxiv, server: Server) -> None:
    server.papers = list(RENAMED)
    store = vault(tmp_path, notes__a=NAMES_VERSIONS)
    with store.writing() as session:
        arxiv_papers.put(session, [paper[-1] for paper in RENAMED], NOW)
    assert states(store)["Alpha particles in a box"] == ("title differs", "newer version")
    assert (ask(store, arxiv).asked, len(server.requests)) == (2, 1)
    assert states(store)["Alpha particles in a box"] == ("newer version",)


def test_a_version_that_is_not_there_is_not_asked_for_again_and_again(
    tmp_path: Path, arxiv: Arxiv, server: Server
) -> None:
    server.papers = [RENAMED[0][1:], RENAMED[1][2:]]
    store = vault(tmp_path, notes__a=NAMES_VERSIONS)
    ask(store, arxiv)
    assert len(server.requests) == 2
    assert ask(store, arxiv).wanted == 0


def test_the_page_that_gives_a_wrong_title_is_named(tmp_path: Path, arxiv: Arxiv) -> None:
    store = vault(
        tmp_path,
        notes__a="---\npapers: ['arXiv:2605.00004 – Bees Sleep', Sleep, Snore]\n---\n# A note\n\nText.\n",
        lines__b="---\npapers: ['arXiv:2605.00004 – Ants Count Too']\n---\n# A line\n\nText.\n",
        papers__ants="---\narxiv: '2605.00004'\n---\n# Ants\n\nA paper.\n",
    )
    ask(store, arxiv)
    one = grounds(store)["Ants"]
    assert {(finding.by and finding.by.slug, finding.ours) for finding in one.findings} == {
        ("a", "Bees Sleep"),
        ("ants", "Ants"),
    }
    named = grounding.paper(one)["named_by"]
    assert {each["slug"]: each["titles"] for each in named} == {"a": ["Bees Sleep"], "b": ["Ants Count Too"]}


def test_the_title_of_a_paper_that_was_only_attached_is_no_pages_title(tmp_path: Path) -> None:
    store = vault(tmp_path, claims__c="# A claim\n\nText.\n", claims__d="# Other\n\nText.\n")
    attached = [record("2605.00011", title="A very long title"), record("2605.00012", title="Another")]
    with store.writing() as session:
        arxiv_papers.put(session, attached, NOW)
        claim = find(session, "a-claim").id
        attaching.attach(session, [Attachment(claim, one.arxiv, "supports", "", None) for one in attached], NOW)
    with store.writing() as session:
        renamed = record("2605.00011", 2, title="Now a short title", updated_at=DAWN + timedelta(days=1))
        arxiv_papers.put(session, [renamed], NOW)
    assert states(store)["A very long title"] == ("grounded",)


# --- titles -----------------------------------------------------------------------------------------------------------


def test_the_same_title_is_found_among_many_that_are_older(tmp_path: Path, arxiv: Arxiv, server: Server) -> None:
    server.papers = [
        versions(record(f"2605.{number:05d}", title=f"Deep reinforcement learning variant number {number}"))
        for number in range(1, 151)
    ]
    exact = record("2605.00999", title="Deep reinforcement learning variant", published_at=NOW)
    server.papers.append(versions(exact))
    store = vault(tmp_path, notes__a="---\npapers: [Deep reinforcement learning variant]\n---\n# A note\n\nText.\n")
    ask(store, arxiv)
    (one,) = grounds(store).values()
    assert one.proposals[0].record == exact
    assert len(server.requests) == 1


def test_a_question_without_the_same_title_is_read_on_and_does_not_end_the_search(
    tmp_path: Path, arxiv: Arxiv, server: Server
) -> None:
    server.papers = [
        versions(record(f"2605.{number:05d}", title=f"Why scouts walk, part {number}")) for number in range(1, 451)
    ]
    store = vault(tmp_path, notes__a="---\npapers: [Scouts walk]\n---\n# A note\n\nText.\n")
    ask(store, arxiv)
    asked = [(request.params["search_query"], request.params["start"]) for request in server.requests]
    assert asked == [
        *[('ti:"scouts walk"', start) for start in ("0", "100", "200")],
        *[("ti:scouts AND ti:walk", start) for start in ("0", "100", "200")],
    ]


# --- a person's word -------------------------------------------------------------------------------------------------


def test_a_proposal_is_taken_by_a_person_and_grounds_the_paper(store: Store, arxiv: Arxiv) -> None:
    ask(store, arxiv)
    done = accept(store, "scouts-walk-the-hollow", "2605.00005", "ada", NOW)
    assert "arxiv: 2605.00005" in done.advice
    one = grounds(store)["Scouts Walk the Hollow"]
    assert (one.headline.state, one.arxiv, one.accepted and one.accepted.who) == ("grounded", "2605.00005", "ada")
    assert wanted([one], NOW + timedelta(days=31), 30).ids == ["2605.00005"]
    ask(store, arxiv, days=0)
    assert grounds(store)["Scouts Walk the Hollow"].accepted == one.accepted  # asking again changes no word of a person
    with store.reading() as session:
        assert session.get(ArxivPaper, "2605.00005") is not None


@pytest.mark.parametrize(
    ("slug", "arxiv_id", "said"),
    [
        ("bees-count", "2605.00001", "give the paper"),
        ("scouts-walk-the-hollow", "no id", "is no arXiv id"),
        ("scouts-walk-the-hollow", "2605.00006", "was not proposed"),
    ],
)
def test_what_cannot_be_accepted_is_said(store: Store, slug: str, arxiv_id: str, said: str) -> None:
    with pytest.raises(CannotSay, match=said):
        accept(store, slug, arxiv_id, "ada", NOW)
    with store.reading() as session:
        assert session.exec(select(ArxivCheck)).all() == []


def test_a_persons_word_is_no_answer_of_arxivs(store: Store, arxiv: Arxiv) -> None:
    before = NOW - timedelta(days=40)
    with store.writing() as session:
        arxiv_papers.put(session, [record("2605.00006", title="Scouts Walk the Hollow")], before)
    accept(store, "scouts-walk-the-hollow", "2605.00006", "ada", NOW)
    one = grounds(store)["Scouts Walk the Hollow"]
    assert (one.headline.state, one.checked_at) == ("grounded", before)
    assert wanted([one], NOW, 30).ids == ["2605.00006"]


def test_a_proposal_that_is_taken_was_asked_about_when_it_was_proposed(store: Store, arxiv: Arxiv) -> None:
    ask(store, arxiv)
    later = NOW + timedelta(days=29)
    accept(store, "scouts-walk-the-hollow", "2605.00005", "ada", later, arxiv)
    one = grounds(store)["Scouts Walk the Hollow"]
    assert one.checked_at == NOW
    with store.reading() as session:
        assert session.get_one(ArxivPaper, "2605.00005").seen_at == later


@pytest.mark.parametrize(("who", "kept"), [("  ada \n vogel ", "ada vogel"), ("   ", None)])
def test_who_says_so_is_somebody(store: Store, arxiv: Arxiv, who: str, kept: str | None) -> None:
    if kept is None:
        with pytest.raises(CannotSay, match="who is missing"):
            accept(store, "scouts-walk-the-hollow", "2605.00006", who, NOW, arxiv)
        return
    assert accept(store, "scouts-walk-the-hollow", "2605.00006", who, NOW, arxiv).who == kept
    one = grounds(store)["Scouts Walk the Hollow"]
    assert one.accepted is not None
    assert one.accepted.who == kept


def test_a_person_may_know_better_than_what_was_proposed(store: Store, arxiv: Arxiv) -> None:
    accept(store, "scouts-walk-the-hollow", "2605.00006v1", "ada", NOW, arxiv)
    assert grounds(store)["Scouts Walk the Hollow"].arxiv == "2605.00006"
    with pytest.raises(CannotSay, match="arXiv has none"):
        accept(store, "scouts-walk-the-hollow", "2605.55555", "ada", NOW, arxiv)


# --- citing ----------------------------------------------------------------------------------------------------------


def test_a_bibliography_has_what_arxiv_says_and_else_what_pages_do(store: Store, arxiv: Arxiv) -> None:
    ask(store, arxiv)
    with store.writing() as session:
        arxiv_papers.put(session, [record("2605.00099", title="Only Pulled")], NOW)
    with store.reading() as session:
        found = {one.work.title: one for one in citations.everything(session)}
        some = citations.chosen(session, ["2605.00001", "2605.00099"], of="walk")
    assert found["Bees Count: A Study"].key == "vogel2026bees-2605.00001"
    assert found["No Such Paper"].work.note == "arXiv does not have it"
    assert found["Drones Dance"].work.note == "Withdrawn"
    assert [one.work.title for one in some] == ["Bees Count: A Study", "Only Pulled", "Drones Dance", "No Such Paper"]
    assert some[0].key == "vogel2026bees-2605.00001"


def test_papers_that_were_only_pulled_have_keys_of_their_own_whatever_is_cited_with_them(store: Store) -> None:
    same = [record(arxiv, title="Only Pulled") for arxiv in ("2605.00098", "2605.00099")]
    with store.writing() as session:
        arxiv_papers.put(session, same, NOW)
    with store.reading() as session:
        alone = [citations.chosen(session, [one.arxiv])[0].key for one in same]
        together = [one.key for one in citations.chosen(session, [one.arxiv for one in same], of="walk")][:2]
    assert alone == together == ["vogel2026only-2605.00098", "vogel2026only-2605.00099"]


# --- the commands ----------------------------------------------------------------------------------------------------


Run = Callable[..., Result]


@pytest.fixture
def run(store: Store, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The commands over the library and the server, in this process."""
    monkeypatch.setattr("stillholds.commands.grounding.PATIENCE", (0.0,))
    environment = {
        "STILLHOLDS_STORE": str(store.path),
        "STILLHOLDS_ARXIV_URL": server.url,
        "XDG_STATE_HOME": str(tmp_path),
    }
    return lambda *arguments: CliRunner().invoke(cli.app, arguments, env=environment)


def test_the_command_asks_shows_and_gates(run: Run) -> None:
    failed = run("ground", "walk", "--fail-on", "missing,differs", "--json")
    assert failed.exit_code == 3, failed.output
    said = json.loads(failed.stdout)
    assert {paper["title"]: paper["state"] for paper in said["papers"]} == {
        "Drones Dance": "withdrawn",
        "No Such Paper": "not found",
    }
    assert [paper["met"] for paper in said["papers"]] == [[], ["missing"]]
    assert (said["asked"], said["passed"], said["gate"]) == (2, False, ["differs", "missing"])
    offline = run("ground", "--offline")
    assert offline.exit_code == 0
    assert "4 not yet checked" in offline.stdout
    assert "has been withdrawn" in offline.stdout


def test_a_paper_that_is_named_is_asked_about_again_and_says_when_it_was(run: Run, server: Server) -> None:
    assert run("ground").exit_code == 0
    before = len(server.requests)
    assert run("ground", "quorum").exit_code == 0  # a page that names papers
    assert len(server.requests) == before
    shown = run("ground", "2605.00001")
    assert [request.params["id_list"] for request in server.requests[before:]] == ["2605.00001"]
    assert re.search(r"checked \d{4}-\d\d-\d\d", shown.stdout)
    assert re.search(r"Checked \d{4}-\d\d-\d\d\. .*--days 0", shown.stdout)
    run("ground", "bees-count", "--days", "30")
    assert len(server.requests) == before + 1


def test_the_command_says_when_arxiv_does_not_answer_and_shows_what_is_known(run: Run, server: Server) -> None:
    server.faults[lambda _: True] = html()
    failed = run("ground", "walk")
    assert failed.exit_code == 1
    assert "0 of 2 papers were answered for" in failed.stderr
    assert "2 not yet checked" in failed.stdout


def test_the_command_takes_a_persons_word(run: Run, store: Store, arxiv: Arxiv) -> None:
    ask(store, arxiv)
    done = run("ground", "scouts-walk-the-hollow", "--accept", "2605.00005", "--who", "ada", "--offline")
    assert done.exit_code == 0, done.output
    assert "says ada" in done.stdout
    assert "arxiv: 2605.00005" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ground", "--fail-on", "mising"), "did you mean missing?"),
        (("ground", "--accept", "2605.00005"), "name the one paper"),
        (("cite",), "name papers"),
        (("cite", "--all", "--format", "word"), "bibtex or csl"),
    ],
    ids=["gate", "accept", "cite", "format"],
)
def test_a_wrong_command_line_says_what_is_right(run: Run, arguments: tuple[str, ...], said: str) -> None:
    failed = run(*arguments)
    assert failed.exit_code == 2
    assert said in " ".join(failed.stderr.replace("│", " ").split())


def test_the_command_cites(run: Run) -> None:
    done = run("cite", "--of", "walk")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("@misc{") == 2
    assert json.loads(run("cite", "bees-count", "--format", "csl").stdout)[0]["title"] == "Bees Count"
    assert run("cite", "--all").stdout.count("@misc{") == 6


# --- the five real pages ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(not SEEDS.is_dir(), reason=NO_SEEDS)
def test_the_real_pages_are_grounded_as_far_as_arxiv_says_so(tmp_path: Path) -> None:
    store = filled(tmp_path, SEEDS)
    with store.reading() as session:
        named = naming.grounds(session)
    with_id = {one.arxiv: one for one in named if one.arxiv}
    assert len(named) == 15
    assert {"2605.25459", "2505.22617", "2509.23808"} <= set(with_id)
    there = [versions(record(arxiv, title=one.named.title)) for arxiv, one in with_id.items() if arxiv != "2509.23808"]
    with serving(there) as server:
        ask(store, Arxiv(server.url, pace=Pace(0.0, folder=tmp_path / "pace"), pauses=(0.0,)))
        found = {one.arxiv: one for one in grounds(store).values() if one.arxiv}
        assert found["2509.23808"].headline.state == "not found"
        assert any(naming.by.kind == "line" for naming in found["2605.25459"].named.namings)
        titles = [request.params.get("search_query", "") for request in server.requests]
    assert sum(query.startswith('ti:"') for query in titles) == len(named) - len(with_id)
    unknown = [one for one in grounds(store).values() if not one.arxiv]
    assert {one.headline.state for one in unknown} <= {"not found", "proposed"}

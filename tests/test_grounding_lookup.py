"""Asking a real server about the papers that pages name, keeping each answer, and the two commands."""

import json
from collections.abc import Callable, Iterable, Iterator
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
from kb import arxiv_papers
from kb.errors import ArxivRefused, NotFound
from kb.models import ArxivCheck, ArxivPaper
from kb.pace import Pace
from kb.sources.arxiv import Arxiv
from kb.store import Store
from stillholds import cli
from tests.arxiv_server import DAWN, Server, html, record, replaced, serving, too_many, versions
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
    assert len(server.requests) == 2


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
    assert ask(store, arxiv).wanted == 1


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

    def search(self, query: str, start: int = 0, size: int = 100) -> Any:
        raise ArxivRefused(f"no answer to {query}", passing=True)


def test_a_refusal_in_the_middle_keeps_what_came_before_it(store: Store, arxiv: Arxiv) -> None:
    answered = ask(store, Breaks(arxiv))
    assert (answered.asked, answered.wanted) == (5, 6)
    assert "no answer" in answered.problem
    assert states(store)["Scouts Walk the Hollow"] == ("not yet checked",)


def test_an_entry_that_cannot_be_read_leaves_its_paper_unchecked_and_the_others_are_known(
    store: Store, arxiv: Arxiv, server: Server
) -> None:
    server.faults = {1: replaced(b"Ants Count Too", b"")}
    answered = ask(store, arxiv)
    assert (answered.asked, answered.wanted, answered.problem) == (4, 6, "2605.00004v1 has no title")
    before = states(store)
    assert (before["Bees Count"], before["arXiv:2605.00004"]) == (("grounded",), ("not yet checked",))
    assert before["No Such Paper"] == ("not yet checked",)  # it may have been the one that cannot be read
    assert ask(store, arxiv).wanted == 2
    assert (states(store)["arXiv:2605.00004"], states(store)["No Such Paper"]) == (("grounded",), ("not found",))


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


def test_questions_go_from_the_exact_to_the_loose() -> None:
    assert questions("How Do Scouts Measure the Volume of Dark Cavities?") == [
        'ti:"how do scouts measure the volume of dark cavities"',
        "ti:scouts AND ti:measure AND ti:volume AND ti:dark AND ti:cavities",
        "ti:scouts AND ti:measure AND ti:volume AND ti:cavities",
    ]
    assert questions('" OR cat:* (') == ['ti:"or cat"', "ti:cat"]
    assert questions("???") == []


# --- a person's word -------------------------------------------------------------------------------------------------


def test_a_proposal_is_taken_by_a_person_and_grounds_the_paper(store: Store, arxiv: Arxiv) -> None:
    ask(store, arxiv)
    done = accept(store, "scouts-walk-the-hollow", "2605.00005", "ada", NOW)
    assert "arxiv: 2605.00005" in done.advice
    one = grounds(store)["Scouts Walk the Hollow"]
    assert (one.headline.state, one.arxiv, one.accepted and one.accepted.who) == ("grounded", "2605.00005", "ada")
    assert wanted([one], NOW + timedelta(days=31), 30).ids == {"2605.00005": (one.named.key,)}
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
    assert found["Bees Count: A Study"].key == "vogel2026bees"
    assert found["No Such Paper"].work.note == "arXiv does not have it"
    assert found["Drones Dance"].work.note == "Withdrawn"
    assert [one.work.title for one in some] == ["Bees Count: A Study", "Only Pulled", "Drones Dance", "No Such Paper"]
    assert some[0].key == "vogel2026bees"


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

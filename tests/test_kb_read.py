"""What pages and commands ask: finding an entry by what people have of it, its view, and counts."""

import pytest

from kb.errors import KbError, NotFound
from kb.read import card, cards, counts, find, view
from kb.store import Store
from tests.kb_support import LATER, NOON, PAGES, bring_in, entity, filled, new_store, text_of, vault, write


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Our own pages; no test changes them."""
    return filled(tmp_path_factory.mktemp("pages"))


def seen(store: Store, slug: str):
    with store.reading() as session:
        return view(session, entity(session, slug))


# --- finding ---------------------------------------------------------------------------------------------------------


def test_an_entry_is_found_by_its_slug_and_by_its_id(pages):
    with pages.reading() as session:
        note = find(session, "can-a-swarm-choose-a-nest-without-any-leader")
        assert find(session, note.id).slug == note.slug
        assert find(session, note.slug, "note").id == note.id


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        (
            "a-quorum-of-scouts-stands-in-for-a-leader-when-swarms-choose-a-nest",
            "can-a-swarm-choose-a-nest-without-any-leader",
        ),
        ("dances-under-noise", "dances-under-noise-how-averaging-rescues-a-blurred-signal"),
        ("arxiv-2506-99904", "stop-signals-break-ties-cross-inhibition-in-honeybee-democracy"),
    ],
)
def test_an_entry_is_found_by_the_other_names_it_goes_by(name, slug, pages):
    with pages.reading() as session:
        assert find(session, name).slug == slug


def test_an_entry_is_found_by_the_slug_it_had_once(tmp_path):
    store = vault(tmp_path, notes__old="# Sleep\n\nText.")
    bring_in(store, write(tmp_path / "moved/new.md", "# Sleep\n\nOther text."))
    with store.reading() as session:
        assert find(session, "old").slug == "new"
        assert find(session, "old", "note").slug == "new"


def test_a_slug_in_use_leads_to_who_uses_it_now(tmp_path):
    store = vault(tmp_path, notes__old="# Sleep\n\nText.")
    bring_in(store, write(tmp_path / "moved/new.md", "# Sleep\n\nOther text."))
    bring_in(store, write(tmp_path / "vault/notes/old.md", "# Waking\n\nText."))
    with store.reading() as session:
        assert (find(session, "old").title, find(session, "new").title) == ("Waking", "Sleep")


def test_a_slug_that_nothing_has_is_not_found_and_the_nearest_are_named(pages):
    with pages.reading() as session, pytest.raises(NotFound) as caught:
        find(session, "do-stop-signals")
    assert caught.value.near == ["do-stop-signals-prevent-a-swarm-from-splitting"]
    assert str(caught.value) == (
        "no entry has the slug 'do-stop-signals'; did you mean do-stop-signals-prevent-a-swarm-from-splitting?"
    )


def test_a_slug_with_a_typo_finds_the_nearest(pages):
    with pages.reading() as session, pytest.raises(NotFound) as caught:
        find(session, "quorum-sensing-in-swarn")
    assert caught.value.near == ["quorum-sensing-in-swarms"]


@pytest.mark.parametrize("slug", ["xyzzy", "", "' OR 1=1 --", "%", "../../etc/passwd", "\x00"])
def test_a_slug_that_is_near_nothing_says_how_to_find_slugs(slug, tmp_path):
    store = new_store(tmp_path)
    with store.reading() as session, pytest.raises(NotFound, match="`stillholds search WORDS` finds slugs") as caught:
        find(session, slug)
    assert (caught.value.slug, caught.value.near) == (slug, [])
    assert isinstance(caught.value, KbError)


def test_an_entry_of_another_kind_is_not_found_and_only_that_kind_is_suggested(pages):
    with pages.reading() as session, pytest.raises(NotFound, match="no claim has the slug 'can-a-swarm") as caught:
        find(session, "can-a-swarm-choose-a-nest-without-any-leader", "claim")
    with pages.reading() as session:
        assert all(find(session, slug).kind == "claim" for slug in caught.value.near)


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_a_note_is_shown_with_all_that_its_pages_say(pages):
    note = seen(pages, "can-a-swarm")
    assert (note.card.kind, note.card.is_stub) == ("note", False)
    assert note.hook.startswith("A homeless cluster settles")
    assert note.summary.startswith("Swarms settle on the best of several cavities")
    assert note.body.startswith("The observation is old")
    assert note.original_title == "a quorum of scouts stands in for a leader when swarms choose a nest"
    assert (note.prompt, note.contract, note.arxiv, note.titles) == (None, None, None, ())
    assert (note.created_at, note.updated_at) == (NOON, NOON)


def test_a_line_is_shown_with_its_prompt(pages):
    line = seen(pages, "how-does-a-colony")
    assert line.prompt["durable"] == "can averaging replace knowledge"
    assert line.prompt["span"]["written"] == "2019–2026"
    assert len(line.prompt["tasks"]) == 3


def test_a_claim_is_shown_with_its_date_its_line_and_its_papers(pages):
    claim = seen(pages, "stop-signals-keep")
    assert claim.date == "~2025"
    assert [(link.type, link.direction, link.other.kind) for link in claim.links] == [
        ("states", "in", "line"),
        ("cites", "out", "paper"),
        ("cites", "out", "paper"),
    ]


def test_a_paper_is_shown_with_its_id_and_all_its_titles(pages):
    paper = seen(pages, "stop-signals-break")
    assert paper.arxiv == "2506.99904"
    assert paper.titles == (
        "Stop Signals Break Ties",
        "Stop Signals Break Ties: Cross Inhibition in Honeybee Democracy",
    )
    assert paper.date == "2025-06"


def test_a_claim_page_is_shown_with_its_contract_as_written(tmp_path):
    text = "---\ntitle: Bees rest\nshort: rest\ntopics: [sleep]\ncontract: {verifier: none, units: [1, 2]}\n---\nText."
    page = write(tmp_path / "claims" / "rest.md", text)
    from kb.importer import Report, put, read_all

    store = new_store(tmp_path)
    files, refused = read_all([page], lambda _page: None)  # kb never reads a contract
    with store.writing() as session:
        put(session, files, NOON, Report(refused=refused))
    claim = seen(store, "rest")
    assert claim.contract == {"verifier": "none", "units": [1, 2]}
    assert claim.topics == ("sleep",)
    assert (claim.card.short, claim.card.label) == ("rest", "rest")


def test_an_entry_without_a_short_name_is_labelled_by_its_title(pages):
    assert seen(pages, "can-a-swarm").card.label == "Can a swarm choose a nest without any leader?"


def test_links_are_seen_from_both_ends(pages):
    line, note = seen(pages, "how-does-a-colony"), seen(pages, "what-makes-a-colony")
    (out,) = [link for link in line.links if link.other.slug == note.card.slug]
    (into,) = note.links
    assert (out.direction, into.direction) == ("out", "in")
    assert into.other.slug == line.card.slug
    assert out.sentence == into.sentence != ""
    assert (out.stands_here, into.stands_here) == (True, False)
    assert line.body[out.mention_start : out.mention_end] == note.card.title


def test_the_source_is_the_page_and_its_newest_version(tmp_path):
    store = filled(tmp_path)
    page = write(tmp_path / "edited.txt", text_of("note_swarm.txt").replace("still odd", "still strange"))
    bring_in(store, page, now=LATER)
    source = seen(store, "can-a-swarm").source
    assert (source.place, source.version, source.imported_at) == (str(page), 2, LATER)


def test_the_source_of_what_is_only_named_is_a_page_that_names_it(pages):
    assert seen(pages, "why-do-committees").source.place == str(PAGES / "note_swarm.txt")


@pytest.mark.parametrize(("kind", "number"), [("note", 12), ("line", 7), ("paper", 6), ("claim", 9), ("verifier", 0)])
def test_all_entries_of_a_kind_come_by_title(kind, number, pages):
    with pages.reading() as session:
        listed = [shown.title for shown in cards(session, kind)]
    assert listed == sorted(listed)
    assert len(listed) == number


def test_a_card_outlives_its_session(pages):
    with pages.reading() as session:
        shown = card(entity(session, "can-a-swarm"))
    assert shown.model_dump(exclude={"id"}) == {
        "kind": "note",
        "slug": "can-a-swarm-choose-a-nest-without-any-leader",
        "title": "Can a swarm choose a nest without any leader?",
        "short": "",
        "is_stub": False,
    }


def test_every_entry_can_be_shown(pages):
    with pages.reading() as session:
        shown = [
            view(session, find(session, one.slug))
            for kind in ("note", "line", "paper", "claim")
            for one in cards(session, kind)
        ]
    assert len(shown) == 34
    assert all(one.source for one in shown)


def test_an_empty_library_counts_nothing(tmp_path):
    with new_store(tmp_path).reading() as session:
        assert set(counts(session).model_dump().values()) == {0}

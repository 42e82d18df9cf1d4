"""Pages into a real store: once, again, edited, in any order, at once, and cut off by kill -9."""

import itertools
import os
import re
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlmodel import select

from kb.errors import NotFound, StoreError
from kb.models import Document, DocumentVersion, Entity, LedgerEntry, Link, Note, Passage
from kb.read import counts, find, view
from kb.sources.files import LARGEST
from kb.store import Store
from tests.kb_support import (
    LATER,
    NOON,
    PAGES,
    bring_in,
    contents,
    dump,
    entity,
    filled,
    in_children,
    is_sound,
    links_between,
    new_store,
    page_paths,
    text_of,
    titles,
    vault,
    versions_of,
    write,
)

QUEEN = "When does a queen's scent stop holding a colony together?"


def refusals(store: Store, *paths: Path) -> dict[str, str]:
    return {refused.path.name: refused.reason for refused in bring_in(store, *paths).refused}


# --- what comes out --------------------------------------------------------------------------------------------------


def test_our_pages_give_a_library_with_each_thing_once(tmp_path):
    store = filled(tmp_path)
    with store.reading() as session:
        assert counts(session).model_dump() == {
            "notes": 12,
            "lines": 7,
            "papers": 6,
            "claims": 9,
            "links": 46,
            "runs": 0,
            "verdicts": 0,
            "stubs": 15,
        }


def test_the_report_says_what_became_of_each_file(tmp_path):
    report = bring_in(new_store(tmp_path), PAGES)
    assert report.new == page_paths()
    assert (report.changed, report.unchanged, report.refused, report.warnings) == ([], [], [], [])
    assert (report.entries.created, report.entries.updated, report.entries.removed) == (34, 0, 0)


def test_an_inline_mention_is_a_link_at_its_sentence_in_the_store(tmp_path):
    store = filled(tmp_path)
    (link,) = links_between(store, "what-holds", "when-does-a-queen")
    with store.reading() as session:
        line = view(session, entity(session, "what-holds"))
    assert line.body[link.mention_start : link.mention_end] == QUEEN
    assert line.body[link.start : link.end] == link.sentence
    assert link.sentence.startswith("As long as the queen's bouquet")
    assert link.stands_in == link.source_id


def test_what_is_only_named_is_a_stub_and_what_has_a_page_is_not(tmp_path):
    store = filled(tmp_path)
    with store.reading() as session:
        with_page = {
            row.title
            for row in session.exec(select(Entity).where(Entity.kind.in_(["note", "line"])))
            if not row.is_stub
        }
    assert with_page == {
        "Can a swarm choose a nest without any leader?",
        "How does a colony turn noisy dances into a good decision?",
        "What holds a colony together when its signals fade?",
        "Why does warmth shape what a colony can learn?",
    }


def test_every_entry_knows_the_page_that_it_comes_from(tmp_path):
    store = filled(tmp_path)
    with store.reading() as session:
        source = view(session, entity(session, "can-a-swarm")).source
        assert all(row.version_id for row in session.exec(select(Entity)))
        assert all(row.version_id for row in session.exec(select(Link)))
    assert source.place == str(PAGES / "note_swarm.txt")
    assert (source.version, source.reader, source.imported_at) == (1, "inquiry-1", NOON)


def test_a_markdown_claim_and_a_finding_with_the_same_words_are_one_claim(tmp_path):
    page = write(
        tmp_path / "claims" / "rotation.md", "---\ntitle: Rotation in the winter ball needs no signal\n---\nText."
    )
    store = filled(tmp_path, PAGES, page)
    assert len(titles(store, "claim")) == 9
    with store.reading() as session:
        claim = view(session, find(session, "rotation"))
    assert (claim.body, claim.date) == ("Text.", "25 January 2024")


# --- again, and in any order -----------------------------------------------------------------------------------------


def test_importing_again_changes_nothing_at_all(tmp_path):
    store = filled(tmp_path)
    before = dump(store.path)
    report = bring_in(store, PAGES, now=LATER)
    assert report.unchanged == page_paths()
    assert dump(store.path) == before


def test_importing_one_page_again_changes_nothing_at_all(tmp_path):
    store = filled(tmp_path)
    before = dump(store.path)
    for path in page_paths():
        bring_in(store, path, now=LATER)
    assert dump(store.path) == before


def test_a_page_from_another_place_is_the_same_page(tmp_path):
    store = filled(tmp_path)
    before = contents(store)
    copy = write(tmp_path / "copy.txt", text_of("line_dances.txt").replace("\n", "\r\n"))
    assert bring_in(store, copy, now=LATER).unchanged == [copy]
    assert contents(store) == before


ORDERS = [*itertools.permutations(page_paths())][::4]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "-".join(path.stem.split("_")[1] for path in order))
def test_any_order_page_by_page_gives_the_library_that_one_import_gives(order, tmp_path):
    store = new_store(tmp_path)
    for path in order:
        bring_in(store, path)
    assert contents(store) == contents(filled(tmp_path, PAGES))


def test_a_stub_is_filled_by_its_own_page_and_stays_the_same_entry(tmp_path):
    store = filled(tmp_path, PAGES / "line_dances.txt")
    with store.reading() as session:
        stub = entity(session, "can-a-swarm")
        assert stub.is_stub
        assert view(session, stub).body == ""
    bring_in(store, PAGES / "note_swarm.txt", now=LATER)
    with store.reading() as session:
        note = entity(session, "can-a-swarm")
        assert (note.id, note.is_stub, note.created_at, note.updated_at) == (stub.id, False, NOON, LATER)
        filled_in = view(session, note)
    assert filled_in.body.startswith("The observation is old")
    assert filled_in.summary.startswith("Swarms settle on the best")


def test_only_entries_that_changed_are_marked_as_updated(tmp_path):
    store = filled(tmp_path, PAGES / "line_dances.txt")
    bring_in(store, PAGES / "note_swarm.txt", now=LATER)
    with store.reading() as session:
        updated = {row.slug.split("-")[0] for row in session.exec(select(Entity)) if row.updated_at != row.created_at}
        line = entity(session, "how-does-a-colony")
        assert line.updated_at == NOON
    # the note itself, two notes that it names with a hook, two papers that it calls otherwise, a line that names it
    assert updated == {"can", "do", "dances", "stop"}


# --- edited pages ----------------------------------------------------------------------------------------------------


def edited(tmp_path: Path, old: str, new: str, name: str = "line_signals.txt") -> Path:
    assert old in text_of(name)
    return write(tmp_path / "edited" / name, text_of(name).replace(old, new))


def test_an_edited_page_is_a_new_version_and_the_old_one_is_kept(tmp_path):
    store = filled(tmp_path)
    report = bring_in(store, edited(tmp_path, "Nobody orders", "No bee orders"), now=LATER)
    assert [path.name for path in report.changed] == ["line_signals.txt"]
    with store.reading() as session:
        line = entity(session, "what-holds")
        newest, oldest = versions_of(session, line.version_id)
        assert "No bee orders" in view(session, line).body
    assert (newest.number, oldest.number) == (2, 1)
    assert "No bee orders" in newest.text
    assert oldest.text == text_of("line_signals.txt")
    assert (oldest.imported_at, newest.imported_at) == (NOON, LATER)


def test_an_edited_page_replaces_its_links_and_leaves_those_of_others(tmp_path):
    store = filled(tmp_path)
    before = links_between(store, "how-does-a-colony", "do-stop-signals")
    (old,) = links_between(store, "what-holds", "do-stop-signals")
    bring_in(store, edited(tmp_path, "two camps may pull", "three camps may pull"), now=LATER)
    (new,) = links_between(store, "what-holds", "do-stop-signals")
    assert (new.id != old.id, "three camps" in new.sentence) == (True, True)
    assert links_between(store, "how-does-a-colony", "do-stop-signals") == before


def test_a_page_that_goes_back_to_its_first_text_gives_the_first_library_again(tmp_path):
    store = filled(tmp_path)
    before = contents(store)
    bring_in(store, edited(tmp_path, QUEEN, "Why do queens fade?"))
    bring_in(store, PAGES / "line_signals.txt")
    assert contents(store) == before
    with store.reading() as session:
        assert [row.number for row in versions_of(session, entity(session, "what-holds").version_id)] == [3, 2, 1]


def test_what_no_page_names_any_more_is_gone_with_all_that_hung_on_it(tmp_path):
    store = filled(tmp_path)
    report = bring_in(store, edited(tmp_path, QUEEN, "Why do queens fade?"))
    assert (report.entries.created, report.entries.removed) == (1, 1)
    assert QUEEN not in titles(store, "note")
    assert "Why do queens fade?" in titles(store, "note")
    assert is_sound(store.path)
    with store.reading() as session, pytest.raises(NotFound):
        find(session, "when-does-a-queen-s-scent-stop-holding-a-colony-together")
    with store.reading() as session:
        assert [row.text for row in session.exec(select(Passage)) if "queen's scent stop" in row.text] == []


def test_what_another_page_still_names_stays(tmp_path):
    store = filled(tmp_path)
    bring_in(store, edited(tmp_path, "Do stop signals prevent a swarm from splitting?", "Do beeps help?"))
    assert "Do stop signals prevent a swarm from splitting?" in titles(store, "note")
    assert links_between(store, "what-holds", "do-stop-signals") == []


def test_a_finding_that_its_page_drops_is_no_claim_any_more(tmp_path):
    store = filled(tmp_path)
    bring_in(store, edited(tmp_path, "• Rotation in the winter ball needs no signal (25 January 2024).\n", ""))
    assert len(titles(store, "claim")) == 8


# --- a claim with a history ------------------------------------------------------------------------------------------

ROTATION = "• Rotation in the winter ball needs no signal (25 January 2024).\n"


def give_a_history(store: Store, slug: str) -> str:
    """Give a claim an entry in the ledger."""
    with store.writing() as session:
        claim_id = entity(session, slug).id
        session.add(
            LedgerEntry(claim_id=claim_id, seq=1, kind="verdict", at=NOON, body="{}", previous="0" * 64, digest="d")
        )
    return claim_id


def test_a_tested_claim_stays_when_its_page_no_longer_states_it(tmp_path):
    store = filled(tmp_path)
    claim_id = give_a_history(store, "rotation")
    bring_in(store, edited(tmp_path, ROTATION, ""), now=LATER)
    with store.reading() as session:
        claim = find(session, "rotation-in-the-winter-ball-needs-no-signal")
        assert (claim.id, claim.is_stub) == (claim_id, True)
        assert session.get(LedgerEntry, session.exec(select(LedgerEntry.id)).one()).claim_id == claim_id
        assert view(session, claim).links == ()


def test_a_tested_claim_that_a_page_states_again_is_the_same_claim(tmp_path):
    store = filled(tmp_path)
    claim_id = give_a_history(store, "rotation")
    bring_in(store, edited(tmp_path, ROTATION, ""))
    bring_in(store, PAGES / "line_signals.txt")
    assert titles(store, "claim").count("Rotation in the winter ball needs no signal") == 1
    with store.reading() as session:
        assert find(session, "rotation-in-the-winter-ball-needs-no-signal").id == claim_id


def test_a_claim_page_whose_wording_changes_keeps_its_history(tmp_path):
    store = vault(tmp_path, claims__rest="# Bees rest\n\nText.")
    claim_id = give_a_history(store, "rest")
    bring_in(store, write(tmp_path / "vault" / "claims" / "rest.md", "# Bees rest at night\n\nText."))
    with store.reading() as session:
        assert find(session, "rest").id == claim_id
    assert titles(store, "claim") == ["Bees rest at night"]


# --- entries that turn out to be one ---------------------------------------------------------------------------------


def by_id_then_title_then_both(tmp_path: Path) -> list[Path]:
    papers = {
        "one": "arXiv:2506.99904",
        "two": "Stop Signals Break Ties",
        "three": "arXiv:2506.99904 – Stop Signals Break Ties",
    }
    return [
        write(tmp_path / f"{name}.md", f'---\npapers: ["{said}"]\n---\n# {name}\n\nText.')
        for name, said in papers.items()
    ]


def test_two_entries_that_a_third_page_makes_one_are_one_and_the_old_slug_leads_there(tmp_path):
    one, two, three = by_id_then_title_then_both(tmp_path)
    store = filled(tmp_path, one, two)
    assert titles(store, "paper") == ["Stop Signals Break Ties", "arXiv:2506.99904"]
    bring_in(store, three, now=LATER)
    assert titles(store, "paper") == ["Stop Signals Break Ties"]
    assert is_sound(store.path)
    with store.reading() as session:
        paper = find(session, "stop-signals-break-ties")
        assert find(session, "arxiv-2506-99904").id == paper.id
        citing = {link.other.title for link in view(session, paper).links}
    assert citing == {"one", "two", "three"}


def test_entries_that_were_made_one_are_the_same_in_every_order(tmp_path):
    libraries = []
    for number, order in enumerate(itertools.permutations(by_id_then_title_then_both(tmp_path))):
        store = new_store(tmp_path, f"{number}.db")
        for path in order:
            bring_in(store, path)
        libraries.append(contents(store))
    assert all(library == libraries[0] for library in libraries)


def test_entries_part_again_when_the_page_that_joined_them_goes(tmp_path):
    paths = by_id_then_title_then_both(tmp_path)
    store = filled(tmp_path, *paths)
    bring_in(store, write(paths[2], "# three\n\nText."))
    assert titles(store, "paper") == ["Stop Signals Break Ties", "arXiv:2506.99904"]
    with store.reading() as session:
        assert find(session, "arxiv-2506-99904").id != find(session, "stop-signals-break-ties").id


def test_a_source_known_by_its_text_keeps_its_old_address_when_it_gets_a_title(tmp_path):
    untitled = write(tmp_path / "u.txt", "Why so?\n\nHook.\n\nNo question.\n\nSources 1 note\n\nBees rest in bouts.\n")
    titled = write(
        tmp_path / "t.txt", "Why not?\n\nHook.\n\nText.\n\nSources 1 note\n\nDo bees sleep?\n\nBees rest in bouts.\n"
    )
    store = filled(tmp_path, untitled)
    assert titles(store, "note") == ["Bees rest in bouts."]
    bring_in(store, titled)
    assert titles(store, "note") == ["Do bees sleep?"]
    with store.reading() as session:
        assert find(session, "bees-rest-in-bouts").id == find(session, "do-bees-sleep").id


# --- Markdown pages that move ----------------------------------------------------------------------------------------


def test_a_renamed_title_keeps_the_entry_and_its_address(tmp_path):
    store = vault(tmp_path, notes__sleep="# Do bees sleep?\n\nText.", notes__other="# Other\n\nSee [[sleep]].")
    with store.reading() as session:
        before = find(session, "sleep")
    bring_in(store, write(tmp_path / "vault" / "notes" / "sleep.md", "# Do bees rest?\n\nText."), now=LATER)
    assert titles(store, "note") == ["Do bees rest?", "Other"]
    with store.reading() as session:
        assert {find(session, slug).id for slug in ("sleep", "do-bees-rest")} == {before.id}
        assert [row.number for row in versions_of(session, find(session, "sleep").version_id)] == [2, 1]


def test_what_links_to_the_old_title_means_the_renamed_page(tmp_path):
    store = vault(tmp_path, notes__sleep="# Do bees sleep?\n\nText.", notes__other="# Other\n\nSee [[Do bees sleep?]].")
    bring_in(store, write(tmp_path / "vault" / "notes" / "sleep.md", "# Do bees rest?\n\nText."))
    assert titles(store, "note") == ["Do bees rest?", "Other"]
    assert len(links_between(store, "other", "sleep")) == 1


def test_a_renamed_file_keeps_the_entry_and_redirects_the_slug(tmp_path):
    store = vault(tmp_path, notes__sleep="# Do bees sleep?\n\nText.")
    with store.reading() as session:
        before = find(session, "sleep").id
    bring_in(store, write(tmp_path / "moved" / "resting.md", "# Do bees sleep?\n\nText, edited."))
    with store.reading() as session:
        assert find(session, "resting").id == find(session, "sleep").id == before
        assert find(session, "resting").slug == "resting"


def test_titles_that_change_places_between_two_files_are_followed(tmp_path):
    store = vault(tmp_path, notes__a="# One\n\nThe first.", notes__b="# Two\n\nThe second.")
    write(tmp_path / "vault/notes/a.md", "# Two\n\nThe first.")
    write(tmp_path / "vault/notes/b.md", "# One\n\nThe second.")
    bring_in(store, tmp_path / "vault")
    with store.reading() as session:
        bodies = {find(session, slug).title: view(session, find(session, slug)).body for slug in ("a", "b")}
    assert bodies == {"Two": "The first.", "One": "The second."}


def test_a_title_handed_on_from_file_to_file_in_one_import_is_followed(tmp_path):
    store = vault(tmp_path, notes__a="# One\n\nThe first.", notes__b="# Two\n\nThe second.")
    write(tmp_path / "vault/notes/a.md", "# Two\n\nThe first.")
    write(tmp_path / "vault/notes/b.md", "# Three\n\nThe second.")
    bring_in(store, tmp_path / "vault")
    with store.reading() as session:
        bodies = {find(session, slug).title: view(session, find(session, slug)).body for slug in ("a", "b")}
    assert bodies == {"Two": "The first.", "Three": "The second."}


def test_two_entries_with_one_slug_have_two_addresses(tmp_path):
    store = vault(tmp_path, notes__sleep="# A\n\nText.", lines__sleep="# B\n\nText.")
    with store.reading() as session:
        assert {find(session, slug).title for slug in ("sleep", "sleep-2")} == {"A", "B"}


def test_two_files_of_one_name_are_both_read(tmp_path):
    store = vault(tmp_path, a__intro="# One\n\nFirst.", b__intro="# Two\n\nSecond.")
    assert titles(store, "note") == ["One", "Two"]


# --- files that are no pages -----------------------------------------------------------------------------------------


def test_one_bad_page_among_good_ones_is_named_and_harms_none(tmp_path):
    bad = write(tmp_path / "bad.txt", text_of("line_dances.txt")[:2000])
    store = new_store(tmp_path)
    report = bring_in(store, *page_paths(), bad)
    assert [(refused.path, "cut off" in refused.reason) for refused in report.refused] == [(bad, True)]
    assert contents(store) == contents(filled(tmp_path, PAGES))


BAD = {
    "empty.txt": (b"", "is empty"),
    "blank.md": (b" \n\t\n", "is empty"),
    "mark.md": (b"\xef\xbb\xbf", "is empty"),
    "binary.txt": (b"\x89PNG\r\n\x1a\n\x00\x00", "zero bytes"),
    "latin1.txt": ("Größe der Waben".encode("latin-1"), r"is not UTF-8 \(byte 0xf6 at 2\): .* iconv"),
    "utf16.md": ("Waben".encode("utf-16"), "zero bytes"),
    "letter.txt": (b"Dear bees,\n\nhow are you?", "no page that is known here: expected an inquiry page"),
    "half.txt": (b"INQUIRING LINE\n\nWhy?\n\nHook.", "no list of sources"),
    "unended.md": (b"---\ntitle: A\n", "without an end"),
    "tag.md": (b"---\ntitle: !!python/name:os.system\n---\nBody.", "YAML tag"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_page_is_refused_with_the_reason(name, tmp_path):
    store = new_store(tmp_path)
    before = dump(store.path)
    content, reason = BAD[name]
    assert re.search(reason, refusals(store, write(tmp_path / name, content))[name])
    assert dump(store.path) == before


def test_all_bad_files_at_once_harm_no_good_one(tmp_path):
    for name, (content, _) in BAD.items():
        write(tmp_path / "mixed" / name, content)
    write(tmp_path / "mixed" / "good.md", "# Good\n\nText.")
    store = new_store(tmp_path)
    assert set(refusals(store, tmp_path / "mixed")) == set(BAD)
    assert titles(store, "note") == ["Good"]


def test_a_file_that_is_too_large_is_refused_by_its_size_and_never_read(tmp_path):
    huge = tmp_path / "huge.md"
    with huge.open("wb") as file:
        file.truncate(50 * 2**20)
    assert refusals(new_store(tmp_path), huge) == {"huge.md": "has 50 MB, more than the 2 MB that a page may have"}
    assert LARGEST == 2 * 2**20


def test_what_is_missing_is_refused_and_the_rest_goes_in(tmp_path):
    store = new_store(tmp_path)
    assert refusals(store, tmp_path / "nowhere.md", PAGES) == {"nowhere.md": "is not there: check the path"}
    assert len(titles(store, "note")) == 12


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.md")
    assert refusals(new_store(tmp_path), tmp_path / "pipe.md") == {"pipe.md": "is no regular file"}


def test_a_name_that_is_too_long_for_a_file_is_refused(tmp_path):
    long = Path("b" * 5000)
    assert list(refusals(new_store(tmp_path), long)) == [long.name]


@pytest.mark.parametrize("twice", [["pages", "pages"], ["pages", "pages/a.md"], ["pages/a.md", "pages/a.md"]])
def test_a_page_that_is_given_twice_goes_in_once(twice, tmp_path):
    write(tmp_path / "pages" / "a.md", "# A\n\nText.")
    store = new_store(tmp_path)
    bring_in(store, *[tmp_path / name for name in twice])
    assert titles(store, "note") == ["A"]
    with store.reading() as session:
        assert len(session.exec(select(DocumentVersion)).all()) == 1


def test_of_two_files_with_one_title_the_first_goes_in_and_the_second_is_named(tmp_path):
    for name in "ab":
        write(tmp_path / "pages" / f"{name}.md", f"# Same\n\nText of {name}.")
    store = new_store(tmp_path)
    (reason,) = refusals(store, tmp_path / "pages").values()
    assert reason.startswith(f"has the same title as {tmp_path / 'pages' / 'a.md'}: 'Same'")


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    secret = write(tmp_path / "secret.md", "# Secret\n\nText.")
    write(tmp_path / "pages" / "a.md", "# A\n\nText.")
    (tmp_path / "pages" / "out.md").symlink_to(secret)
    (tmp_path / "pages" / "up.md").symlink_to("../secret.md")
    (tmp_path / "pages" / "etc").symlink_to("/etc")
    store = new_store(tmp_path)
    refused = refusals(store, tmp_path / "pages")
    assert set(refused) == {"out.md", "up.md"}
    assert all("is a link out of" in reason for reason in refused.values())
    assert titles(store, "note") == ["A"]


def test_a_link_inside_the_folder_is_a_page(tmp_path):
    write(tmp_path / "pages" / "text", "# A\n\nText.")
    (tmp_path / "pages" / "a.md").symlink_to("text")
    store = new_store(tmp_path)
    assert refusals(store, tmp_path / "pages") == {}
    assert titles(store, "note") == ["A"]


@pytest.mark.parametrize("target", ["loop.md", "nowhere.md"])
def test_a_link_that_leads_nowhere_is_refused_and_the_rest_goes_in(target, tmp_path):
    write(tmp_path / "pages" / "a.md", "# A\n\nText.")
    (tmp_path / "pages" / "loop.md").symlink_to(target)
    store = new_store(tmp_path)
    assert list(refusals(store, tmp_path / "pages")) == ["loop.md"]
    assert titles(store, "note") == ["A"]


def test_a_file_name_that_is_not_utf_8_harms_no_other_page(tmp_path):
    write(tmp_path / "pages" / "a.md", "# A\n\nText.")
    write(Path(os.fsdecode(os.fsencode(tmp_path / "pages") + b"/caf\xe9.md")), "# Coffee\n\nText.")
    store = new_store(tmp_path)
    bring_in(store, tmp_path / "pages")
    assert "A" in titles(store, "note")


def test_readme_and_hidden_files_and_other_formats_of_a_folder_are_skipped(tmp_path):
    for name in [
        "README.md",
        "readme.txt",
        ".hidden.md",
        ".git/notes.md",
        "picture.png",
        "data.json",
        "notes/README.md",
    ]:
        write(tmp_path / "pages" / name, "# No page\n\nText.")
    write(tmp_path / "pages" / "notes" / "deep" / "a.markdown", "# A\n\nText.")
    report = bring_in(new_store(tmp_path), tmp_path / "pages")
    assert [path.name for path in report.new] == ["a.markdown"]
    assert report.refused == []


def test_an_unread_key_is_a_warning_in_the_report(tmp_path):
    report = bring_in(new_store(tmp_path), write(tmp_path / "a.md", "---\ncssclass: x\n---\n# A\n\nText."))
    assert [warning.reason for warning in report.warnings] == ["the key 'cssclass' is not read"]


@pytest.mark.parametrize(
    "text",
    [
        "# T\n\n<script>alert(1)</script> [x](javascript:alert(1)) '; DROP TABLE entity; --",
        '---\ntitle: "a\\0b"\ntopics: ["\\0"]\n---\nBody.',
        "# \u202eevil\u202c\n\nText \ufffe\ufdd0 \U0001f41d.",
        "# " + "long " * 2000 + "\n\nText.",
        "# Ties\n\n" + "Bees rest. " * 5000,
    ],
    ids=["markup", "noughts", "odd characters", "a long title", "a long body"],
)
def test_a_strange_page_is_text_like_any_other(text, tmp_path):
    store = filled(tmp_path, write(tmp_path / "notes" / "strange.md", text))
    assert is_sound(store.path)
    with store.reading() as session:
        assert session.exec(select(Note)).one().body
        assert len(session.exec(select(Document)).all()) == 1


# --- two at once, and cut off ----------------------------------------------------------------------------------------


def import_folder(store_path: Path, folder: Path) -> int:
    """Run in a child: how many pages were new to it."""
    return len(bring_in(Store.open(store_path), folder).new)


def test_two_imports_at_once_both_succeed_and_nothing_is_doubled(tmp_path):
    alone = contents(filled(tmp_path, PAGES))
    store = new_store(tmp_path)
    outcomes = in_children(import_folder, *[(store.path, PAGES)] * 2)
    assert sorted(outcomes) == [(0, 0), (0, 4)]
    assert contents(store) == alone
    assert is_sound(store.path)


def test_two_imports_of_different_pages_at_once_both_go_in(tmp_path):
    alone = contents(filled(tmp_path, PAGES))
    store = new_store(tmp_path)
    outcomes = in_children(import_folder, *[(store.path, path) for path in page_paths()])
    assert outcomes == [(0, 1)] * 4
    assert contents(store) == alone


def statements_of_import(store: Store, folder: Path, die_at: int | None = None) -> int:
    """Import FOLDER and return the number of statements that took; die by kill -9 before statement DIE_AT."""
    done = 0

    def count(*_arguments: object) -> None:
        nonlocal done
        done += 1
        if done == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(store.engine, "before_cursor_execute", count)
    event.listen(store.engine, "commit", count)
    bring_in(store, folder)
    return done


def import_and_die(store_path: Path, folder: Path, die_at: int) -> int:
    """Run in a child."""
    return statements_of_import(Store.open(store_path), folder, die_at)


def many_pages(folder: Path) -> Path:
    for number in range(60):
        text = f"See [[Page {number + 1}]] for more. Also [[Page {number + 7}|another]]."
        write(
            folder / f"page-{number}.md",
            f"---\npapers: ['Paper {number % 9}: a study']\n---\n# Page {number}\n\n{text}",
        )
    return folder


def test_an_import_that_is_killed_leaves_the_store_as_it_was_and_can_be_done_again(tmp_path):
    folder = many_pages(tmp_path / "many")
    alone = new_store(tmp_path, "alone.db")
    bring_in(alone, PAGES)
    whole = statements_of_import(alone, folder)

    store = filled(tmp_path)
    before = dump(store.path)
    for die_at in sorted({1, 10, whole // 4, whole // 2, whole - 20, whole - 2, whole - 1, whole}):
        assert in_children(import_and_die, (store.path, folder, die_at)) == [(-signal.SIGKILL, None)]
        assert is_sound(store.path)
        assert dump(store.path) == before
    assert bring_in(Store.open(store.path), folder).refused == []
    assert contents(store) == contents(alone)


def test_an_import_is_one_transaction(tmp_path):
    store = filled(tmp_path, PAGES / "line_warmth.txt")
    before = dump(store.path)
    refuse_new_links(store)
    with pytest.raises(StoreError, match="no new links today"):
        bring_in(store, PAGES, now=LATER)
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("DROP TRIGGER refuse")
    assert dump(store.path) == before


def refuse_new_links(store: Store) -> None:
    """Let the database itself refuse the last part of an import."""
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON link BEGIN SELECT RAISE(ABORT, 'no new links today'); END"
        )

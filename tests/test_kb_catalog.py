"""Which names on which pages mean the same entry; pure, and the same in every order."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.catalog import Catalog, Entry, catalogue
from kb.dates import WrittenDate
from kb.sources.page import Kind, Page, PageLink, Ref
from tests.kb_support import md, page_paths, reproducible, sheet, sheets_of

LONG = "Stop Signals Break Ties: Cross Inhibition in Honeybee Democracy"
SHORT = "Stop Signals Break Ties"
OTHER = "Stop Signals Break Ties: A Comment"


def naming(*refs: Ref, title: str = "A page", kind: Kind = "line") -> Page:
    """A page that names REFS and links to each."""
    return Page(
        kind=kind,
        title=title,
        refs=refs,
        links=tuple(PageLink(type="relates", target=index) for index in range(len(refs))),
    )


def of(*pages: Page) -> Catalog:
    return catalogue(map(sheet, pages))


def entries(catalog: Catalog, kind: str) -> list[Entry]:
    return [entry for entry in catalog.entries if entry.kind == kind]


def titles(catalog: Catalog, kind: str) -> list[str]:
    return sorted(entry.title for entry in entries(catalog, kind))


def papers(*refs: dict[str, str]) -> list[tuple[str | None, list[str]]]:
    """What papers the pages know together, one page a ref."""
    pages = [naming(Ref(kind="paper", **ref), title=f"Page {number}") for number, ref in enumerate(refs)]
    return sorted(((entry.arxiv, entry.titles) for entry in entries(of(*pages), "paper")), key=repr)


# --- notes, lines, claims --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["note", "line", "claim"])
def test_two_spellings_of_a_title_name_one_entry(kind):
    catalog = of(
        naming(Ref(kind=kind, title="Do bees sleep – and dream?"), title="One"),
        naming(Ref(kind=kind, title="“do Bees sleep - and  dream”"), title="Two"),
    )
    assert len([entry for entry in entries(catalog, kind) if not entry.own]) == 1


@pytest.mark.parametrize("kind", ["note", "line", "claim"])
def test_a_name_and_its_page_are_one_entry_with_the_title_of_the_page(kind):
    catalog = of(naming(Ref(kind=kind, title="do bees sleep")), Page(kind=kind, title="Do bees sleep?"))
    (entry,) = [entry for entry in entries(catalog, kind) if entry.title != "A page"]
    assert entry.title == "Do bees sleep?"
    assert entry.own is not None


def test_the_same_words_as_a_note_a_line_and_a_claim_are_three():
    catalog = of(naming(*[Ref(kind=kind, title="Do bees sleep?") for kind in ("note", "line", "claim")]))
    assert [entry.kind for entry in catalog.entries if entry.title == "Do bees sleep?"] == ["claim", "line", "note"]


def test_a_name_without_a_page_is_an_entry_without_one():
    (entry,) = entries(of(naming(Ref(kind="note", title="Do bees sleep?", hook="They do."))), "note")
    assert (entry.own, entry.title, entry.hook, entry.slug) == (None, "Do bees sleep?", "They do.", "do-bees-sleep")


def test_a_finding_on_two_pages_is_one_claim_that_both_state():
    finding = Ref(kind="claim", title="Bees sleep")
    pages = [
        Page(kind="line", title=title, refs=(finding,), links=(PageLink(type="states", target=0),)) for title in "AB"
    ]
    catalog = of(*pages)
    assert titles(catalog, "claim") == ["Bees sleep"]
    assert [catalog.by_key[edge.source].title for edge in catalog.edges] == ["A", "B"]


def test_an_alias_an_original_title_and_a_file_name_mean_their_page():
    page = md("---\ntitle: Do bees sleep?\noriginal_title: bees nap\naliases: [sleep]\n---\nBody.", "notes/resting.md")
    links = [
        md(f"# Link {n}\n\nSee [[{name}]].", f"notes/{n}.md") for n, name in enumerate(["bees nap", "Sleep", "resting"])
    ]
    catalog = of(page, *links)
    assert len(entries(catalog, "note")) == 4
    assert {catalog.by_key[edge.target].title for edge in catalog.edges} == {"Do bees sleep?"}


def test_a_note_that_a_page_names_by_its_original_title_is_that_note():
    note = Page(kind="note", title="Do bees sleep?", names=("bees nap",))
    catalog = of(note, naming(Ref(kind="note", title="Bees nap")))
    assert titles(catalog, "note") == ["Do bees sleep?"]


def test_two_files_of_one_name_in_two_folders_are_two_notes():
    catalog = of(md("# One\n\nText.", "a/notes/intro.md"), md("# Two\n\nText.", "b/notes/intro.md"))
    assert titles(catalog, "note") == ["One", "Two"]


def test_two_notes_with_one_alias_stay_two():
    catalog = of(
        md("---\naliases: [rest]\n---\n# Sleep\n\nText.", "notes/a.md"),
        md("---\naliases: [rest]\n---\n# Winter\n\nText.", "notes/b.md"),
    )
    assert titles(catalog, "note") == ["Sleep", "Winter"]


def test_an_alias_that_is_the_title_of_another_note_does_not_swallow_it():
    catalog = of(
        md("---\naliases: [Winter]\n---\n# Sleep\n\nText.", "notes/a.md"), md("# Winter\n\nText.", "notes/b.md")
    )
    assert titles(catalog, "note") == ["Sleep", "Winter"]


# --- what a wikilink means -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target", "meaning"),
    [
        ("line", "note", "leans_on"),
        ("line", "claim", "leans_on"),
        ("note", "claim", "states"),
        ("note", "paper", "cites"),
        ("line", "paper", "cites"),
        ("claim", "paper", "cites"),
        ("note", "note", "relates"),
        ("note", "line", "relates"),
        ("line", "line", "relates"),
        ("claim", "note", "relates"),
    ],
)
def test_a_wikilink_means_what_its_two_ends_make_of_it(source, target, meaning):
    there = Page(kind=target, title="There")
    here = naming(Ref(kind=None, title="there"), title="Here", kind=source)
    here = here.model_copy(update={"links": (PageLink(type=None, target=0),)})
    assert [edge.type for edge in of(here, there).edges] == [meaning]


def test_a_wikilink_means_what_the_front_matter_says_of_the_same_two():
    catalog = of(
        md("---\ncontradicts: [[There]]\n---\n# Here\n\nNot so, [[There]]."), md("# There\n\nText.", "notes/there.md")
    )
    assert [(edge.type, edge.link.sentence) for edge in catalog.edges] == [("contradicts", "Not so, There.")]


def test_a_wikilink_to_nothing_known_names_a_note():
    assert titles(of(naming(Ref(kind=None, title="Something new"))), "note") == ["Something new"]


def test_a_wikilink_means_the_note_where_a_line_and_a_claim_have_the_same_title():
    pages = [Page(kind=kind, title="Sleep") for kind in ("claim", "line", "note", "paper")]
    catalog = of(*pages, naming(Ref(kind=None, title="sleep"), title="Here"))
    assert [catalog.by_key[edge.target].kind for edge in catalog.edges] == ["note"]


def test_a_wikilink_finds_what_another_page_only_names():
    catalog = of(
        naming(Ref(kind="claim", title="Bees sleep"), title="A"), naming(Ref(kind=None, title="bees sleep"), title="B")
    )
    assert titles(catalog, "note") == []
    assert {catalog.by_key[edge.target].kind for edge in catalog.edges} == {"claim"}


def test_a_page_never_links_to_itself():
    assert of(md("---\naliases: [me]\n---\n# Myself\n\nSee [[me]] and [[Myself]].")).edges == []


def test_a_link_without_a_sentence_is_left_out_where_the_same_link_has_one():
    links = (PageLink(type="leans_on", target=0, sentence="Why."), PageLink(type="leans_on", target=0))
    page = Page(kind="line", title="L", refs=(Ref(kind="note", title="N"),), links=links)
    assert [edge.link.sentence for edge in of(page).edges] == ["Why."]


# --- papers ----------------------------------------------------------------------------------------------------------


def test_one_id_is_one_paper_whatever_it_is_called():
    assert papers({"arxiv": "2506.99904", "title": SHORT}, {"arxiv": "2506.99904", "title": "Another"}) == [
        ("2506.99904", ["Another", SHORT])
    ]


def test_one_title_is_one_paper():
    assert papers({"title": LONG}, {"title": LONG.upper()}) == [(None, [LONG.upper(), LONG])]


def test_an_id_on_one_page_and_a_title_on_another_meet_where_a_third_has_both():
    assert papers({"arxiv": "2506.99904"}, {"title": LONG}) == [("2506.99904", []), (None, [LONG])]
    assert papers({"arxiv": "2506.99904"}, {"title": LONG}, {"arxiv": "2506.99904", "title": LONG}) == [
        ("2506.99904", [LONG])
    ]


@pytest.mark.parametrize("known_by_id", [SHORT, LONG])
def test_a_title_is_the_others_part_before_a_colon(known_by_id):
    named_alone = LONG if known_by_id == SHORT else SHORT
    assert papers({"arxiv": "2506.99904", "title": known_by_id}, {"title": named_alone}) == [
        ("2506.99904", [SHORT, LONG])
    ]


def test_a_title_that_two_papers_begin_with_means_neither():
    known = papers({"title": SHORT}, {"title": LONG}, {"title": OTHER})
    assert sorted(names for _, names in known) == [[SHORT], [OTHER], [LONG]]


def test_a_title_that_two_names_of_one_paper_begin_with_means_that_paper():
    known = {"arxiv": "2506.99904"}
    assert papers({"title": SHORT}, {**known, "title": LONG}, {**known, "title": OTHER}) == [
        ("2506.99904", [SHORT, OTHER, LONG])
    ]


def test_only_what_stands_before_the_colon_counts():
    assert len(papers({"title": "Stop Signals"}, {"title": LONG})) == 2
    assert len(papers({"title": "Cross Inhibition in Honeybee Democracy"}, {"title": LONG})) == 2


@pytest.mark.parametrize("other", [LONG, SHORT])
def test_two_ids_are_two_papers_even_with_one_title(other):
    known = papers({"arxiv": "2506.99904", "title": LONG}, {"arxiv": "2103.99902", "title": other})
    assert [arxiv for arxiv, _ in known] == ["2103.99902", "2506.99904"]


def test_two_ids_stay_two_papers_when_a_title_alone_fits_both():
    known = papers({"arxiv": "2506.99904", "title": LONG}, {"arxiv": "2103.99902", "title": LONG}, {"title": SHORT})
    assert sorted(arxiv or "" for arxiv, _ in known) in (["2103.99902", "2506.99904"], ["", "2103.99902", "2506.99904"])


def test_a_paper_with_a_page_of_its_own_is_known_by_its_id_and_title():
    page = md(f"---\nkind: paper\ntitle: '{LONG}'\narxiv: arXiv:2506.99904\n---\nAbstract.", "papers/stop.md")
    catalog = of(
        page,
        naming(Ref(kind="paper", title=SHORT), title="A"),
        naming(Ref(kind="paper", arxiv="2506.99904"), title="B"),
    )
    (paper,) = entries(catalog, "paper")
    assert (paper.title, paper.arxiv, paper.own.page) == (LONG, "2506.99904", page)


def test_a_paper_without_a_page_has_its_fullest_title_else_its_id():
    (paper,) = entries(of(naming(Ref(kind="paper", title=SHORT), Ref(kind="paper", title=LONG))), "paper")
    assert paper.title == LONG
    (paper,) = entries(of(naming(Ref(kind="paper", arxiv="2506.99904"))), "paper")
    assert paper.title == "arXiv:2506.99904"


# --- sources without titles ------------------------------------------------------------------------------------------


def test_an_untitled_source_is_the_note_to_which_another_page_gives_that_text():
    catalog = of(
        naming(Ref(kind="note", summary="Bees rest in bouts.", guess="Is it warm?"), title="Untitled"),
        naming(Ref(kind="note", title="Do bees sleep?", summary="Bees rest in bouts."), title="Titled"),
    )
    assert titles(catalog, "note") == ["Do bees sleep?"]


def test_else_it_is_the_question_that_it_was_paired_with():
    (note,) = entries(
        of(
            naming(
                Ref(kind="note", summary="Bees rest.", guess="Do bees sleep?"), Ref(kind="note", title="Do bees sleep?")
            )
        ),
        "note",
    )
    assert (note.title, note.summary) == ("Do bees sleep?", "Bees rest.")


def test_else_it_goes_by_its_text():
    assert titles(of(naming(Ref(kind="note", summary="Bees rest in bouts."))), "note") == ["Bees rest in bouts."]


def test_a_text_that_two_notes_have_says_nothing():
    catalog = of(
        naming(Ref(kind="note", summary="Same.", guess="Do bees sleep?"), title="Untitled"),
        naming(
            Ref(kind="note", title="One?", summary="Same."),
            Ref(kind="note", title="Two?", summary="Same."),
            title="Titled",
        ),
    )
    guessed = catalog.by_key["note:do bees sleep"]
    assert [ref.summary for _, ref in guessed.named] == ["Same."]


# --- what is kept of several names -----------------------------------------------------------------------------------


def test_the_fullest_hook_and_summary_are_kept():
    note = Ref(kind="note", title="Sleep")
    catalog = of(
        naming(note.model_copy(update={"hook": "Short.", "summary": "A long summary of it."}), title="A"),
        naming(note.model_copy(update={"hook": "A longer hook.", "summary": "Short."}), title="B"),
    )
    (entry,) = entries(catalog, "note")
    assert (entry.hook, entry.summary) == ("A longer hook.", "A long summary of it.")


def test_the_finest_date_is_kept_and_a_sure_one_before_an_unsure():
    dates = [WrittenDate.parse(text) for text in ("2024–2026", "~2025", "2025")]
    pages = [naming(Ref(kind="claim", title="Bees sleep", date=when), title=when.written) for when in dates]
    (claim,) = entries(of(*pages), "claim")
    assert claim.date.written == "2025"


def test_the_date_of_its_own_page_comes_first():
    when, coarse = WrittenDate.parse("2025-05-22"), WrittenDate.parse("2025")
    own = Page(kind="claim", title="Bees sleep", date=coarse)
    (claim,) = entries(of(own, naming(Ref(kind="claim", title="Bees sleep", date=when))), "claim")
    assert claim.date.latest == date(2025, 12, 31)


# --- our own pages together ------------------------------------------------------------------------------------------

OURS = sheets_of(page_paths())
VAULT = [
    sheet(
        md(
            "# Why do winter clusters rotate their outer bees?\n\nSee [[stop-signals]] and [[quorum]].",
            "notes/rotate.md",
        )
    ),
    sheet(
        md(
            "---\naliases: [quorum]\npapers: ['Stop Signals Break Ties']\n---\n# Quorum\n\nText [[rotate]].",
            "notes/q.md",
        )
    ),
    sheet(
        md(
            "---\ntitle: Rotation in the winter ball needs no signal\nnote: [[rotate]]\n---\nText.",
            "claims/rotation.md",
        )
    ),
    sheet(md("---\ntitle: Dances Under Noise\narxiv: '2501.99901'\n---\nAbstract.", "papers/dances.md")),
]


def test_our_pages_name_each_thing_once():
    catalog = catalogue(OURS)
    assert {kind: len(entries(catalog, kind)) for kind in ("note", "line", "paper", "claim")} == {
        "note": 12,
        "line": 7,
        "paper": 6,
        "claim": 9,
    }


def test_papers_meet_across_our_pages_by_id_and_by_the_part_before_a_colon():
    named = {entry.arxiv: entry.titles for entry in entries(catalogue(OURS), "paper")}
    assert named == {
        "2501.99901": ["Dances Under Noise", "Dances Under Noise: How Averaging Rescues a Blurred Signal"],
        "2103.99902": ["Quorum Sensing in Swarms"],
        "2409.99903": [],
        "2506.99904": [SHORT, LONG],
        "2510.99906": [],
        None: ["Copying Hurts Crowds: Why Independent Errors Matter"],
    }


@reproducible
@given(st.permutations([*OURS, *VAULT]))
def test_the_order_of_pages_does_not_matter(sheets):
    assert catalogue(sheets) == catalogue([*OURS, *VAULT])

"""Inquiry pages in all their formats, whole, cut off, and hostile."""

import re

import pytest

from kb.errors import PageError
from kb.sources import inquiry
from kb.sources.page import Page
from tests.kb_support import page_of, page_paths, text_of, watchdog

LINES = ["line_dances.txt", "line_signals.txt", "line_warmth.txt"]
NAMES = [path.name for path in page_paths()]

SWARM = "Can a swarm choose a nest without any leader?"
STOP = "Do stop signals prevent a swarm from splitting?"
ROTATE = "Why do winter clusters rotate their outer bees?"


def targets(page: Page, kind: str, link_type: str) -> list[str]:
    """What the page links to, by title or id, in order, each once."""
    refs = [page.refs[link.target] for link in page.links if link.type == link_type and link.target is not None]
    return list(dict.fromkeys(ref.title or ref.arxiv or ref.summary for ref in refs if ref.kind == kind))


# --- the formats -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_each_of_our_pages_is_recognised(name):
    assert inquiry.recognises(text_of(name))


@pytest.mark.parametrize(
    "text", ["", "Just a text.\n\nIn two paragraphs.", "# Heading\n\n- Sources", "Sources of error\n"]
)
def test_other_texts_are_not(text):
    assert not inquiry.recognises(text)


def test_a_line_page_has_a_title_a_hook_and_a_body_in_paragraphs():
    page = page_of("line_dances.txt")
    assert page.kind == "line"
    assert page.title == "How does a colony turn noisy dances into a good decision?"
    assert page.hook.startswith("This line asks how a crowd of foragers")
    paragraphs = page.body.split("\n\n")
    assert len(paragraphs) == 4
    assert paragraphs[0].startswith("No single dancer")
    assert paragraphs[-1].endswith("the colony's good judgement.")


def test_a_page_without_banner_and_blank_lines_has_the_same_parts():
    page = page_of("line_warmth.txt")
    assert page.kind == "line"
    assert page.title == "Why does warmth shape what a colony can learn?"
    assert page.hook.startswith("This line follows heat")
    assert len(page.body.split("\n\n")) == 4
    assert page.prompt is None


def test_titled_sources_are_notes_with_their_texts():
    page = page_of("line_signals.txt")
    summaries = {ref.title: ref.summary for ref in page.refs if ref.kind == "note" and ref.summary}
    assert list(summaries) == [
        "Do guards recognise nestmates by scent alone?",
        "When does a queen's scent stop holding a colony together?",
        STOP,
        ROTATE,
    ]
    assert summaries[ROTATE].startswith("Mantle bees chill and creep inward")


def test_sources_without_titles_are_paired_with_the_questions_in_the_body():
    page = page_of("line_warmth.txt")
    guesses = {ref.summary.split()[0]: ref.guess for ref in page.refs if ref.summary}
    assert guesses == {
        "Pupae": "Does a warm brood nest make better learners?",
        "Mantle": ROTATE,
        "Neonicotinoid": "Does pesticide exposure blur a forager's memory of the way home?",
        "Builders": "Is comb built in the dark by touch alone?",
    }


def test_a_source_that_the_body_never_names_keeps_its_text_alone():
    page = inquiry.read("Why?\n\nHook.\n\nNo question here.\n\nSources 1 note\n\nBees like warmth.\n")
    (ref,) = page.refs
    assert (ref.title, ref.summary, ref.guess) == (None, "Bees like warmth.", None)


def test_a_note_page_has_its_original_title_as_another_name():
    page = page_of("note_swarm.txt")
    assert (page.kind, page.title) == ("note", SWARM)
    assert page.hook.startswith("A homeless cluster settles")
    assert page.body.startswith("The observation is old")
    assert page.original_title == "a quorum of scouts stands in for a leader when swarms choose a nest"
    assert page.names == (page.original_title,)


def test_the_lines_that_use_a_note_lean_on_it():
    page = page_of("note_swarm.txt")
    leaning = [page.refs[link.source].title for link in page.links if link.type == "leans_on" and link.target is None]
    assert leaning == [
        "How does a colony turn noisy dances into a good decision?",
        "When do crowds beat their best member?",
        "Can robot dancers send foragers anywhere?",
        "Why do committees need a quorum?",
    ]


def test_related_notes_come_with_their_hook_and_the_reason():
    page = page_of("note_swarm.txt")
    related = [(page.refs[link.target], link.sentence) for link in page.links if link.start is None and link.sentence]
    assert [ref.title for ref, _ in related] == [
        STOP,
        "Can scouts judge the volume of a cavity by walking it?",
        "Does crowd wisdom fail when voters copy each other?",
    ]
    assert (
        related[1][0].hook
        == "A scout measures a dark room with her feet. This asks how far the estimate can be trusted."
    )
    assert related[1][1] == "supplies the single report which the count adds up"


def test_related_papers_keep_their_order():
    page = page_of("note_swarm.txt")
    labels = {page.refs[link.target].title: link.label for link in page.links if link.label}
    assert labels == {
        "Quorum Sensing in Swarms": "near in meaning, 1 of 4",
        "Dances Under Noise: How Averaging Rescues a Blurred Signal": "near in meaning, 2 of 4",
        "Stop Signals Break Ties": "near in meaning, 3 of 4",
        "Copying Hurts Crowds: Why Independent Errors Matter": "near in meaning, 4 of 4",
    }


@pytest.mark.parametrize(
    ("name", "following"),
    [
        (
            "line_dances.txt",
            ["Why does warmth shape what a colony can learn?", "Can robot dancers send foragers anywhere?"],
        ),
        (
            "line_signals.txt",
            [
                "How does a colony turn noisy dances into a good decision?",
                "What would a colony without a queen remember?",
            ],
        ),
    ],
)
def test_the_next_lines_are_named_with_or_without_bullets(name, following):
    assert targets(page_of(name), "line", "relates") == following


# --- mentions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_mention_is_a_link_at_its_sentence(name):
    page = page_of(name)
    mentions = [link for link in page.links if link.start is not None]
    assert mentions
    for link in mentions:
        assert page.body[link.mention_start : link.mention_end] == page.refs[link.target].title
        assert page.body[link.start : link.end] == link.sentence
        assert link.start <= link.mention_start < link.mention_end <= link.end


@pytest.mark.parametrize(
    ("name", "title", "sentence"),
    [
        (
            "line_dances.txt",
            "Does the waggle dance lose precision over long distances?",
            "Her run points roughly the right way, and the scatter grows with the flight behind her "
            "Does the waggle dance lose precision over long distances?.",
        ),
        (
            "line_dances.txt",
            STOP,
            "Two equal hollows would leave the cluster hanging for days, were it not for the short beeps with which rivals butt "
            f"each other's dancers into silence {STOP}, and then one camp wins by luck.",
        ),
        (
            "line_dances.txt",
            "What makes a colony switch from nectar to pollen?",
            "When the larder lacks protein, dances for flowers heavy with pollen last longer What makes a colony switch from "
            "nectar to pollen? — so the same flight is praised loudly on Monday and hardly at all on Friday.",
        ),
        (
            "line_signals.txt",
            ROTATE,
            "Hardly any scent moves through a tight ball at four degrees, and still the ball keeps its shape, because bees on "
            f"the rim work their way in and are replaced {ROTATE} (some of them within the hour).",
        ),
        (
            "line_warmth.txt",
            "Does pesticide exposure blur a forager's memory of the way home?",
            "A forager dosed with a common seed coating flies out well and circles on the way back, because the map and not the "
            "muscle is damaged Does pesticide exposure blur a forager's memory of the way home?; warm nests protect her a little.",
        ),
        (
            "note_swarm.txt",
            STOP,
            f"Whether rivals merely fade or are silenced is another matter {STOP}, and the answer decides how equal sites are told apart.",
        ),
    ],
)
def test_the_sentence_of_a_mention_is_whole(name, title, sentence):
    page = page_of(name)
    said = [link.sentence for link in page.links if link.start is not None and page.refs[link.target].title == title]
    assert said == [sentence]


def test_a_title_that_is_named_twice_is_two_links_and_one_note():
    body = "First Is it warm?. Then again Is it warm?, as said."
    page = inquiry.read(f"Why?\n\nHook.\n\n{body}\n\nSources 1 note\n\nIs it warm?\n\nYes.\n")
    assert [link.mention_start for link in page.links if link.start is not None] == [6, 30]
    assert targets(page, "note", "leans_on") == ["Is it warm?"]


def test_of_two_titles_that_overlap_the_longer_is_meant():
    sources = "Sources 2 notes\n\nIs it warm?\n\nYes.\n\nWhy Is it warm?\n\nWork.\n"
    page = inquiry.read(f"Why?\n\nHook.\n\nAsked Why Is it warm?. Done.\n\n{sources}")
    mentioned = [page.refs[link.target].title for link in page.links if link.start is not None]
    assert mentioned == ["Why Is it warm?"]


def test_a_question_of_the_text_itself_is_no_mention():
    page = inquiry.read(
        "Why?\n\nHook.\n\nIs that all? No. “Do bees count?” she asked.\n\nSources 1 note\n\nBees count.\n"
    )
    assert [link for link in page.links if link.start is not None] == []


# --- research prompts ------------------------------------------------------------------------------------------------


def test_a_prompt_says_what_it_asks_and_when_its_findings_were_made():
    prompt = page_of("line_dances.txt").prompt
    assert prompt.introduction.startswith("You re-examine what is claimed about group decisions")
    assert "Copy into" not in prompt.introduction
    assert prompt.span.written == "2019–2026"
    assert [task[:3] for task in prompt.tasks] == ["(1)", "(2)", "(3)"]


def test_durable_and_perishable_are_what_the_brackets_say():
    prompt = page_of("line_dances.txt").prompt
    assert prompt.durable == "can averaging replace knowledge"
    assert prompt.perishable == ("a quorum of twenty", "six followed runs")


def test_durable_and_perishable_are_the_questions_in_front_of_their_tags():
    prompt = page_of("line_signals.txt").prompt
    assert prompt.durable == "Do colonies cohere without any signal"
    assert prompt.perishable == ("Is forty thousand workers the point at which scent fails",)


def test_a_prompt_that_parts_nothing_has_neither():
    prompt = inquiry.read(text_of("line_dances.txt").replace("Separate the durable", "Mind the durable")).prompt
    assert (prompt.durable, prompt.perishable) == ("", ())


def findings(name: str) -> dict[str, str]:
    page = page_of(name)
    return {ref.title.split()[0]: ref.date.written for ref in page.refs if ref.kind == "claim"}


def test_each_finding_is_a_claim_with_its_date_as_written():
    assert findings("line_dances.txt") == {
        "Scatter": "2019",
        "A": "May 2021",
        "Cross": "2025-06",
        "Dances": "2024–2025",
        "Turning": "2026-02-11",
    }
    assert findings("line_signals.txt") == {
        "Guards": "~2025",
        "Queen": "late 2023",
        "Stop": "~2025",
        "Rotation": "25 January 2024",
    }


def test_a_claim_is_the_finding_without_its_date():
    page = page_of("line_dances.txt")
    assert "Cross inhibition by stop signals breaks ties between equal sites" in targets(page, "claim", "states")
    said = [link.sentence for link in page.links if link.type == "states"]
    assert "Cross inhibition by stop signals breaks ties between equal sites (2025-06)." in said


def test_a_finding_cites_the_papers_in_its_brackets():
    page = page_of("line_signals.txt")
    cited = [
        (page.refs[link.source].title.split()[0], page.refs[link.target].arxiv)
        for link in page.links
        if link.type == "cites" and link.source is not None
    ]
    assert cited == [("Guards", "2510.99906"), ("Stop", "2506.99904"), ("Stop", "2409.99903")]


def test_a_finding_without_a_date_has_that_of_the_whole_list():
    page = inquiry.read(text_of("line_dances.txt").replace(" (May 2021).", "."))
    (claim,) = [ref for ref in page.refs if ref.kind == "claim" and ref.title.startswith("A quorum")]
    assert claim.date.written == "2019–2026"
    assert (
        claim.title == "A quorum of about twenty scouts ends the debate over a nest; no scout compares sites herself."
    )


def test_brackets_that_hold_no_date_belong_to_the_statement():
    page = inquiry.read(text_of("line_dances.txt").replace("(May 2021)", "(a field study)"))
    assert any(ref.title.endswith("(a field study).") for ref in page.refs if ref.kind == "claim")


def anchors(name: str) -> list[tuple[str | None, str | None, str, str]]:
    page = page_of(name)
    links = [link for link in page.links if link.type == "cites" and link.source is None]
    refs = [page.refs[link.target] for link in links]
    return [(ref.arxiv, ref.title, ref.date.written, link.sentence) for ref, link in zip(refs, links, strict=True)]


def test_an_anchor_may_give_a_title():
    assert anchors("line_dances.txt") == [
        ("2501.99901", "Dances Under Noise", "2025-01", ""),
        ("2103.99902", "Quorum Sensing in Swarms", "2021", ""),
        ("2506.99904", "Stop Signals Break Ties: Cross Inhibition in Honeybee Democracy", "2025-06", ""),
    ]


def test_an_anchor_may_give_a_gloss_which_is_a_reason_and_no_title():
    assert anchors("line_signals.txt") == [
        ("2510.99906", None, "2025-10", "Wax coats as passports at the entrance."),
        ("2506.99904", None, "2025-06", "Beeps that settle a tie."),
        ("2103.99902", None, "2021", "Counting scouts until enough are there."),
    ]


def test_an_anchor_that_cannot_be_read_is_named():
    broken = text_of("line_dances.txt").replace("arXiv:2103.99902 (2021) —", "Somewhere in 2021,")
    with pytest.raises(PageError, match="anchor paper that cannot be read: 'Somewhere in 2021, Quorum"):
        inquiry.read(broken)


# --- pages that have lost something ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "heading", "what"),
    [
        ("line_dances.txt", "Sources 5 notes", "notes|sources"),
        ("line_warmth.txt", "Sources 4 notes", "notes|sources"),
        ("note_swarm.txt", "as a source 4", "lines"),
        ("note_swarm.txt", "Related concepts in this collection 3", "related notes"),
        ("note_swarm.txt", "Related papers in this collection 4", "papers"),
    ],
)
@pytest.mark.parametrize("promised", [0, 2, 17])
def test_a_page_that_promises_another_number_than_it_has_is_refused(name, heading, what, promised):
    text = text_of(name).replace(heading, re.sub(r"\d+", str(promised), heading))
    with pytest.raises(PageError, match=rf"promises {promised} ({what}) and has \d+: the page seems to be cut off"):
        inquiry.read(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("INQUIRING LINE", "no title with a text below it"),
        ("INQUIRING LINE\n\nWhy is it warm?", "no title with a text below it"),
        ("INQUIRING LINE\n\nWhy is it warm?\n\nHook.\n\nBody.", "no list of sources"),
        ("Why?\n\nHook.\n\nBody.\n\nNext inquiring lines\n", "no list of sources"),
        ("Sources 0 notes\n", "no title with a text below it"),
    ],
)
def test_a_page_without_its_parts_is_refused_with_what_is_missing(text, reason):
    with pytest.raises(PageError, match=reason):
        inquiry.read(text)


@pytest.mark.parametrize("heading", ["What a curated library found", "Anchor papers", "Your task:"])
def test_a_page_cut_off_inside_its_prompt_is_refused(heading):
    text = text_of("line_dances.txt")
    with pytest.raises(PageError, match="ends inside its research prompt"):
        inquiry.read(text[: text.index(heading)])


def test_a_page_cut_off_inside_its_last_title_is_refused():
    text = text_of("line_signals.txt")
    cut = text.index("Why do winter clusters", text.index("Sources 4 notes"))
    with pytest.raises(PageError, match="cut off"):
        inquiry.read(text[: cut + len("Why do winter clu")])


@pytest.mark.parametrize("name", NAMES)
def test_half_a_page_is_refused_or_says_no_more_than_the_whole(name):
    text = text_of(name)
    whole = inquiry.read(text)
    wrong = [cut for cut in range(0, len(text), 11) if says_more(text[:cut], whole)]
    assert wrong == []


def says_more(half: str, whole: Page) -> bool:
    """Whether HALF is read as a page that names or links something which WHOLE does not. A last name may be cut."""
    if not inquiry.recognises(half):
        return False
    try:
        page = inquiry.read(half)
    except PageError:
        return False
    invented = [
        ref
        for ref in page.refs
        if not any(
            kept.kind == ref.kind
            and (kept.title or "").startswith(ref.title or "")
            and kept.summary.startswith(ref.summary)
            and kept.arxiv == ref.arxiv
            for kept in whole.refs
        )
    ]
    return bool(invented) or len(page.links) > len(whole.links) or not whole.body.startswith(page.body)


# --- hostile pages ---------------------------------------------------------------------------------------------------


def test_markup_and_addresses_in_a_page_are_text_and_nothing_else():
    hostile = "<script>alert(1)</script> <img src=x onerror=alert(2)> [free honey](javascript:alert(3))"
    page = inquiry.read(text_of("line_dances.txt").replace("No single dancer", f"{hostile} No single dancer"))
    assert hostile in page.body
    assert page.refs == page_of("line_dances.txt").refs


@pytest.mark.parametrize(
    "span", ["2026–2024", "0000–2025", "ISSN 0000-0003"], ids=["backwards", "year nought", "a number that is no span"]
)
def test_a_span_that_no_calendar_has_leaves_the_findings_with_their_own_dates(span):
    page = inquiry.read(text_of("line_dances.txt").replace("claims dated 2019–2026", span))
    claims = [ref for ref in page.refs if ref.kind == "claim"]
    assert len(claims) == 5
    assert claims[0].date.written == "2019"


@pytest.mark.parametrize(
    "text",
    [
        "Why?\n\nHook.\n\nBody.\n\nSources " + "9" * 5000 + " notes\n\nBees.\n",
        "Why?\n\nHook.\n\nBody.\n\nRelated papers in this collection " + "9" * 5000 + "\n",
    ],
    ids=["sources", "papers"],
)
def test_a_number_too_long_to_count_with_is_refused(text):
    with pytest.raises(PageError):
        inquiry.read(text)


@pytest.mark.parametrize("finding", ["• (2025).", "•", "• **", "• (2025, arXiv:2501.99901)"])
def test_a_finding_without_words_harms_nothing_else(finding):
    text = text_of("line_dances.txt").replace("• Cross inhibition", f"{finding}\n• Cross inhibition")
    claims = [ref.title for ref in inquiry.read(text).refs if ref.kind == "claim"]
    assert len(claims) == 5


LONG = 200_000
FLOODS = {
    "brackets": "(" * LONG,
    "square brackets": "[" * LONG,
    "spaces": " " * LONG,
    "separate from from": "Separate the a " + "from " * (LONG // 5),
    "separates": "Separate: the a from b " * (LONG // 23),
    "questions": "Is it? " * (LONG // 7),
    "questions without an end": "So Do a Do a " * (LONG // 13),
    "stops": "." * LONG,
    "quotes": "”" * LONG,
    "bullets": "• - – " * (LONG // 6),
    "ids": "arXiv:2501.99901, " * (LONG // 18),
    "one word": "b" * LONG,
    "lines": "\n" * (LONG // 4),
    "bullet lines": "\n• b (2025)" * (LONG // 44),
    "html": "<a href='javascript:alert(1)'>" * (LONG // 30),
}
PLACES = {
    "a titled body": ("line_dances.txt", "No single dancer"),
    "an untitled body": ("line_warmth.txt", "Heat is the one good"),
    "a source": ("line_dances.txt", "Angular scatter"),
    "an untitled source": ("line_warmth.txt", "Pupae raised"),
    "a finding": ("line_dances.txt", "Cross inhibition by"),
    "an anchor": ("line_dances.txt", "Quorum Sensing"),
    "a task": ("line_dances.txt", "(1) TEST EACH LIMIT AGAIN."),
    "a next line": ("line_signals.txt", "What would a colony"),
    "a related note": ("note_swarm.txt", "supplies the single"),
    "a title": ("note_swarm.txt", "a quorum of scouts"),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_of_one_thing_is_read_or_refused_but_never_hangs(flood):
    for name, words in PLACES.values():
        text = text_of(name).replace(words, f"{words} {FLOODS[flood]} b. ")
        with watchdog(20):
            assert read_or_refused(text)


def read_or_refused(text: str) -> Page | str:
    try:
        return inquiry.read(text)
    except PageError as error:
        return str(error)

"""Markdown pages: front matter that is data and nothing else, wikilinks at their sentences, titles, papers."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.errors import PageError
from kb.sources import front_matter, markdown
from kb.sources.page import Page
from kb.text import sentence_spans
from tests.kb_support import md, reproducible, watchdog

CLAIM = """---
kind: claim
title: A quorum of about twenty scouts ends the debate
short: quorum of twenty
date: 2021-05
topics: [swarms, decisions]
note: "[[Can a swarm choose a nest without any leader?]]"
papers:
  - arXiv:2103.99902 – Quorum Sensing in Swarms
contract:
  verifier: entropy_gap
---
Scouts were counted at the entrance.
"""


def head(text: str, body: str = "Body.", path: str = "notes/a-page.md") -> Page:
    """A page with that front matter."""
    return md(f"---\n{text}\n---\n{body}\n", path)


def names(page: Page, link_type: str | None) -> list[str]:
    """What the page links to in that way, in order."""
    linked = [page.refs[link.target] for link in page.links if link.type == link_type and link.target is not None]
    return [ref.title or f"arXiv:{ref.arxiv}" for ref in linked]


# --- front matter ----------------------------------------------------------------------------------------------------


def test_a_claim_page_says_all_that_its_keys_say():
    page = md(CLAIM)
    assert (page.kind, page.title) == ("claim", "A quorum of about twenty scouts ends the debate")
    assert page.short == "quorum of twenty"
    assert page.date.written == "2021-05"
    assert page.topics == ("swarms", "decisions")
    assert page.contract == {"verifier": "entropy_gap"}
    assert page.body == "Scouts were counted at the entrance."


def test_a_claim_is_stated_by_its_note():
    page = md(CLAIM)
    (link,) = [link for link in page.links if link.type == "states"]
    assert page.refs[link.source].title == "Can a swarm choose a nest without any leader?"
    assert link.target is None


def test_a_note_page_says_all_that_its_keys_say():
    page = head(
        "title: Do bees sleep?\nhook: They do.\noriginal_title: bees sleep in short bouts\naliases: [sleep, naps]\n"
        "relates: Other note\nextends: [First note]\ncontradicts: Second note\nsupersedes: Third note"
    )
    assert (page.kind, page.title, page.hook) == ("note", "Do bees sleep?", "They do.")
    assert page.original_title == "bees sleep in short bouts"
    assert page.names == ("a-page", "sleep", "naps", "bees sleep in short bouts")
    assert [names(page, link_type) for link_type in ("relates", "extends", "contradicts", "supersedes")] == [
        ["Other note"],
        ["First note"],
        ["Second note"],
        ["Third note"],
    ]


def test_a_paper_page_has_its_id_without_the_version():
    assert head("kind: paper\ntitle: Quorum Sensing\narxiv: arXiv:2103.99902v3").arxiv == "2103.99902"


@pytest.mark.parametrize(
    ("folder", "kind"), [("notes", "note"), ("lines", "line"), ("claims", "claim"), ("papers", "paper"), ("x", "note")]
)
def test_the_folder_gives_the_kind_where_the_page_does_not(folder, kind):
    assert md("# A title\n\nBody.", f"library/{folder}/page.md").kind == kind
    assert md("---\nkind: line\n---\n# A title\n\nBody.", f"library/{folder}/page.md").kind == "line"


def test_a_page_without_front_matter_is_all_body():
    assert md("Just a text.").body == "Just a text."


@pytest.mark.parametrize("written", ["2025", "2025-05", "2025-05-22", '"~2025"', "2024–2026", "May 2026"])
def test_dates_are_read_with_and_without_quotes(written):
    assert head(f"date: {written}").date.written == written.strip('"')


@pytest.mark.parametrize("kind", ["claim", "paper"])
def test_a_typo_in_a_claim_or_paper_is_refused_with_the_key_that_was_meant(kind):
    with pytest.raises(PageError, match="unknown key 'contarct' in its front matter; did you mean 'contract'"):
        head(f"kind: {kind}\ncontarct: {{}}")


@pytest.mark.parametrize("kind", ["note", "line"])
def test_other_keys_of_a_note_or_line_are_left_alone_with_a_warning(kind):
    assert head(f"kind: {kind}\ncssclass: wide").warnings == ("the key 'cssclass' is not read",)


@pytest.mark.parametrize("key", ["contract: {a: 1}", "documentary: yes it is", 'note: "[[Some note]]"'])
def test_what_only_claims_have_is_refused_elsewhere(key):
    with pytest.raises(
        PageError, match=r"is a note and has the key '(contract|documentary|note)', which only a claim has"
    ):
        head(key)


def test_an_id_belongs_to_papers_alone():
    with pytest.raises(PageError, match="is a note and has the key 'arxiv'"):
        head("arxiv: arXiv:2103.99902")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: opinion", "kind: Input should be 'note', 'line', 'claim' or 'paper'"),
        ("title: 7", "title: Input should be a valid string"),
        ("title: {a: b}", "title: Input should be a valid string"),
        ("date: next week", "date: 'next week' is no date"),
        ("date: 2026–2024", "ends before it begins"),
        ("topics: [{a: b}]", "topics.0: Input should be a valid string"),
        ("kind: claim\ncontract: later", "contract: Input should be a valid dictionary"),
        ("kind: paper\narxiv: hello", "arxiv: 'hello', which is no arXiv id"),
        ("title: '  '", "has an empty title"),
        ("7: seven", "7: Keys should be strings"),
    ],
)
def test_a_value_that_a_key_does_not_take_is_refused_with_the_key(text, said):
    with pytest.raises(PageError, match=said):
        head(text)


def test_an_id_that_yaml_takes_for_a_number_is_refused_because_it_would_lose_its_last_nought():
    with pytest.raises(PageError, match="arxiv: Input should be a valid string"):
        head("kind: paper\narxiv: 2605.25450")
    with pytest.raises(PageError, match=r"papers\.0: Input should be a valid string"):
        head("papers: [2605.25450]")


# --- front matter from a stranger ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system [touch owned]",
        "!!python/name:os.system",
        "!!str text",
        "!!binary aGVsbG8=",
        "!mine text",
        "! text",
        "[a, !!set {b}]",
    ],
)
def test_tags_are_refused_and_nothing_is_run(value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PageError, match=r"uses the YAML tag \S+ in its front matter \(line \d+\): only plain values"):
        head(f"title: A\nmore: {value}")
    assert list(tmp_path.iterdir()) == []


def test_an_alias_is_refused():
    with pytest.raises(PageError, match=r"uses a YAML alias in its front matter \(line 3\): write the value out"):
        head("more: &name [a]\nagain: *name")


def test_a_page_that_would_grow_a_billion_times_is_refused_at_once():
    laughs = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))
    with watchdog(), pytest.raises(PageError, match="uses a YAML alias"):
        head(f"a0: &a0 [lol]\n{laughs}")


@pytest.mark.parametrize("text", ["title: A\ntitle: B", "kind: claim\ncontract:\n  unit: 1\n  unit: 2"])
def test_a_key_that_stands_twice_is_refused(text):
    with pytest.raises(PageError, match=r"has the key '(title|unit)' twice in its front matter"):
        head(text)


@pytest.mark.parametrize("text", ["---\ntitle: A\n\nBody.", "---\n", "---\ntitle: A\n--\nBody"])
def test_front_matter_without_an_end_is_refused(text):
    with pytest.raises(PageError, match="front matter without an end: a line `---` is missing"):
        md(text)


@pytest.mark.parametrize("text", ["- a\n- b", "just words", "7"])
def test_front_matter_that_is_no_list_of_keys_is_refused(text):
    with pytest.raises(PageError, match="no list of `key: value` lines"):
        head(text)


def test_empty_front_matter_is_none():
    assert head("").body == "Body."


@pytest.mark.parametrize("text", ["title: [unclosed", "title: 'unclosed", "a: b: c", "\tkey: value", "title: \x07"])
def test_broken_yaml_is_refused(text):
    with pytest.raises(PageError, match="front matter that is no YAML"):
        head(text)


@pytest.mark.parametrize(
    "text", ["a: " + "[" * 5000, "a: " + "[" * 5000 + "]" * 5000, "a: " + "{b: " * 3000 + "}" * 3000]
)
def test_front_matter_that_is_nested_too_deeply_is_refused(text):
    with watchdog(), pytest.raises(PageError, match=r"nested too deeply|no YAML"):
        head(text)


@pytest.mark.parametrize(
    "text",
    ["date: 2025-02-30", "seen: 2025-13-01", "seen: 2025-01-01 25:00:00", "size: " + "9" * 5000],
    ids=["no such day", "no such month", "no such hour", "a number too long"],
)
def test_a_value_that_yaml_knows_and_no_calendar_has_is_refused(text):
    with pytest.raises(PageError):
        head(text)


@pytest.mark.parametrize("key", ["title", "hook", "topics", "aliases", "papers"])
def test_half_a_character_is_refused_because_no_store_can_keep_it(key):
    with pytest.raises(PageError):
        head(f'{key}: "\\ud800"')


# --- titles and names ------------------------------------------------------------------------------------------------


def test_the_title_is_that_of_the_front_matter_and_the_heading_stays_in_the_body():
    page = head("title: From the head", "# From the body\n\nText.")
    assert (page.title, page.body) == ("From the head", "# From the body\n\nText.")


def test_else_the_first_heading_is_the_title_and_leaves_the_body():
    page = md("# From the  *body*\n\nText.", "notes/x.md")
    assert (page.title, page.body) == ("From the *body*", "Text.")


def test_else_the_file_gives_the_title():
    assert md("Text.\n\n# Later heading", "notes/why-do_bees-sleep.md").title == "why do bees sleep"


def test_a_page_is_addressed_by_its_file_unless_it_says_otherwise():
    assert md("# A Title\n\nText.", "notes/Bees & Sleep.md").slug == "bees-sleep"
    assert head("slug: Other Name", path="notes/x.md").slug == "other-name"


# --- wikilinks -------------------------------------------------------------------------------------------------------


def test_a_wikilink_is_a_link_at_its_sentence():
    page = md("# T\n\nFirst sentence. Bees sleep, as [[Do bees sleep?]] says. Last one.")
    (link,) = page.links
    assert page.refs[link.target].title == "Do bees sleep?"
    assert page.body[link.mention_start : link.mention_end] == "[[Do bees sleep?]]"
    assert page.body[link.start : link.end] == "Bees sleep, as [[Do bees sleep?]] says."
    assert link.sentence == "Bees sleep, as Do bees sleep? says."
    assert (link.type, page.refs[link.target].kind) == (None, None)


@pytest.mark.parametrize(
    ("written", "name", "label", "seen"),
    [
        ("[[sleep]]", "sleep", "sleep", "sleep"),
        ("[[sleep|short bouts]]", "sleep", "short bouts", "short bouts"),
        ("[[sleep#At night]]", "sleep", "sleep", "sleep"),
        ("[[sleep#At night|nights]]", "sleep", "nights", "nights"),
        ("[[notes/sleep.md]]", "sleep", "notes/sleep.md", "notes/sleep.md"),
        ("[[ sleep ]]", "sleep", "sleep", " sleep "),
    ],
)
def test_a_wikilink_has_a_name_and_the_words_that_a_reader_sees(written, name, label, seen):
    page = md(f"# T\n\nBees rest {written} often.")
    (link,) = page.links
    assert page.refs[link.target].title == name
    assert link.label == label
    assert link.sentence == f"Bees rest {seen} often."


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/b/../../../etc/passwd", "file:///etc/passwd"])
def test_a_wikilink_with_a_path_is_only_a_name(path):
    page = md(f"# T\n\nSee [[{path}]].")
    assert [ref.title for ref in page.refs] == ["passwd"]


@pytest.mark.parametrize(
    "code",
    [
        "`[[a]]`",
        "```\n[[a]]\n```",
        "~~~\n[[a]]\n~~~",
        "```python\nx = [[a]]\n```",
        "![[a]]",
        "[[a]",
        "[[]]",
        "[[a\nb]]",
    ],
)
def test_brackets_in_code_and_what_is_no_link_are_left_alone(code):
    assert md(f"# T\n\nText.\n\n{code}\n\nMore [[b]].").refs[0].title == "b"


def test_offsets_are_those_of_the_body_behind_code():
    page = md("# T\n\nUse `[[a]]` and [[b]] there.")
    (link,) = page.links
    assert page.body[link.mention_start : link.mention_end] == "[[b]]"


def test_a_hard_wrapped_sentence_is_whole():
    page = md(
        "# T\n\nBefore it. The rim of the\nball, says [[Why do winter\nclusters]], moves [[in]] when it\nis cold. After it."
    )
    (link,) = page.links
    sentence = "The rim of the ball, says [[Why do winter clusters]], moves in when it is cold."
    assert " ".join(link.sentence.split()) == sentence


def test_a_name_twice_in_a_body_is_two_links_and_one_name():
    page = md("# T\n\nFirst [[a]]. Then [[a|again]].")
    assert len(page.links) == 2
    assert len(page.refs) == 1


def test_addresses_and_html_are_text_and_no_links():
    text = "<script>alert(1)</script> [go](javascript:alert(1)) <https://example.org> [[b]]"
    page = md(f"# T\n\n{text}")
    assert page.body == text
    assert [ref.title for ref in page.refs] == ["b"]


@pytest.mark.parametrize(
    "written",
    [
        "[[Some note]]",
        '"[[Some note]]"',
        '"[[Some note|label]]"',
        "Some note",
        "[[[Some note]]]",
        '["[[notes/Some note.md]]"]',
    ],
)
def test_a_wikilink_in_front_matter_needs_no_quotes(written):
    assert names(head(f"relates: {written}"), "relates") == ["Some note"]
    assert md(f"---\nkind: claim\nnote: {written}\n---\nBody.").refs[0].title == "Some note"


def test_several_wikilinks_in_front_matter_are_a_list():
    assert names(head("relates:\n  - [[One]]\n  - [[Two]]\n  - Three"), "relates") == ["One", "Two", "Three"]


def test_a_relation_may_have_its_reason():
    page = head("contradicts:\n  Other note: the dose was smaller\n  Third note:")
    assert names(page, "contradicts") == ["Other note", "Third note"]
    assert [link.sentence for link in page.links] == ["the dose was smaller", ""]


@pytest.mark.parametrize("name", ["arXiv:2103.99902", "https://arxiv.org/abs/2103.99902"])
def test_a_wikilink_to_an_id_is_a_link_to_the_paper(name):
    (ref,) = md(f"# T\n\nSee [[{name}]].").refs
    assert (ref.kind, ref.arxiv) == ("paper", "2103.99902")


@pytest.mark.parametrize("text", ["[[ ]]", "[[a/]]", "[[.md]]"])
def test_a_wikilink_that_names_nothing_is_text(text):
    assert md(f"# T\n\nSee {text}.").links == ()


# --- papers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "arxiv", "title"),
    [
        ("arXiv:2103.99902 – Quorum Sensing in Swarms", "2103.99902", "Quorum Sensing in Swarms"),
        ("arXiv:2103.99902 - Quorum Sensing in Swarms", "2103.99902", "Quorum Sensing in Swarms"),
        ("arXiv:2103.99902", "2103.99902", None),
        ("arxiv:2103.99902v2", "2103.99902", None),
        ("https://arxiv.org/abs/2103.99902v2", "2103.99902", None),
        ("arxiv.org/abs/2103.99902", "2103.99902", None),
        ("cs.CL/0703001 – An old one", "cs/0703001", "An old one"),
        ("Quorum Sensing in Swarms", None, "Quorum Sensing in Swarms"),
        ("Swarms – a review", None, "Swarms – a review"),
    ],
)
def test_a_paper_is_an_id_a_title_or_both(written, arxiv, title):
    (ref,) = head(f'papers: ["{written}"]').refs
    assert (ref.kind, ref.arxiv, ref.title) == ("paper", arxiv, title)


# --- every page ------------------------------------------------------------------------------------------------------


@reproducible
@given(st.lists(st.sampled_from(["Bees rest. ", "so [[a]] says ", "[[b|c]]. ", "`[[x]]` ", "\n\n", "and\n", "Why? "])))
def test_every_wikilink_stands_where_its_link_says(parts):
    page = md("# T\n\n" + "".join(parts))
    assert len(page.links) == sum("[[a" in part or "[[b" in part for part in parts)
    for link in page.links:
        assert page.body[link.mention_start : link.mention_end] in {"[[a]]", "[[b|c]]"}
        assert (link.start, link.end) in sentence_spans(page.body)
        assert link.sentence == markdown.without_brackets(page.body[link.start : link.end])


@reproducible
@given(st.text() | st.text("-:[]{}#|>&*!?%@`'\" \n019aé.~"), st.text("[]|#`!a.A \n"))
def test_any_text_is_a_page_or_a_page_error(front, body):
    try:
        page = head(front, body)
    except PageError:
        return
    assert Page.model_validate(page.model_dump(mode="json")) == page


values = st.dictionaries(
    st.text("abcdefg_", min_size=1),
    st.recursive(
        st.integers(-(10**9), 10**9) | st.booleans() | st.text("aé :#[]{}'\"-\n"),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("abc", min_size=1), inner),
        max_leaves=5,
    ),
)


@reproducible
@given(values)
def test_plain_data_comes_back_from_front_matter(data):
    import yaml

    text = yaml.safe_dump(data, allow_unicode=True) if data else ""
    assert front_matter.split(f"---\n{text}---\nBody.") == (data, "Body.")


LONG = 200_000


@pytest.mark.parametrize(
    "body",
    [
        "[[a]] " * (LONG // 6),
        "So [[a]] says. " * (LONG // 15),
        "".join(f"[[a{number}]] " for number in range(LONG // 9)),
        "[[" * (LONG // 2),
        "[" * LONG,
        "`" * LONG,
        "```" + "a" * LONG,
        "." * LONG,
        " " * LONG,
        "[[a|" * (LONG // 4),
        "#" * LONG,
        "# " * (LONG // 2),
    ],
    ids=lambda body: f"{body[:6]!r}".replace(" ", "_"),
)
def test_a_flood_of_one_thing_is_read_or_refused_but_never_hangs(body):
    with watchdog(20):
        assert read_or_refused(f"Start {body} end [[b]].")


def read_or_refused(text: str) -> Page | str:
    try:
        return md(text)
    except PageError as error:
        return str(error)


def test_a_path_is_only_read_for_its_names():
    assert markdown.read("Text.", Path("/nowhere/claims/x.md")).kind == "claim"

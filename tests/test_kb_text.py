"""Titles that are one, readable slugs, and where sentences begin and end."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.text import identity, paragraphs, plain, sentence_around, sentence_spans, sentences, slug
from tests.kb_support import reproducible

# --- one kind of space -----------------------------------------------------------------------------------------------


def test_plain_text_has_one_kind_of_space_and_no_control_characters():
    assert plain("  a\u00a0b\t c\nd\u2003e\x00\x07 ") == "a b c d e"


def test_plain_text_has_composed_characters():
    assert plain("cafe\u0301") == "caf\u00e9"


@reproducible
@given(st.text())
def test_plain_text_stays_as_it_is(text):
    assert plain(plain(text)) == plain(text)


# --- identity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Do bees sleep?", "do bees SLEEP"),
        ("What's a hive?", "What’s a “hive”"),
        ("Stop–signals — and ties", "Stop-signals - and ties"),
        ("A  quorum\nof twenty.", "A quorum of twenty"),
        ("Die Straße", "die strasse"),
        ("caf\u00e9", "cafe\u0301"),
        ("*Warm* nests (again)", "Warm nests again"),
    ],
)
def test_two_spellings_of_a_title_are_one(one, other):
    assert identity(one) == identity(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Do bees sleep?", "Do bees sleep twice?"),
        ("Stop signals", "Stop: signals"),
        ("A quorum of 20", "A quorum of 200"),
        ("Café", "Cafe"),
    ],
)
def test_other_words_are_another_title(one, other):
    assert identity(one) != identity(other)


@reproducible
@given(st.lists(st.text(string.ascii_letters + string.digits, min_size=1), min_size=1))
def test_case_space_and_punctuation_never_matter(words):
    assert identity(" ".join(words)) == identity("“" + "!  ".join(words).upper() + "”?")


# --- slugs -----------------------------------------------------------------------------------------------------------


def test_a_slug_reads_like_its_title():
    assert slug("Why do 3–4 guards wait at a hive's door?") == "why-do-3-4-guards-wait-at-a-hive-s-door"


def test_a_slug_is_never_cut():
    words = [f"word{number}" for number in range(400)]
    assert slug(" ".join(words)) == "-".join(words)


def test_a_slug_is_in_letters_that_every_address_takes():
    assert slug("Größe der Waben") == "grosse-der-waben"
    assert re.fullmatch("[a-z0-9-]+", slug("蜜蜂的舞蹈"))


@pytest.mark.parametrize("title", ["", "???", "—", "🐝"])
def test_a_title_without_letters_has_a_slug_all_the_same(title):
    assert slug(title) == "untitled"


@reproducible
@given(st.text())
def test_a_slug_is_one_word_of_an_address_and_its_own_slug(title):
    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", slug(title))
    assert slug(slug(title)) == slug(title)


# --- sentences -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("It is 3.5 degrees. Then 4.", ["It is 3.5 degrees.", "Then 4."]),
        ("She said “go.” They went.", ["She said “go.”", "They went."]),
        ("It fell (by half). Nobody knew.", ["It fell (by half).", "Nobody knew."]),
        ("It **fell.** Nobody knew.", ["It **fell.**", "Nobody knew."]),
        ("No end here", ["No end here"]),
        ("A heading\n\nA text without a stop\n\nmore", ["A heading", "A text without a stop", "more"]),
        ("Two things:\n- first\n- second", ["Two things:", "- first", "- second"]),
        ("As listed\n1. first\n2. second", ["As listed", "1. first", "2. second"]),
    ],
)
def test_a_text_is_cut_into_its_sentences(text, expected):
    assert sentences(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Some signals, e.g. Beeps, are short.",
        "The rim, i.e. The mantle, is cold.",
        "See cf. Fig. 2 and Sec. 3 of it.",
        "Wax vs. Scent was the question.",
        "Found by Seeley et al. In the field.",
        "Found by J. Smith in May.",
        "Its No. 5 of the list.",
    ],
)
def test_an_abbreviation_ends_no_sentence(text):
    assert sentences(text) == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "It settles by count Can a swarm choose?. Then it flies.",
            ["It settles by count Can a swarm choose?.", "Then it flies."],
        ),
        ("Rivals are silenced Do stop signals help?, and one wins.", None),
        ("Dances last longer What makes a colony switch? — so much is known.", None),
        ("The rim is fed Why do clusters rotate? (within the hour).", None),
    ],
)
def test_a_title_set_into_a_sentence_does_not_end_it(text, expected):
    assert sentences(text) == (expected or [text])


def test_a_hard_wrapped_sentence_is_one():
    assert len(sentences("The rim of the\nball moves in\nand is warm.")) == 1


@pytest.mark.parametrize("line", ["*very* slowly.", "**very** slowly.", "-3 degrees later."])
def test_emphasis_or_a_sign_at_the_beginning_of_a_wrapped_line_does_not_end_a_sentence(line):
    assert len(sentences(f"The rim moves in\n{line}")) == 1


def test_spans_leave_out_the_space_between_sentences():
    text = "One.  Two.\n\nThree"
    assert [text[start:end] for start, end in sentence_spans(text)] == ["One.", "Two.", "Three"]


@reproducible
@given(st.text() | st.text(" \n.?!()*-#1Aa\"'”"))
def test_spans_are_in_order_and_hold_all_that_is_not_space(text):
    spans = sentence_spans(text)
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(edges)
    outside = [text[a:b] for a, b in zip([0, *edges[1::2]], [*edges[::2], len(text)], strict=True)]
    assert "".join(outside).strip() == ""


def test_the_sentence_around_a_mention_is_the_one_it_stands_in():
    text = "One thing. Another Is it so?, and more. A third."
    start = text.index("Is it")
    assert text[slice(*sentence_around(text, start, start + 9))] == "Another Is it so?, and more."


def test_what_reaches_over_two_sentences_has_both_around_it():
    text = "One. Two here. Three there. Four."
    assert text[slice(*sentence_around(text, text.index("here"), text.index("there")))] == "Two here. Three there."


@reproducible
@given(st.text(" .?!Aab\n", min_size=1), st.data())
def test_the_sentence_around_a_span_holds_it(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    begin, stop = sentence_around(text, start, end)
    assert begin <= start + len(text[start:end]) - len(text[start:end].lstrip())
    assert stop >= end - len(text[start:end]) + len(text[start:end].rstrip())


def test_paragraphs_stand_apart_by_blank_lines():
    assert paragraphs("\n\nOne\nstill one\n \n\nTwo\n") == ["One\nstill one", "Two"]

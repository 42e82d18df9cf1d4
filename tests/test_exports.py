"""Papers as BibTeX and CSL-JSON: what goes in comes out of other people's readers, and what strangers wrote stays inside
its braces.
"""

import json
import re
from datetime import UTC, datetime
from typing import Any

import bibtexparser
import jsonschema
import pytest
from bibtexparser.middlewares.latex_encoding import LatexDecodingMiddleware
from hypothesis import given, settings
from hypothesis import strategies as st

from kb.exports.bibtex import bibtex
from kb.exports.citing import Work, key, keys, work_of
from kb.exports.csl import csl, item
from kb.sources.arxiv_record import Record
from tests.kb_support import reproducible

MAY = datetime(2025, 5, 22, tzinfo=UTC)
FORTY = tuple(f"Author{number} Number{number}" for number in range(40))


def record(**changes: Any) -> Record:
    plain: dict[str, Any] = {
        "arxiv": "2505.00007",
        "version": 2,
        "title": "How Bees Count Scouts",
        "authors": ("Ada Vogel", "Ludwig van Linden"),
        "abstract": "We count scouts.",
        "categories": ("q-bio.PE", "cs.MA"),
        "doi": "10.1234/bees_2025",
        "journal": "J. Bees 7 (2025) 1-9",
        "published_at": MAY,
        "updated_at": MAY,
    }
    return Record(**(plain | changes))


def test_of_two_dois_the_first_is_taken() -> None:
    one = work_of(record(doi="10.1016/j.aim.2020.1  10.1234/other"))
    assert "doi = {10.1016/j.aim.2020.1}," in bibtex([one], ["key"])
    assert item(one, "key")["DOI"] == "10.1016/j.aim.2020.1"
    assert work_of(record(doi=" ")).doi == ""


def works(*changes: dict[str, Any]) -> list[Work]:
    return [work_of(record(**change)) for change in changes]


def parsed(of: list[Work]) -> list[dict[str, str]]:
    """What the library's own parser reads: field by field, with the entry's key."""
    library = bibtexparser.parse_string(bibtex(of, keys(of)))
    assert library.failed_blocks == []
    assert len(library.blocks) == len(of)  # no comment, no string, no entry that somebody slipped in
    return [{"key": one.key, "type": one.entry_type, **{f.key: f.value for f in one.fields}} for one in library.entries]


def test_an_entry_has_all_that_arxiv_says() -> None:
    assert parsed(works({})) == [
        {
            "key": "vogel2025bees-2505.00007",
            "type": "misc",
            "title": "{How Bees Count Scouts}",
            "author": "Vogel, Ada and van Linden, Ludwig",
            "year": "2025",
            "month": "may",
            "eprint": "2505.00007",
            "archivePrefix": "arXiv",
            "primaryClass": "q-bio.PE",
            "doi": "10.1234/bees_2025",
            "journal": "J. Bees 7 (2025) 1-9",
            "url": "https://arxiv.org/abs/2505.00007",
        }
    ]


def test_formulas_stay_and_all_else_is_written_as_latex() -> None:
    (one,) = works({"title": r"50% of $\beta$-bees & na\"ive {RL}_2"})
    assert r"50\% of $\beta$-bees \& na" in parsed([one])[0]["title"]
    text = bibtex([one], ["k"])
    decoded = bibtexparser.parse_string(text, append_middleware=[LatexDecodingMiddleware()])
    assert decoded.entries[0]["title"] == r"50% of $\beta$-bees & naïve RL_2"


def test_forty_authors_are_forty() -> None:
    (entry,) = parsed(works({"authors": FORTY}))
    assert entry["author"].count(" and ") == 39
    assert len(item(work_of(record(authors=FORTY)), "k")["author"]) == 40


@pytest.mark.parametrize(
    ("name", "as_bibtex", "as_csl"),
    [
        ("Ada Vogel", "Vogel, Ada", {"family": "Vogel", "given": "Ada"}),
        (
            "Ludwig van der Linden",
            "van der Linden, Ludwig",
            {"family": "Linden", "given": "Ludwig", "non-dropping-particle": "van der"},
        ),
        ("Bo Lind Jr.", "Lind, Jr., Bo", {"family": "Lind", "given": "Bo", "suffix": "Jr."}),
        ("The Hive Collaboration", "{The Hive Collaboration}", {"literal": "The Hive Collaboration"}),
        ("Ada and Bo", "{Ada and Bo}", {"literal": "Ada and Bo"}),
        ("Plato", "{Plato}", {"literal": "Plato"}),
        ("others", "{others}", {"literal": "others"}),
        ("J. Núñez", r"N\'u\~nez, J.", {"family": "Núñez", "given": "J."}),
    ],
)
def test_names_are_taken_apart_as_people_mean_them(name: str, as_bibtex: str, as_csl: dict[str, str]) -> None:
    (one,) = works({"authors": (name,)})
    assert f"author = {{{as_bibtex}}}," in bibtex([one], ["k"])
    assert item(one, "k")["author"] == [as_csl]


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (work_of(record(title=r"On the $\alpha$ of Über-Bees", authors=("José Núñez",))), "nunez2025uber-2505.00007"),
        (work_of(record(arxiv="hep-th/9901001", title="Else")), "vogel2025else-hep-th-9901001"),
        (Work(title="Else", doi="10.1234/Bees_(2025)"), "else-10.1234-bees-2025"),
        (Work(title="Machine Beekeeping", year=2024), "machinebeekeeping2024-3140f483"),
        (Work(title="machine beekeeping!", year=2024), "machinebeekeeping2024-3140f483"),
        (Work(title="???"), "untitled-a03b221c"),
        (Work(title="!!!"), "untitled-e84c538e"),
    ],
)
def test_a_key_is_author_year_word_and_what_tells_the_paper_from_all_others(work: Work, said: str) -> None:
    assert key(work) == said


def test_a_key_is_the_same_whatever_else_is_there_and_never_means_another_paper() -> None:
    same = works({}, {"arxiv": "2505.00008"}, {"arxiv": "hep-th/9901001"})
    assert keys(same) == [one for work in same for one in keys([work])]
    assert len(set(keys(same))) == 3
    assert keys([same[0], same[1], same[0]])[::2] == ["vogel2025bees-2505.00007", "vogel2025bees-2505.00007-2"]


# What Pandoc takes for a key without braces around it, which BibTeX and biber take too.
PANDOC = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")


@reproducible
@given(
    st.lists(
        st.builds(
            Work,
            title=st.text(max_size=8),
            year=st.sampled_from([None, 2025]),
            doi=st.sampled_from(["", "10.1/a_-.b."]),
            arxiv=st.sampled_from([None, "", "./", "hep-th/9901001", "2505.00007"]),
        ),
        max_size=6,
    )
)
def test_keys_are_unique_and_plain(some: list[Work]) -> None:
    found = keys(some)
    assert len(set(found)) == len(found)
    assert all(PANDOC.fullmatch(one) for one in found)


# --- what strangers wrote --------------------------------------------------------------------------------------------

NASTY = st.text(alphabet=st.sampled_from(list("{}\\$%#&~^_\"'@,=() \n\tabX1é\u202e")), max_size=50)
HOSTILE = "}}\n}\n@article{evil, title = {Gotcha}}\n@string{x = {"


@reproducible
@given(title=NASTY, author=NASTY, journal=NASTY, doi=NASTY, arxiv=NASTY, category=NASTY)
def test_one_paper_is_one_entry_whatever_is_written_in_it(**said: str) -> None:
    (one,) = works(
        {
            "title": said["title"],
            "authors": (said["author"], "Ada Vogel"),
            "journal": said["journal"],
            "doi": said["doi"],
            "arxiv": said["arxiv"],
            "categories": (said["category"],),
        }
    )
    (entry,) = parsed([one])
    assert entry["type"] == "misc"
    assert entry["author"].endswith("Vogel, Ada")
    assert set(entry) <= {"key", "type", "title", "author", "year", "month", "eprint", "archivePrefix", "primaryClass",
                          "doi", "journal", "url"}  # fmt: skip


def test_an_entry_cannot_be_slipped_in() -> None:
    hostile = work_of(record(title=HOSTILE, authors=(HOSTILE, HOSTILE), journal=HOSTILE, doi=HOSTILE, arxiv=HOSTILE))
    unknown = Work(title=HOSTILE, note=HOSTILE, arxiv=HOSTILE)
    assert [entry["type"] for entry in parsed([hostile, unknown])] == ["misc", "misc"]


def test_csl_is_json_that_is_safe_to_set_into_a_page() -> None:
    text = csl(works({"title": "</script><b>Bees</b> & co", "abstract": "<img src=x>"}), ["k"])
    assert not re.search(r"[<>&]", text)
    assert json.loads(text)[0]["title"] == "</script><b>Bees</b> & co"


# --- CSL-JSON --------------------------------------------------------------------------------------------------------

NAME = {"family", "given", "dropping-particle", "non-dropping-particle", "suffix", "literal"}
STRINGS = (
    "id citation-key title abstract publisher number archive archive_location version keyword DOI URL note".split()
)
# What https://github.com/citation-style-language/schema says of the fields that we use; no other is allowed here.
SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["id", "type"],
        "additionalProperties": False,
        "properties": {
            **{name: {"type": "string", "minLength": 1} for name in STRINGS},
            "type": {"enum": ["article"]},
            "author": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {name: {"type": "string"} for name in sorted(NAME)},
                },
            },
            "issued": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "date-parts": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 2,
                        "items": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "integer"}},
                    }
                },
            },
        },
    },
}


def test_csl_items_follow_the_schema() -> None:
    some = [*works({}, {"title": HOSTILE, "authors": FORTY}), Work(title="Bees", year=2024), Work(title="?")]
    said = json.loads(csl(some, keys(some)))
    jsonschema.validate(said, SCHEMA)
    assert said[0]["issued"] == {"date-parts": [[2025, 5, 22]]}
    assert said[2] == {
        "id": "bees2024-23da0d3b",
        "citation-key": "bees2024-23da0d3b",
        "type": "article",
        "title": "Bees",
        "issued": {"date-parts": [[2024]]},
    }


@settings(reproducible, max_examples=40)
@given(title=NASTY, author=NASTY, journal=NASTY)
def test_csl_says_what_it_was_given_on_one_line(title: str, author: str, journal: str) -> None:
    some = works({"title": title, "authors": (author,), "journal": journal})
    said = json.loads(csl(some, ["k"]))
    jsonschema.validate(said, SCHEMA)
    assert "\n" not in said[0].get("title", "")


def test_a_withdrawn_paper_says_so_and_one_that_is_known_by_its_title_says_what_is_known() -> None:
    (gone,) = works({"comment": "This paper has been withdrawn by the authors"})
    assert "note = {Withdrawn}" in bibtex([gone], ["k"])
    assert item(gone, "k")["note"].startswith("Withdrawn")
    assert bibtex([Work(title="Bees")], ["k"]) == "@misc{k,\n  title = {{Bees}},\n}\n"

"""Which ids stand in a text, and how arXiv itself writes them."""

import pytest

from kb.sources.arxiv_id import arxiv_id, arxiv_ids, newest_named, no_ids, versioned


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("2605.25459", ("2605.25459", None)),
        ("arXiv:2605.25459v2", ("2605.25459", 2)),
        ("http://arxiv.org/abs/hep-th/9901001v1", ("hep-th/9901001", 1)),
        ("https://arxiv.org/pdf/1706.03762v7.pdf", ("1706.03762", 7)),
        ("math.GT/0309136", ("math/0309136", None)),
        ("HEP-TH/9901001", ("hep-th/9901001", None)),
        ("2605.25459v0", None),
        ("2605.25459v99999", None),
        ("http://arxiv.org/api/errors#x", None),
        ("\u0662\u0663\u0660\u0661.\u0660\u0660\u0660\u0660\u0661", None),  # digits that are not arXiv's
    ],
)
def test_an_id_and_its_version_are_told_apart(text: str, named: tuple[str, int | None] | None) -> None:
    assert versioned(text) == named


@pytest.mark.parametrize("text", ["math.GT/0309136", "arXiv:math.gt/0309136v2", "arxiv.org/abs/Math/0309136"])
def test_an_old_id_is_the_one_that_arxiv_writes(text: str) -> None:
    assert arxiv_id(text) == "math/0309136"
    assert arxiv_ids(f"see https://arxiv.org/abs/math/0309136 and arXiv:{arxiv_id(text)}") == ("math/0309136",)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("arXiv:2605.25459, arXiv: hep-th/9901001v2.", ("2605.25459", "hep-th/9901001")),
        ("_arXiv:2605.25459_ [arXiv:2605.00001v2]", ("2605.25459", "2605.00001")),
        ("\u898barXiv:2605.25459\u3002", ("2605.25459",)),  # a language that has no spaces
        ("https://export.arxiv.org/abs/2605.25459v3", ("2605.25459",)),
        ("arXiv:math.GT/0309136 is arXiv:math/0309136", ("math/0309136",)),
        ("arXiv:2605.254591234", ()),
        ("arXiv:hep-th/99010012", ()),
        ("notarXiv:2605.25459, https://notarxiv.org/abs/2605.25459", ()),
        ("2605.25459", ()),
        ("https://doi.org/10.48550/arXiv.1707.08567", ("1707.08567",)),
        ("doi:10.48550/arXiv.2605.25459v2, 10.48550/ARXIV.2605.00001", ("2605.25459", "2605.00001")),
        ("arXiv preprint 2611.00402, arXiv preprint arXiv:2611.00403v1", ("2611.00402", "2611.00403")),
        ("arXiv:[2605.25459], arXiv : 2605.00001", ("2605.25459", "2605.00001")),
        ("arxiv.org/e-print/2605.25459 https://arxiv.org/format/2605.00001v2", ("2605.25459", "2605.00001")),
        ("arXiv:cond-mat.stat-mech/9901001", ("cond-mat/9901001",)),
        ("see hep-th/9901001v2 and (math.GT/0309136); 2605.25459v2.", ("hep-th/9901001", "math/0309136", "2605.25459")),
        ("2605.25459, 2605.2545v1, hive/9901001, hep-th/9913001, hep-th/99010012", ()),  # prices, and no ids
        ("https://example.org/math/0309136 a/hep-th/9901001 1.2605.25459v1 2605.25459v0 2605.25459v2a", ()),
    ],
)
def test_ids_that_a_text_marks(text: str, ids: tuple[str, ...]) -> None:
    assert arxiv_ids(text) == ids


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("arXiv:2605.254591, then arXiv:2605.25459.", ("arXiv:2605.254591",)),
        ("arXiv: 2605.254591; arXiv:hep-th/99010012", ("arXiv: 2605.254591", "arXiv:hep-th/99010012")),
        ("(https://arxiv.org/abs/2613.00001)", ("https://arxiv.org/abs/2613.00001",)),
        ("doi:10.48550/arXiv.2605.254591", ("doi:10.48550/arXiv.2605.254591",)),
        ("arXiv: 12 May 2026, arXiv:cs.LG, arXiv, 2026, arXiv: 2026.", ()),
        ("https://arxiv.org/list/cs.LG/2605, https://arxiv.org/abs/ID, notarXiv:2605.254591", ()),
    ],
)
def test_what_is_marked_as_an_id_and_is_none(text: str, written: tuple[str, ...]) -> None:
    assert no_ids(text) == written


@pytest.mark.parametrize(
    "text",
    ["https://doi.org/10.48550/arXiv.2605.25459v2", "doi:10.48550/arXiv.2605.25459v2", "arXiv:[2605.25459v2]"],
)
def test_a_form_that_is_an_id_as_a_whole(text: str) -> None:
    assert versioned(text) == ("2605.25459", 2)
    assert newest_named(text, "2605.25459") == 2


@pytest.mark.parametrize(
    ("text", "arxiv", "version"),
    [
        ("arXiv:2605.25459v2, then 2605.25459v10", "2605.25459", 10),
        ("math.GT/0309136v2 and math/0309136v1", "math/0309136", 2),
        ("2605.25459v0, 12605.25459v3, 2605.25459", "2605.25459", None),
        ("xmath/0309136v3", "math/0309136", None),
    ],
)
def test_the_newest_version_that_a_text_names(text: str, arxiv: str, version: int | None) -> None:
    assert newest_named(text, arxiv) == version

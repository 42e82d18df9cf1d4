"""LaTeX that strangers wrote: read as plain text, and written so that it opens and closes nothing but itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.latex import characters, latex, readable
from kb.text import plain
from tests.kb_support import reproducible


@pytest.mark.parametrize(
    ("written", "read", "as_latex"),
    [
        (r"Schr\"odinger $\alpha$-VAE", "Schrödinger α-VAE", r"Schr\"odinger $\alpha$-VAE"),
        ("50% of $5 and $6", "50% of $5 and $6", r"50\% of \$5 and \$6"),
        (r"\input{/etc/passwd} bees", "bees", "bees"),
        (r"$\input{x}$", None, None),
        (r"$^^5cinput x$", None, r"\${\textasciicircum}{\textasciicircum}5cinput x\$"),
        ("a_b & {c}", "a_b & c", r"a\_b \& c"),
        (r"$\frac{a}{b}$ of bees", "a/b of bees", r"$\frac{a}{b}$ of bees"),
    ],
)
def test_latex_is_read_and_written(written: str, read: str | None, as_latex: str | None) -> None:
    if read is not None:
        assert readable(written) == read
    if as_latex is not None:
        assert latex(written) == as_latex
    assert r"\input" not in latex(written)


def test_what_is_nested_too_deeply_stays_text() -> None:
    assert readable("{" * 3000 + "x" + "}" * 3000).strip("{}") == "x"


NASTY = st.text(alphabet=st.sampled_from(list("{}\\$%#&~^_\"'@,= \nab1é\u202e")), max_size=40)


@reproducible
@given(NASTY)
def test_latex_never_opens_or_closes_more_than_its_own_braces(text: str) -> None:
    for said in (latex(text), characters(text)):
        depth = 0
        for sign in said:
            depth += (sign == "{") - (sign == "}")
            assert depth >= 0
        assert depth == 0
        assert "\n" not in said


@pytest.mark.parametrize(
    "formula",
    r"\hat \frac \frac{a} \sqrt \sqrt[3] \sqrt[3 \left \left( \left(x\right \right) {\left(}x\right) \left\right \text \mathcal x^ x_ x^_y "
    r"x^} {x^} \hat} {\hat} \hat^2 \big \hat\hat \hat{\}".split(),
)
def test_a_formula_that_lacks_something_is_written_as_its_characters(formula: str) -> None:
    title = f"On ${formula}$ of bees"
    assert latex(title) == characters(title)
    assert readable(title) == title


@pytest.mark.parametrize(
    "formula",
    [
        r"\hat x", r"\hat{x}", r"\hat\hat x", r"\frac12", r"x^\frac{1}{2}", r"\sqrt[3]{x}", r"\sqrt s", r"\mathrm d x",
        r"\left( x \right)", r"\left\{x\right\}", r"\left\langle x\right\rangle", r"\left. x\right|_0", r"{}^3",
        r"\left(\frac{a}{b}\right)^2", r"^3", r"x^{a_b}", r"x_{}", r"\pi_\theta", r"a \mod n", r"SU(2)_L\times U(1)_Y",
        r"D^{*0}\bar D^0", r"\big( x \big)", r"\{a\}",
    ],
)  # fmt: skip
def test_a_formula_that_is_whole_stays_as_it_was_written(formula: str) -> None:
    assert latex(f"On ${formula}$ of bees") == f"On ${formula}$ of bees"


def test_a_long_formula_is_looked_at_in_no_time() -> None:
    assert latex("$" + r"\hat" * 4000 + "$").startswith(r"\$")


FORMULA = st.lists(
    st.sampled_from([r"\hat", r"\frac", r"\left", r"\right", "(", "x", "^", "_", "{", "}", r"\{", r"\sqrt", "["])
)


@reproducible
@given(FORMULA)
def test_a_formula_that_passes_ends_with_its_own_dollar(parts: list[str]) -> None:
    said = latex(f"${' '.join(parts)}$")
    if said.startswith("$") and parts:
        assert parts[-1] not in {r"\hat", r"\frac", r"\left", r"\right", r"\sqrt", "^", "_", "{"}
        assert parts.count(r"\left") == parts.count(r"\right")


@pytest.mark.parametrize("sign", "\u061c\u200b\u200e\u200f\u202a\u202e\u2060\u2066\u2069\ufeff\ufff9")
def test_signs_that_turn_or_hide_what_follows_are_in_no_text(sign: str) -> None:
    assert plain(f"Good {sign}elif.exe{sign}") == "Good elif.exe"
    assert latex(f"On $x{sign}y$") == "On $xy$"


def test_signs_that_letters_need_stay() -> None:
    assert (
        plain("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645") == "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    )

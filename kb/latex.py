r"""LaTeX in the texts of strangers: as plain text to read and compare, and plain text as LaTeX that does what it says and
nothing else.

arXiv's titles are plain text with some LaTeX in it: formulas between dollars, accents, `\emph`. Formulas are told from
prices as Pandoc does: the first dollar has no space behind it, the second none before it and no digit after it.
"""

import re
from functools import cache
from itertools import accumulate
from typing import Any

from kb.text import plain

LONGEST = 20_000  # characters; what is longer is no title, name or abstract, and stays as it is
_FORMULA = re.compile(r"(?<![\\$])\$(?=[^\s$])((?:[^$\\]|\\.)*?(?:[^$\\\s]|\\.))\$(?![\d$])")
_SIGNS = re.compile(r"[\\${}~]|``|''")
_BARE = re.compile(r"(?<!\\)([%$&])")
_MACRO = re.compile(r"\\([A-Za-z]+|.)", re.DOTALL)
# Turns the direction of what follows, or hides in it: nothing that a title needs.
_UNSEEN = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")
# What formulas of titles are made of, beyond the signs and letters that the library knows by name.
_BUILDING = frozenset(
    "frac tfrac dfrac sqrt left right big Big text textit textbf textrm textsf textsc texttt mathrm mathbf mathit mathsf "
    "mathtt mathcal mathbb mathfrak mathscr boldsymbol operatorname hat widehat bar overline underline tilde widetilde vec "
    "dot ddot rm bf it sf tt cal ensuremath log ln exp min max sup inf lim sin cos tan det dim ker deg mod quad".split()
)
_SPACES = frozenset(",;:! %_&{}|-")


def readable(text: str) -> str:
    r"""TEXT as a person reads it: `Schr\"odinger $\alpha$` is Schrödinger α. What is no LaTeX stays as it is."""
    if not _SIGNS.search(text) or len(text) > LONGEST:
        return plain(text)
    parts = [_read(part) if is_formula else _read(_BARE.sub(r"\\\1", part)) for is_formula, part in _parted(text)]
    return plain("".join(parts))


def _read(part: str) -> str:
    """The library's reading; it gives up on what is nested too deeply, or lacks an argument."""
    try:
        return str(_reader().latex_to_text(part))
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, RecursionError):
        return part


def latex(text: str) -> str:
    """TEXT as LaTeX with balanced braces, on one line: formulas as they were written where they are nothing but
    formulas, all else as the characters that it is.
    """
    parts = [
        part if is_formula and _is_harmless(part[1:-1]) else _with_its_spaces(part, characters(readable(part)))
        for is_formula, part in _parted(plain(text))
    ]
    return "".join(parts)


def characters(text: str) -> str:
    """TEXT as LaTeX that shows exactly these characters: nothing in it is taken for LaTeX."""
    return str(_encoder().unicode_to_latex(_UNSEEN.sub("", plain(text))))


def _with_its_spaces(part: str, said: str) -> str:
    """What was made of a piece, with the spaces that part it from the formulas beside it."""
    before, after = part[:1].isspace(), part[-1:].isspace()
    return f"{' ' if before else ''}{said}{' ' if after and said else ''}"


def _parted(text: str) -> list[tuple[bool, str]]:
    """TEXT as pieces: whether one is a formula, and the piece, with its dollars."""
    parts, begin = [], 0
    for found in _FORMULA.finditer(text):
        parts += [(False, text[begin : found.start()]), (True, found[0])]
        begin = found.end()
    return [(is_formula, part) for is_formula, part in [*parts, (False, text[begin:])] if part]


def _is_harmless(formula: str) -> bool:
    """Whether a formula is signs, letters and building blocks: no command that reads a file or defines another, no
    character written by its number, no brace or comment that reaches beyond its end.
    """
    if "^^" in formula or _UNSEEN.search(formula) or not _is_balanced(formula):
        return False
    names = [found[1] for found in _MACRO.finditer(formula)]
    bare = _MACRO.sub("", formula)
    return not re.search(r"[%#&~\\\"]", bare) and all(map(_is_known, names))


def _is_balanced(formula: str) -> bool:
    """As BibTeX counts: an escaped brace is a brace."""
    depths = list(accumulate((character == "{") - (character == "}") for character in formula))
    return not depths or (min(depths) >= 0 and depths[-1] == 0)


def _is_known(name: str) -> bool:
    if name in _BUILDING or name in _SPACES:
        return True
    spec = _words().get_macro_spec(name)
    sign = getattr(spec, "simplify_repl", None)
    return isinstance(sign, str) and len(sign) == 1 and not sign.isspace()


# --- the library, made once ------------------------------------------------------------------------------------------


@cache
def _words() -> Any:
    from pylatexenc.latex2text import get_default_latex_context_db

    return get_default_latex_context_db()


@cache
def _reader() -> Any:
    from pylatexenc.latex2text import LatexNodes2Text

    return LatexNodes2Text(latex_context=_words(), math_mode="text", keep_comments=True)


@cache
def _encoder() -> Any:
    from pylatexenc.latexencode import RULE_DICT, UnicodeToLatexConversionRule, UnicodeToLatexEncoder

    # BibTeX counts a brace behind a backslash too, so braces are written by their names.
    braces = {ord("{"): r"\textbraceleft", ord("}"): r"\textbraceright"}
    rules = [UnicodeToLatexConversionRule(RULE_DICT, braces), "defaults"]
    return UnicodeToLatexEncoder(conversion_rules=rules, unknown_char_policy="keep", unknown_char_warning=False)

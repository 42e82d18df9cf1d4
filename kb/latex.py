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
# What formulas of titles are made of, beyond the signs and letters that the library knows by name: what takes as many
# arguments, and what takes none.
_TAKING = dict.fromkeys("frac tfrac dfrac".split(), 2) | dict.fromkeys(
    "sqrt text textit textbf textrm textsf textsc texttt mathrm mathbf mathit mathsf mathtt mathcal mathbb mathfrak "
    "mathscr boldsymbol operatorname hat widehat bar overline underline tilde widetilde vec dot ddot ensuremath mod "
    "left right big Big".split(),
    1,
)
_BUILDING = frozenset("rm bf it sf tt cal log ln exp min max sup inf lim sin cos tan det dim ker deg quad".split())
_SPACES = frozenset(",;:! %_&{}|-")
_SIGN = re.compile(r"\\[A-Za-z]+|\\?\S")
_ROOT = re.compile(r"(\\sqrt)\s*\[[\w+-]*\]")  # which root it is
_DELIMITERS = frozenset("()[]|/.<>")


def readable(text: str) -> str:
    r"""TEXT as a person reads it: `Schr\"odinger $\alpha$` is Schrödinger α. What is no LaTeX stays as it is."""
    if not _SIGNS.search(text) or len(text) > LONGEST:
        return plain(text)
    parts = [
        _read_formula(part) if is_formula else _read(_BARE.sub(r"\\\1", part)) for is_formula, part in _parted(text)
    ]
    return plain("".join(parts))


def _read_formula(part: str) -> str:
    return _read(part) if _is_whole(part[1:-1]) else part


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
    return str(_encoder().unicode_to_latex(plain(text)))


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
    character written by its number, no brace, comment or command without its argument that reaches beyond its end.
    """
    if "^^" in formula or not _is_balanced(formula) or not _is_whole(formula):
        return False
    names = [found[1] for found in _MACRO.finditer(formula)]
    bare = _MACRO.sub("", formula)
    return not re.search(r"[%#&~\\\"]", bare) and all(map(_is_known, names))


def _is_balanced(formula: str) -> bool:
    """As BibTeX counts: an escaped brace is a brace."""
    depths = list(accumulate((character == "{") - (character == "}") for character in formula))
    return not depths or (min(depths) >= 0 and depths[-1] == 0)


def _is_whole(formula: str) -> bool:
    """Whether its braces are balanced and all that takes something has it, so that nothing takes the dollar at the end."""
    signs = _SIGN.findall(_ROOT.sub(r"\1", formula))
    ends: dict[int, int] = {}  # of what can be an argument, by where it begins
    closing: list[int] = []
    for at in range(len(signs) - 1, -1, -1):
        sign = signs[at]
        if sign == "}":
            closing.append(at)
        elif sign == "{" and closing:
            ends[at] = closing.pop() + 1
        elif sign == "{" or (end := _behind(sign, at + 1, signs, ends)) is None:
            return False
        elif sign not in "^_":
            ends[at] = end
    return not closing and _is_paired(signs)


def _behind(sign: str, at: int, signs: list[str], ends: dict[int, int]) -> int | None:
    """Where that ends which SIGN takes from AT on; None where there is too little."""
    for _ in range(1 if sign in "^_" else _TAKING.get(sign.removeprefix("\\"), 0) if sign[0] == "\\" else 0):
        if at not in ends or (sign == r"\sqrt" and signs[at] == "["):
            return None
        at = ends[at]
    return at


def _is_paired(signs: list[str]) -> bool:
    r"""Whether each `\left` has its `\right` within the same braces, and each of them something to draw."""
    begun: list[str] = []
    for sign, following in zip(signs, [*signs[1:], ""], strict=True):
        if sign in {r"\left", r"\right"} and following not in _DELIMITERS and following[:1] != "\\":
            return False
        if sign in {"{", r"\left"}:
            begun.append(sign)
        elif sign in {"}", r"\right"} and (not begun or begun.pop() != ("{" if sign == "}" else r"\left")):
            return False
    return not begun


def _is_known(name: str) -> bool:
    if name in _TAKING or name in _BUILDING or name in _SPACES:
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

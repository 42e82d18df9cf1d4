"""Which of the questions in a body belongs to which of the untitled texts below it."""

import re

_COMMON = frozenset(
    "a an and are as at be but by can do does for from how in into is it its of on or that the this to was what when which why with".split()
)


def pair(texts: list[str], named: dict[str, str]) -> dict[str, str]:
    """Pair each of TEXTS with at most one title of NAMED (title → the sentence it stands in), each title at most once.

    Sources are listed in the order in which the body first names them, so place counts; shared words count more,
    because a body may name a note that the list leaves out. Returns text → title.
    """
    if not texts or not named:
        return {}
    from scipy.optimize import linear_sum_assignment

    titles = list(named)
    words = [_stems(f"{title} {title} {sentence}") for title, sentence in named.items()]
    cost = [
        [-_overlap(_stems(text), words[j]) + 0.3 * abs(i / len(texts) - j / len(titles)) for j in range(len(titles))]
        for i, text in enumerate(texts)
    ]
    rows, columns = linear_sum_assignment(cost)
    return {texts[i]: titles[j] for i, j in zip(rows, columns, strict=True)}


def _stems(text: str) -> set[str]:
    """Content words, cut to six letters: enough to join `collapse` and `collapses`."""
    return {word[:6] for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in _COMMON}


def _overlap(one: set[str], other: set[str]) -> float:
    return len(one & other) / (len(one) * len(other)) ** 0.5 if one and other else 0.0

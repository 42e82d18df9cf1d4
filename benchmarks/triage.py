"""Triage against labels, beside two plain rankings: `python -P benchmarks/triage.py [--labels FILE_OR_FOLDER] [--json]`.

Every claim ranks every paper of the set, not only those that it is labelled with. Recall is over all labelled pairs
that are not "unrelated"; a paper without a label counts as not relevant, so precision is a lower bound. The baselines
rank by the cosine of a paper's title and abstract with the claim's title, and by bm25 of the claim's words. They take
no stance; beside ours stands what the commonest stance of the tuning part would have been right by.

The labels of the house are sets, each a folder with `claims.jsonl`, `papers.jsonl` and `pairs.jsonl`
(benchmarks/triage/README.md); weights were made from the part "tuning", and the part "measured" was only measured. Labels
of somebody else are such a folder, or a folder of such folders, or one file with a pair a line: {"claim": {"id", "title",
"body"?, "topics"?, "contract"?, "split"?}, "paper": {"arxiv", "title", "abstract"}, "stance", "second"?}. All of them count as
"measured", unless a claim has a "split". "second" is the stance that a second reader named without knowing the first.

With --json, one object:
    {"papers": int, "seconds": float, "matcher": str,         seconds of processor time, to match alone
     "parts": {"measured": PART, "tuning": PART},             a part that has no claims is left out
     "sets": {NAME: {"measured": PART, "tuning": PART}}}      the same set by set, where there are several
    PART = {"claims": int, "pairs": int, "relevant": int, "at": 10,
            "ours": RANKED, "cosine": RANKED, "words": RANKED,
            "stance": {"spoke": int, "of": int, "share": float, "right": int, "accuracy": float | null,
                       "low": float, "high": float,           exact 95 % bounds of the accuracy
                       "by_stance": {STANCE: {"spoke": int, "right": int, "of": int}},
                       "related": {"spoke", "of", "right", "accuracy", "low", "high"},   without the pairs labelled unrelated
                       "commonest": float},
            "reader": null | {"of": int, "agrees": float,     pairs that a second reader labelled, blind; on whether a paper bears
                              "unrelated": int, "right": int, "accuracy": float | null, "low": float, "high": float}}
    RANKED = {"found": int, "recall": float, "low": float, "high": float, "precision": float}
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args

import numpy as np
from pydantic import ValidationError

from claims.papers.triage import MATCHER, ClaimText, Match, Stance, match
from claims.papers.triage_text import Numbers, stems
from kb import embedding
from kb.embedding import Embedder
from kb.search import terms_of
from kb.sources.arxiv_record import Record
from verifiers.stats import binomial_lower, binomial_upper

LABELS = Path(__file__).parent / "triage" / "hands"
AT = 10  # what a person would read of one claim in a week
SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)
Made = TypeVar("Made")
Ranking = Mapping[str, Sequence[str]]  # claim id → arXiv ids, best first


class BadLabels(Exception):
    """The labels cannot be used: where and why."""


class Pair(NamedTuple):
    """A claim and a paper, and how somebody says that they stand to each other; and, if there was one, a second reader."""

    claim: str
    paper: str
    stance: Stance
    second: Stance | None = None


class Labels(NamedTuple):
    """Claims by their part, papers, and what is known of some pairs of them."""

    claims: dict[str, ClaimText]
    part: dict[str, str]
    papers: dict[str, Record]
    pairs: list[Pair]

    def of(self, part: str) -> list[Pair]:
        """The pairs of one part."""
        return [pair for pair in self.pairs if self.part[pair.claim] == part]


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description="How well triage ranks and how often its stances are right.")
    parser.add_argument(
        "--labels", type=Path, default=LABELS, help="a JSONL file of pairs, a folder like one of ours, or of several"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    asked = parser.parse_args()
    try:
        sets = read_sets(asked.labels)
    except BadLabels as error:
        sys.exit(f"triage: {error}")
    kept = {name: labels for name, labels in sets.items() if labels.of("measured")}
    found = measure(kept or sets, embedding.load())  # of what was fitted to, only what was asked for by name
    print(json.dumps(found) if asked.json else table(found))


# --- labels ----------------------------------------------------------------------------------------------------------


def read_sets(path: Path) -> dict[str, Labels]:
    """The labels at PATH by the names of their sets: a folder of folders has several.

    Raises:
        BadLabels: when there are none, or a line cannot be used: which, and what is wrong with it.
    """
    folders = sorted(path.glob("*/claims.jsonl"))
    return {file.parent.name: read(file.parent) for file in folders} or {path.stem: read(path)}


def read(path: Path) -> Labels:
    """The labels of one set.

    Raises:
        BadLabels: when there are none, or a line cannot be used: which, and what is wrong with it.
    """
    if path.is_dir():
        return _from_folder(path)
    labels = Labels({}, {}, {}, [])
    for where, row in _rows(path):
        claim = _claim(_needed(row, "claim", where), where)
        paper = _paper(_needed(row, "paper", where), where)
        _add(labels.claims, claim.id, claim, where)
        _add(labels.papers, paper.arxiv, paper, where)
        part = _part_of(row["claim"]) or labels.part.get(claim.id, "measured")
        if labels.part.setdefault(claim.id, part) != part:
            raise BadLabels(f"{where}: the claim {claim.id!r} had another 'split' before")
        _pair(labels, Pair(claim.id, paper.arxiv, *_stances(row, where)), where)
    return _usable(labels, path)


def _from_folder(path: Path) -> Labels:
    labels = Labels({}, {}, {}, [])
    for where, row in _rows(path / "claims.jsonl"):
        claim = _claim(row, where)
        _add(labels.claims, claim.id, claim, where)
        labels.part[claim.id] = _part_of(row) or "measured"
    for where, row in _rows(path / "papers.jsonl"):
        paper = _paper(row, where)
        _add(labels.papers, paper.arxiv, paper, where)
    for where, row in _rows(path / "pairs.jsonl"):
        pair = Pair(str(_needed(row, "claim", where)), str(_needed(row, "paper", where)), *_stances(row, where))
        for name, known in ((pair.claim, labels.claims), (pair.paper, labels.papers)):
            if name not in known:
                raise BadLabels(f"{where}: nothing is called {name!r} in claims.jsonl or papers.jsonl")
        _pair(labels, pair, where)
    return _usable(labels, path)


def _part_of(said: Any) -> str:
    """The part that a claim says it is of, if it does."""
    return str(said.get("split") or "") if isinstance(said, dict) else ""


def _rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The objects of a JSONL file, each with where it stands."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadLabels(f"{path} cannot be read: {error}") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path.name}, line {number}"
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise BadLabels(f"{where}: no JSON: {error}") from error
        if not isinstance(row, dict):
            raise BadLabels(f"{where}: {type(row).__name__} instead of an object")
        rows.append((where, row))
    return rows


def _needed(row: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in row:
        raise BadLabels(f"{where}: says no {key!r}")
    return row[key]


def _claim(said: Any, where: str) -> ClaimText:
    if isinstance(said, str):
        said = {"title": said}
    if not isinstance(said, dict):
        raise BadLabels(f"{where}: the claim is {type(said).__name__}, not an object with 'id' and 'title'")
    fields = {name: said[name] for name in ClaimText.model_fields if said.get(name) is not None}
    return _valid(lambda: ClaimText.model_validate({"id": str(said.get("title", "")), **fields}), where)


def _paper(said: Any, where: str) -> Record:
    if not isinstance(said, dict):
        raise BadLabels(
            f"{where}: the paper is {type(said).__name__}, not an object with 'arxiv', 'title' and 'abstract'"
        )
    unsaid = {
        "arxiv": said.get("id") or said.get("title"),
        "abstract": "",
        "version": 1,
        "authors": (),
        "categories": (),
        "published_at": SOME_DAY,
        "updated_at": SOME_DAY,
    }
    fields = {name: said[name] for name in ("arxiv", "title", "abstract") if said.get(name) is not None}
    return _valid(lambda: Record.model_validate({**unsaid, **fields}), where)


def _valid(make: Callable[[], Made], where: str) -> Made:
    try:
        return make()
    except ValidationError as error:
        first = error.errors()[0]
        raise BadLabels(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _stances(row: Mapping[str, Any], where: str) -> tuple[Stance, Stance | None]:
    """What a pair was labelled, and what a second reader said of it."""
    second = row.get("second")
    return _stance(_needed(row, "stance", where), where), None if second is None else _stance(second, where)


def _stance(said: Any, where: str) -> Stance:
    for stance in get_args(Stance):
        if said == stance:
            known: Stance = stance
            return known
    raise BadLabels(f"{where}: the stance is {said!r}; it has to be one of {', '.join(get_args(Stance))}")


def _add(known: dict[str, Any], name: str, said: Any, where: str) -> None:
    if known.setdefault(name, said) != said:
        raise BadLabels(f"{where}: {name!r} stands here with another text than before")


def _pair(labels: Labels, pair: Pair, where: str) -> None:
    if any((known.claim, known.paper) == (pair.claim, pair.paper) for known in labels.pairs):
        raise BadLabels(f"{where}: the pair of {pair.claim!r} and {pair.paper!r} is labelled twice")
    labels.pairs.append(pair)


def _usable(labels: Labels, path: Path) -> Labels:
    if not labels.pairs:
        raise BadLabels(f"{path} has no pairs")
    return labels


# --- measuring -------------------------------------------------------------------------------------------------------


class Judged(NamedTuple):
    """A labelled pair beside what was made of it."""

    claim: tuple[str, str]  # with its set
    part: str
    stance: Stance
    second: Stance | None
    says: str
    places: Mapping[str, int]  # of the paper in each ranking for the claim, from 0
    of: int  # papers that were ranked


def measure(sets: Mapping[str, Labels], embedder: Embedder) -> dict[str, Any]:
    """Everything that is printed, as data. Each claim ranks the papers of its own set."""
    begun = time.process_time()
    matched = {
        name: match(list(labels.claims.values()), list(labels.papers.values()), embedder)
        for name, labels in sets.items()
    }
    seconds = time.process_time() - begun
    pairs = [one for name, labels in sets.items() for one in judged(name, labels, matched[name], embedder)]
    commonest = _commonest([pair for pair in pairs if pair.part == "tuning"] or pairs)
    found = {
        "papers": sum(len(labels.papers) for labels in sets.values()),
        "seconds": round(seconds, 2),
        "matcher": MATCHER,
        "parts": _parts(pairs, commonest),
    }
    if len(sets) > 1:
        found["sets"] = {name: _parts([pair for pair in pairs if pair.claim[0] == name], commonest) for name in sets}
    return found


def judged(
    name: str, labels: Labels, matched: Mapping[str, Sequence[tuple[str, Match]]], embedder: Embedder
) -> list[Judged]:
    """The labelled pairs of one set, each with its places in the rankings, and what was said of it."""
    claims, papers = list(labels.claims.values()), list(labels.papers.values())
    rankings: dict[str, Ranking] = {
        "ours": {claim: [arxiv for arxiv, _ in found] for claim, found in matched.items()},
        "cosine": by_cosine(claims, papers, embedder),
        "words": by_words(claims, papers),
    }
    said = {(claim, arxiv): one.says for claim, found in matched.items() for arxiv, one in found}
    return [
        Judged(
            claim=(name, pair.claim),
            part=labels.part[pair.claim],
            stance=pair.stance,
            second=pair.second,
            says=said[pair.claim, pair.paper],
            places={who: ranking[pair.claim].index(pair.paper) for who, ranking in rankings.items()},
            of=len(papers),
        )
        for pair in labels.pairs
    ]


def by_cosine(claims: Sequence[ClaimText], papers: Sequence[Record], embedder: Embedder) -> Ranking:
    """Papers by the cosine of title and abstract with the claim."""
    vectors = embedder.encode([f"{paper.title}. {paper.abstract}" for paper in papers])
    asked = embedder.encode([claim.title for claim in claims])
    return _ranked(claims, papers, list(asked @ vectors.T))


def by_words(claims: Sequence[ClaimText], papers: Sequence[Record]) -> Ranking:
    """Papers by bm25 of the claim's words."""
    texts = [stems(f"{paper.title} {paper.abstract}") for paper in papers]
    return _ranked(claims, papers, [_bm25(_terms(claim.title), texts) for claim in claims])


def _terms(text: str) -> list[str]:
    """The stems in TEXT that are worth looking for, each once."""
    return list(dict.fromkeys(stem for term in terms_of(text) for stem in stems(term)))


def _bm25(wanted: Sequence[str], texts: Sequence[Sequence[str]], k: float = 1.2, b: float = 0.75) -> Numbers:
    """How well each of TEXTS, given as stems, answers the words that are WANTED (Robertson and Zaragoza 2009, with the
    constants that SQLite's index has).
    """
    lengths = np.array([len(text) for text in texts], dtype=float)
    scores = np.zeros(len(texts))
    norm = k * (1 - b + b * lengths / (lengths.mean() or 1.0)) if len(texts) else lengths
    for stem in wanted:
        counts = np.array([text.count(stem) for text in texts], dtype=float)
        holders = np.count_nonzero(counts)
        rarity = np.log(1 + (len(texts) - holders + 0.5) / (holders + 0.5))
        scores += rarity * counts * (k + 1) / (counts + norm + 1e-9)
    return scores


def _ranked(claims: Sequence[ClaimText], papers: Sequence[Record], scores: Sequence[Any]) -> Ranking:
    return {
        claim.id: [papers[index].arxiv for index in np.argsort(-score, kind="stable")]
        for claim, score in zip(claims, scores, strict=True)
    }


def _parts(pairs: Sequence[Judged], commonest: Stance) -> dict[str, Any]:
    """What came out for each part that has pairs."""
    return {
        part: _part([pair for pair in pairs if pair.part == part], commonest)
        for part in sorted({pair.part for pair in pairs})
    }


def _part(pairs: Sequence[Judged], commonest: Stance) -> dict[str, Any]:
    relevant = [pair for pair in pairs if pair.stance != "unrelated"]
    return {
        "claims": len({pair.claim for pair in pairs}),
        "pairs": len(pairs),
        "relevant": len(relevant),
        "at": AT,
        **{who: _quality(pairs, relevant, who) for who in ("ours", "cosine", "words")},
        "stance": {
            **_spoken(pairs),
            "by_stance": {stance: _counts(pairs, stance) for stance in get_args(Stance)},
            "related": _spoken(relevant),
            "commonest": _ratio(sum(pair.stance == commonest for pair in pairs), len(pairs)),
        },
        "reader": _reader([pair for pair in pairs if pair.second]),
    }


def _quality(pairs: Sequence[Judged], relevant: Sequence[Judged], who: str) -> dict[str, Any]:
    """How much of what is relevant stands among the first ten, and how much of the first ten is."""
    found = sum(pair.places[who] < AT for pair in relevant)
    read = sum(min(AT, of) for of in {pair.claim: pair.of for pair in pairs}.values())
    return {"found": found, "recall": _ratio(found, len(relevant)), **_bounds(found, len(relevant)),
            "precision": _ratio(found, read)}  # fmt: skip


def _spoken(pairs: Sequence[Judged]) -> dict[str, Any]:
    """How often it speaks of a stance, and is right."""
    spoken = [pair for pair in pairs if pair.says != "unsure"]
    right = sum(pair.says == pair.stance for pair in spoken)
    return {
        "spoke": len(spoken),
        "of": len(pairs),
        "share": _ratio(len(spoken), len(pairs)),
        **_rated(right, len(spoken)),
    }


def _reader(pairs: Sequence[Judged]) -> dict[str, Any] | None:
    """How often a second reader agrees, and is right in calling a paper unrelated: what can be asked of ours."""
    if not pairs:
        return None
    said = [pair for pair in pairs if pair.second == "unrelated"]
    right = sum(pair.stance == "unrelated" for pair in said)
    agrees = sum((pair.stance == "unrelated") == (pair.second == "unrelated") for pair in pairs)
    return {
        "of": len(pairs),
        "agrees": _ratio(agrees, len(pairs)),
        "unrelated": len(said),
        **_rated(right, len(said)),
    }


def _counts(pairs: Sequence[Judged], stance: Stance) -> dict[str, int]:
    spoken = [pair for pair in pairs if pair.says == stance]
    return {
        "spoke": len(spoken),
        "right": sum(pair.stance == stance for pair in spoken),
        "of": sum(pair.stance == stance for pair in pairs),
    }


def _rated(right: int, of: int) -> dict[str, Any]:
    """How often what was said is right."""
    return {"right": right, "accuracy": _ratio(right, of) if of else None, **_bounds(right, of)}


def _bounds(count: int, of: int) -> dict[str, float]:
    """Exact 95 % bounds of a share (Clopper and Pearson 1934)."""
    if not of:
        return {"low": 0.0, "high": 1.0}
    return {"low": round(binomial_lower(count, of, 0.975), 4), "high": round(binomial_upper(count, of, 0.975), 4)}


def _ratio(count: int, of: int) -> float:
    return round(count / of, 4) if of else 0.0


def _commonest(pairs: Sequence[Judged]) -> Stance:
    return Counter(pair.stance for pair in pairs).most_common(1)[0][0]


# --- showing ---------------------------------------------------------------------------------------------------------


def table(found: Mapping[str, Any]) -> str:
    """What people read."""
    lines = [
        f"{found['papers']} papers, those of its set ranked for each claim, in {found['seconds']} s of processor time"
    ]
    for name, part in found["parts"].items():
        lines += ["", f"{name}: {part['claims']} claims, {part['pairs']} pairs, {part['relevant']} of them relevant"]
        lines += [f"  {'':8} recall at {AT}                precision at {AT}"]
        for who in ("ours", "cosine", "words"):
            one = part[who]
            lines.append(
                f"  {who:8} {one['recall']:.3f} [{one['low']:.3f}, {one['high']:.3f}]       {one['precision']:.3f}"
            )
        lines += [*_stance_lines(part["stance"]), *_reader_lines(part["reader"])]
        lines += [_set_line(which, parts[name]) for which, parts in found.get("sets", {}).items() if name in parts]
    return "\n".join(lines)


def _set_line(name: str, part: Mapping[str, Any]) -> str:
    ours, stance = part["ours"], part["stance"]
    recall = f"recall {ours['recall']:.3f} [{ours['low']:.3f}, {ours['high']:.3f}] of {part['relevant']}"
    others = f"cosine {part['cosine']['recall']:.3f}, words {part['words']['recall']:.3f}"
    return (
        f"  set {name}: {recall} ({others}); speaks on {stance['spoke']} of {stance['of']}, right in {stance['right']}"
    )


def _reader_lines(reader: Mapping[str, Any] | None) -> list[str]:
    if reader is None:
        return []
    return [
        f"  a second reader of {reader['of']} pairs: agrees in {reader['agrees']:.3f} on whether a paper bears; says "
        f"unrelated of {reader['unrelated']}, right in {_accuracy(reader)}"
    ]


def _accuracy(one: Mapping[str, Any]) -> str:
    return "—" if one["accuracy"] is None else f"{one['accuracy']:.3f} [{one['low']:.3f}, {one['high']:.3f}]"


def _stance_lines(stance: Mapping[str, Any]) -> list[str]:
    def said(name: str, one: Mapping[str, Any]) -> str:
        return f"  {name}: speaks on {one['spoke']} of {one['of']} ({one['share']:.0%}), right in {_accuracy(one)}"

    by = ", ".join(f"{name} {one['right']}/{one['spoke']} of {one['of']}" for name, one in stance["by_stance"].items())
    return [
        said("stance", stance),
        said("of relevant pairs alone", stance["related"]),
        f"  right of said, of labelled: {by}",
        f"  always the commonest stance (of the tuning part, where there is one): right in {stance['commonest']:.3f}",
    ]


if __name__ == "__main__":
    main()

"""Search beside what a user would pick instead, on the same texts: `python -P benchmarks/search.py [--notes N]`.

The alternative for meaning is `sentence_transformers.util.semantic_search` over vectors held in memory; for words, a scan of all
texts with Python's `in`. Ours includes both rankings, fusion, filters and the reasons. Texts are the example library's sentences in
new orders; their meaning does not matter here.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from claims import library
from kb import embedding
from kb.search import Filters, search
from kb.sources import front_matter
from kb.text import sentences

EXAMPLES = Path(__file__).parent.parent / "examples" / "library"
QUESTIONS = (
    "what does a policy pay for its reward",
    "own text and the twin's text",
    "why does a good fit prove little",
)


def main() -> None:
    """Build a store, and print times and ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--notes", type=int, default=1000)
    count = parser.parse_args().notes
    with tempfile.TemporaryDirectory() as folder:
        texts = written(Path(folder) / "notes", count)
        store = library.create(Path(folder) / "library.db", datetime.now(UTC))
        begun = time.perf_counter()
        library.bring_in(store, [Path(folder) / "notes"], datetime.now(UTC))
        print(f"import of {count} notes: {time.perf_counter() - begun:.1f} s")
        begun = time.perf_counter()
        library.bring_in(store, [Path(folder) / "notes"], datetime.now(UTC))
        print(f"the same again, nothing changed: {time.perf_counter() - begun:.1f} s")
        embedder = embedding.load()
        begun = time.perf_counter()
        made = embedding.embed_due(store, embedder, lambda _done, _total: None)
        print(f"embedding of {made} passages: {time.perf_counter() - begun:.1f} s")
        with store.reading() as session:
            ours = median(lambda question: search(session, question, embedder, Filters(), 10))
        theirs = instead(embedder, texts)
        print(
            f"search: {1000 * ours:.0f} ms; semantic_search and a scan: {1000 * theirs:.0f} ms; ratio {ours / theirs:.2f}"
        )


def written(folder: Path, count: int) -> list[str]:
    """COUNT notes of ten sentences each, and their texts."""
    folder.mkdir()
    chance = random.Random(0)  # noqa: S311 - order of sentences
    pool = [
        said
        for page in sorted(EXAMPLES.rglob("*.md"))
        for said in sentences(front_matter.split(page.read_text())[1])
        if "[[" not in said
    ]
    texts = [" ".join(chance.sample(pool, 10)) for _ in range(count)]
    for number, text in enumerate(texts):
        (folder / f"note-{number}.md").write_text(f"---\ntitle: Note number {number}\n---\n{text}\n")
    return texts


def instead(embedder: embedding.Embedder, texts: list[str]) -> float:
    """The median time of the alternative."""
    from sentence_transformers.util import semantic_search

    passages = [
        f"{one} {other}" for text in texts for one, other in zip(sentences(text), sentences(text)[1:], strict=False)
    ]
    vectors = embedder.encode(passages[:2000])
    tiled = vectors.repeat(len(passages) // len(vectors) + 1, 0)[: len(passages)]

    def both(question: str) -> object:
        found = [text for text in texts if any(word in text for word in question.split())]
        return semantic_search(embedder.encode([question]), tiled, top_k=10), found

    return median(both)


def median(work: Callable[[str], object]) -> float:
    """The median over questions, asked three times each after a warm-up."""
    spent = []
    for question in QUESTIONS * 4:
        begun = time.perf_counter()
        work(question)
        spent.append(time.perf_counter() - begun)
    return statistics.median(spent[len(QUESTIONS) :])


if __name__ == "__main__":
    main()

"""What code means and what it uses, read from its source and never imported: the ground that a certificate stands on.

A result depends on the functions that were run, not on the files they stand in, so what is reached from a name is
followed name by name: whoever adds a function beside one that was tried has changed nothing that was tried.
"""

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

# What carries requests and answers, and cannot change a number.
PLUMBING = frozenset(
    f"verifiers.{name}" for name in "measurement records registry table certificate provenance sources".split()
)
Target = tuple[str, str]  # a module and a name in it; without a name, all of the module
BEGINNING = "<what runs when it is imported>"


@dataclass
class Source:
    """A module's top-level statements by the names that they define, and what its imports lead to."""

    module: str
    package: str  # that its relative imports start from
    names: dict[str, list[ast.stmt]] = field(default_factory=lambda: {BEGINNING: []})
    imported: dict[str, Target] = field(default_factory=dict)


def reached(*roots: str) -> tuple[str, ...]:
    """The sources of ROOTS (`module` or `module:name`) and, through any number of steps, of every top-level name that
    they use in their own packages and in ours; sorted, without comments, docstrings and layout.

    A server may live longer than the code that it began with, so the files are read again when one of them was written.
    """
    own = frozenset({"verifiers", *(root.partition(":")[0].partition(".")[0] for root in roots)})
    return _reached(roots, own, tuple(_written(own)))


def _written(packages: frozenset[str]) -> Iterator[tuple[str, int, int]]:
    """The files of PACKAGES, when each was written, and its size."""
    for package in sorted(packages):
        begin = _file_of(package)
        if begin is None:
            continue
        for path in sorted(begin.parent.rglob("*.py")) if begin.name == "__init__.py" else [begin]:
            if not path.is_file():
                continue  # an editor's lock is a link to nothing
            facts = path.stat()
            yield str(path), facts.st_mtime_ns, facts.st_size


@lru_cache(maxsize=64)
def _reached(roots: tuple[str, ...], own: frozenset[str], _files: tuple[tuple[str, int, int], ...]) -> tuple[str, ...]:
    waiting: list[Target] = [(module, name) for module, _, name in (root.partition(":") for root in roots)]
    sources: dict[str, Source | None] = {}
    found: dict[Target, str] = {}
    while waiting:
        module, name = target = waiting.pop()
        if target in found or module in PLUMBING or module.partition(".")[0] not in own:
            continue
        if module not in sources:
            sources[module] = _read(module)
        source = sources[module]
        if source is None:
            continue
        if name in source.imported:  # handed on from elsewhere
            waiting.append(source.imported[name])
        elif not name:
            waiting += [(module, one) for one in source.names]
        elif name in source.names:
            found[target] = "\n".join(map(_meaning, source.names[name]))
            waiting += [(module, BEGINNING), (source.package, BEGINNING), *_used(source, source.names[name])]
            waiting += [(imported, BEGINNING) for imported, _ in source.imported.values()]
    return tuple(f"{module}:{name}\n{text}" for (module, name), text in sorted(found.items()) if text)


def _read(module: str) -> Source | None:
    """The source of a module; None where it has no file that can be read."""
    path = _file_of(module)
    if path is None:
        return None
    source = Source(module, module if path.name == "__init__.py" else module.rpartition(".")[0])
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            source.imported |= dict(_imports(statement, source.package))
        else:
            for name in _defined(statement) or [BEGINNING]:
                source.names.setdefault(name, []).append(statement)
    return source


def _file_of(module: str) -> Path | None:
    """The file of a module, found without importing it; None for a name that is none (a function, a class)."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        return None
    if not rest:
        return Path(spec.origin)
    stem = Path(spec.origin).parent.joinpath(*rest)
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)


def _imports(statement: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, Target]]:
    """The names that an import binds, and what each leads to: a module, or a name in one."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            bound = alias.name if alias.asname else alias.name.partition(".")[0]
            yield alias.asname or bound, (bound, "")
        return
    module = importlib.util.resolve_name("." * statement.level + (statement.module or ""), package)
    for alias in statement.names:
        inner = f"{module}.{alias.name}"
        if alias.name == "*":
            yield "*", (module, "")
        else:
            yield alias.asname or alias.name, (inner, "") if _file_of(inner) else (module, alias.name)


def _defined(statement: ast.stmt) -> list[str]:
    """The top-level names that a statement gives a meaning to."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    return sorted(
        {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    )


def _used(source: Source, statements: list[ast.stmt]) -> Iterator[Target]:
    """What STATEMENTS use of their own module and of those it imports: of a module the names that are asked of it, or
    all of it where it is used in another way, or imported with a star.
    """
    nodes = [node for statement in statements for node in ast.walk(statement)]
    leads = {name: (source.module, name) for name in source.names} | source.imported
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):  # inside a function
            leads |= dict(_imports(node, source.package))
    followed: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module, name = leads.get(node.value.id, ("", ""))
            if module and not name:
                followed.add(id(node.value))
                yield from ((module, node.attr), (f"{module}.{node.attr}", ""))
    names = [node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in followed]
    yield from (leads[name] for name in (*names, "*") if name in leads)


def _meaning(statement: ast.stmt) -> str:
    """A statement without comments, docstrings and layout."""
    for node in ast.walk(statement):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return "" if is_text else ast.unparse(statement)

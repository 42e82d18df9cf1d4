"""YAML at the head of a Markdown page, read as data only: no tags, no aliases, no key twice."""

import json
from typing import Any

import yaml
from frontmatter.default_handlers import YAMLHandler

from kb.errors import PageError

_HANDLER = YAMLHandler()


class DataLoader(yaml.SafeLoader):
    """YAML that can only be plain data and cannot grow when it is read."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's stubs
        if isinstance(event, yaml.AliasEvent):
            raise PageError(f"uses a YAML alias in its front matter ({_line(event)}): write the value out")
        if event.tag is not None:
            raise PageError(
                f"uses the YAML tag {event.tag} in its front matter ({_line(event)}): only plain values are read"
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise PageError(f"has the key {twice!r} twice in its front matter ({_line(node)})")
        return super().construct_mapping(node, deep)


def split(text: str) -> tuple[dict[str, Any], str]:
    """The front matter of TEXT and the body below it.

    Raises:
        PageError: when the front matter is not plain YAML data, or does not end.
    """
    text = text.strip()
    if not _HANDLER.detect(text):
        return {}, text
    try:
        head, body = _HANDLER.split(text)
    except ValueError as error:
        raise PageError("has front matter without an end: a line `---` is missing below it") from error
    try:
        data = _HANDLER.load(head, Loader=DataLoader)
        json.dumps(data, ensure_ascii=False, skipkeys=True, default=str).encode()
    except UnicodeEncodeError as error:
        raise PageError("has half a character in its front matter (a lone surrogate): no file can keep it") from error
    except ValueError as error:
        raise PageError(f"has front matter with a date or number that does not exist: {error}") from error
    except RecursionError as error:
        raise PageError("has front matter that is nested too deeply") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise PageError(f"has front matter that is no YAML: {where}{getattr(error, 'problem', error)}") from error
    if not isinstance(data, dict | None):
        raise PageError("has front matter that is no list of `key: value` lines")
    return data or {}, body.strip()


def _line(node: Any) -> str:
    return f"line {node.start_mark.line + 1}"

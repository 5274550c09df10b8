"""Read a YAML file that people write: safely, with no key given twice, and with words for what is wrong."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import yaml

LARGEST_FILE = 5 * 1024 * 1024


class Unreadable(Exception):
    """A file cannot be read as YAML: `where` in it, and what was expected there."""

    def __init__(self, where: str, expected: str) -> None:
        super().__init__(f"{where}: expected {expected}")
        self.where, self.expected = where, expected


class _UniqueKeyLoader(yaml.CSafeLoader):
    """Safe YAML that refuses a key given twice, which would silently lose the first."""


def _mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        try:
            is_twice = key in seen
        except TypeError:
            raise yaml.constructor.ConstructorError(None, None, "a key is not a plain word", key_node.start_mark) from None
        if is_twice:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read(path: Path) -> tuple[dict[str, Any], str]:
    """Return the mapping at the top of a file and the digest of its bytes.

    Raises:
        Unreadable: it is missing, too large, not UTF-8, not YAML, or not a mapping.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise Unreadable("", "a file of at most 5 MB")
        raw = path.read_bytes()
        # Comments may speak of lines; the loader is a subclass of the safe one.
        content = yaml.load(raw.decode("utf-8"), Loader=_UniqueKeyLoader)  # nosec B506  # noqa: S506
    except OSError:
        raise Unreadable("", "a file that can be read") from None
    except UnicodeDecodeError:
        raise Unreadable("", "UTF-8 text") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else ""
        raise Unreadable(where, f"valid YAML ({getattr(error, 'problem', None) or 'not readable'})") from None
    if not isinstance(content, dict):
        raise Unreadable("", "a mapping at the top")
    return content, hashlib.sha256(raw).hexdigest()

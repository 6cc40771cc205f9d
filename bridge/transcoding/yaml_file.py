"""Reads files in YAML, and says where they are wrong."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml


class YamlError(Exception):
    """A file that can't be read as YAML."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, where YAML 1.2 has an error, and PyYAML takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        first: dict[str, yaml.Mark] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            earlier = first.setdefault(key.value, key.start_mark)
            if earlier is not key.start_mark:
                problem = f"{key.value} stands here again, after line {earlier.line + 1}"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


def read(path: Path) -> Any:
    """Return what a file has, None if that is nothing.

    Raises:
        YamlError: it can't be read, is no YAML, or has a key twice.
    """
    try:
        # The loader is a safe one.
        return yaml.load(path.read_bytes(), _Loader)  # noqa: S506
    except OSError as error:
        raise YamlError(f"{path} can't be read: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = path if mark is None else f"{path}, line {mark.line + 1}"
        told = ", ".join(filter(None, (error.context, error.problem)))
        raise YamlError(f"{where}: {told}") from None
    except yaml.YAMLError as error:
        raise YamlError(f"{path}: {str(error).splitlines()[0]}") from None

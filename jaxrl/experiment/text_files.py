"""Reading the text files of a run's folder, which may be damaged, or made by somebody else.

Only plain data comes out: no YAML tags, no aliases, nothing that takes more time or memory than its file is long.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

from jaxrl.experiment.errors import UserError

LARGEST_CONFIG = 256 * 1024
"""Bytes of a configuration; parsing as much takes seconds."""
LARGEST_JSON = 64 * 1024**2
LARGEST_TABLE = 4 * 1024**3


@functools.cache
def _plain_loader() -> type:
    """The YAML loader, whose package is imported when it is first needed."""
    import yaml

    class PlainLoader(yaml.SafeLoader):
        """YAML without aliases, a few of which can stand for billions of items, and with each key once."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.composer.ComposerError(None, None, "aliases are not taken", self.peek_event().start_mark)
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            mapping = super().construct_mapping(node, deep)
            if len(mapping) < len(node.value):
                raise yaml.constructor.ConstructorError(None, None, "a key stands there twice", node.start_mark)
            return mapping

    return PlainLoader


def read_yaml(path: Path) -> Any:
    """The plain data of a YAML file.

    Raises:
        OSError: if it cannot be read.
        UserError: if it is not YAML.
    """
    import yaml

    data = _read(path, LARGEST_CONFIG)
    try:
        return yaml.load(data.decode(), _plain_loader())
    except Exception as error:  # the parser raises many kinds, such as the ValueError of an impossible date
        raise UserError(f"{path} is not valid YAML: {reason(error)}") from None


def read_json(path: Path) -> Any:
    """The data of a JSON file. Raises as ``read_yaml``."""
    data = _read(path, LARGEST_JSON)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON: {reason(error)}") from None


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]], list[str]]:
    """Columns and rows of a run's table of numbers, with commas between them, as far as they can be read.

    Returns:
        The names of the columns; the rows by column, each a text of a number or empty, with whole ``steps`` and
        ``seed``, and the last of those that are doubled; and the lines that are damaged or doubled. A last line without
        a line break was being written: it is neither.

    Raises:
        OSError: if it cannot be read.
        UserError: if it is too large, or two columns have the same name.
    """
    header, *lines = _read(path, LARGEST_TABLE).decode(errors="replace").split("\n")[:-1] or [""]
    columns = header.rstrip("\r").split(",") if header else []
    if len(set(columns)) < len(columns):
        raise UserError(f"{path} is not the table of a run: two of its columns have the same name")
    rows: dict[tuple[str, str], dict[str, str]] = {}
    bad = []
    for line in lines:
        fields = line.rstrip("\r").split(",")
        row = dict(zip(columns, fields, strict=False))
        place = row.get("steps", ""), row.get("seed", "0")
        if len(fields) != len(columns) or not (all(map(_is_number, fields)) and all(map(_is_count, place))):
            bad.append(line)
            continue
        if place in rows:
            bad.append(line)
        rows[place] = row
    return columns, list(rows.values()), bad


def reason(error: BaseException, longest: int = 200) -> str:
    """What an error says, as the end of a sentence of bounded length."""
    text = "it is nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
    text = re.sub(r"[^\x20-\x7e\xa0-\uffff]", "?", text) or type(error).__name__
    return text if len(text) <= longest else f"{text[:longest]}..."


def _read(path: Path, largest: int) -> bytes:
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise UserError(f"{path} is not a file")  # a pipe would be waited for
    with path.open("rb") as file:
        data = file.read(largest + 1)
    if len(data) > largest:
        raise UserError(f"{path} is larger than {largest:,} bytes: it is not the file of a run")
    return data


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20


def _is_number(text: str) -> bool:
    try:
        return not text or float(text) is not None
    except ValueError:
        return False

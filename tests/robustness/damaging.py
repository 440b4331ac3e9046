"""Ways to damage a file: cut, flip, empty, delete, and more."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path, random.Random], None]


def _rewrite(change: Callable[[bytes, random.Random], bytes]) -> Damage:
    return lambda path, rng: path.write_bytes(change(path.read_bytes(), rng)) and None


def _flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(max(1, len(changed) // 500)):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _insert(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data) + 1)
    what = rng.choice([b"\x00", b"\xff\xfe", b"\n\n", b"{", b"'", b": [", b"\r", b","])
    return data[:place] + what * rng.choice([1, 1, 50]) + data[place:]


def _lines(change: Callable[[list[bytes], random.Random], list[bytes]]) -> Damage:
    return _rewrite(lambda data, rng: b"".join(change(data.splitlines(keepends=True), rng)))


def _without_one(lines: list[bytes], rng: random.Random) -> list[bytes]:
    place = rng.randrange(len(lines)) if lines else 0
    return lines[:place] + lines[place + 1 :]


def _doubled(lines: list[bytes], rng: random.Random) -> list[bytes]:
    place = rng.randrange(len(lines)) if lines else 0
    return lines[: place + 1] + lines[place:]


def _delete(path: Path, rng: random.Random) -> None:
    path.unlink()


def _folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _other(path: Path, rng: random.Random) -> None:
    """Another file of the same folder in its place."""
    others = [p for p in sorted(path.parent.iterdir()) if p.is_file() and p != path]
    if others:
        shutil.copyfile(rng.choice(others), path)
    else:
        path.write_bytes(b"\x00" * 64)


DAMAGES: dict[str, Damage] = {
    "cut": _rewrite(lambda data, rng: data[: rng.randrange(len(data) or 1)]),
    "flipped": _rewrite(_flip),
    "emptied": _rewrite(lambda data, rng: b""),
    "deleted": _delete,
    "a folder": _folder,
    "another file": _other,
    "inserted": _rewrite(_insert),
    "a line less": _lines(_without_one),
    "a line twice": _lines(_doubled),
    "noise": _rewrite(lambda data, rng: rng.randbytes(max(16, len(data)))),
}
"""By name: a function of a path and a source of randomness."""

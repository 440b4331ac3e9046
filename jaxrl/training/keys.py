"""Keys that say what they are for: the run's key, folded with a purpose, then with a counter."""

from __future__ import annotations

import enum

import jax

from jaxrl.counters import Counter
from jaxrl.types import Key


class Purpose(enum.IntEnum):
    """What a key is drawn for. Values are part of a run's reproducibility: never renumber them."""

    INIT = 0
    RESET = 1
    PREFILL = 2
    COLLECT = 3
    UPDATE = 4
    EVALUATE = 5


def key_for(key: Key, purpose: Purpose, counter: Counter | None = None) -> Key:
    """The key of one purpose, at one count."""
    if counter is None:
        return jax.random.fold_in(key, int(purpose))
    # The purpose shares a word with the count's upper half: one hash less in every iteration's program.
    return jax.random.fold_in(jax.random.fold_in(key, (counter.high << 8) | int(purpose)), counter.low)

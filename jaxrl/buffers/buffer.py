"""What a replay buffer is: a frozen record of pure functions."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax

from jaxrl.types import Array, Key, Sample


@dataclasses.dataclass(frozen=True, eq=False)
class Buffer:
    """A replay buffer: a frozen record of pure functions.

    Attributes:
        init: ``init() -> state``: zeros, ``nbytes`` of them.
        add: ``add(state, transitions, valid=None) -> state``: one transition ``[B, ...]`` of each of the
            ``B`` environments; where the mask ``valid`` ``[B]`` is false nothing is stored. One buffer is
            always given a mask or never.
        sample: ``sample(state, key, batch_size, hp) -> Sample``. Of ``hp`` it reads ``discount`` if steps are
            added up, ``priority_exponent`` and ``importance_exponent`` if it is prioritised; otherwise it may be None.
        set_priorities: ``set_priorities(state, indices, priorities, hp) -> state``; does nothing for
            uniform replay. An index out of range, or of a place that is not held, is passed over.
        interrupt: ``interrupt(state) -> state``: the episodes that are being recorded will not go on (their simulators
            have been started anew): the newest transition of each environment counts as truncated.
        size: ``size(state)``: the number of transitions held.
        capacity: the number that it can hold.
        nbytes: the memory that it will take.
        prioritized: whether priorities mean anything to it.
    """

    init: Callable[[], Any]
    add: Callable[..., Any]
    sample: Callable[[Any, Key, int, Any], Sample]
    set_priorities: Callable[[Any, Array, Array, Any], Any]
    interrupt: Callable[[Any], Any]
    size: Callable[[Any], Array]
    capacity: int
    nbytes: int
    prioritized: bool = False


def batches(
    buffer: Buffer, state: Callable[[], Any], key: Key, batch_size: int, hp: Any = None
) -> Iterator[Sample]:
    """Batches without end, for a Python loop that reads from a buffer as from a data loader.

    Args:
        buffer: what is read from.
        state: ``state()`` is its state at the time, so that what has been added meanwhile can be drawn.
        key: of all batches; the ``i``-th has a key of its own.
        batch_size: transitions of each.
        hp: see ``Buffer.sample``.
    """
    sample = jax.jit(buffer.sample, static_argnums=2)
    for i in itertools.count():
        yield sample(state(), jax.random.fold_in(key, i), batch_size, hp)

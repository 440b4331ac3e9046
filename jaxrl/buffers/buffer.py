"""What a replay buffer is: a frozen record of pure functions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

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

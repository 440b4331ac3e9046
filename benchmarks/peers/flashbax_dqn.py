"""Contender: the plain double DQN on flashbax's item buffer."""

from __future__ import annotations

from typing import Any, NamedTuple

import flashbax
import plain_dqn


class ItemBuffer(NamedTuple):
    """flashbax's buffer with the face that ``plain_dqn`` expects."""

    state: Any

    @classmethod
    def make(cls, example: plain_dqn.Transition, capacity: int) -> ItemBuffer:
        cls.functions = flashbax.make_item_buffer(
            max_length=capacity, min_length=plain_dqn.BATCH_SIZE, sample_batch_size=plain_dqn.BATCH_SIZE
        )
        return cls(cls.functions.init(example))

    def add(self, transition: plain_dqn.Transition) -> ItemBuffer:
        return ItemBuffer(self.functions.add(self.state, transition))

    def sample(self, key: Any) -> plain_dqn.Transition:
        return self.functions.sample(self.state, key).experience


if __name__ == "__main__":
    plain_dqn.main(ItemBuffer.make, ("flashbax",))

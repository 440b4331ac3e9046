import dataclasses

import pytest
from gymnasium import spaces

from jaxrl.types import OffPolicy, OnPolicy, Spec


def test_steps_of_an_iteration():
    assert OnPolicy(num_envs=4, rollout_length=128).steps_per_iteration == 512
    feed = OffPolicy(num_envs=3, batch_size=256, prefill=100, buffer=None, steps_per_update=5, updates_per_iteration=7)
    assert feed.steps_per_iteration == 15


def test_a_spec_is_compared_by_its_spaces_and_cannot_be_changed():
    spec = Spec("name", spaces.Box(-1, 1, (2,)), spaces.Discrete(3))
    assert spec == Spec("name", spaces.Box(-1, 1, (2,)), spaces.Discrete(3))
    assert spec != Spec("name", spaces.Box(-1, 1, (2,)), spaces.Discrete(4))
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.name = "other"

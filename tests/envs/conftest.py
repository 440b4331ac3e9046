"""Environments small enough to be followed by hand."""

from __future__ import annotations

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl.envs import Environment, transition_step


def counting(length: int = 4, limit: int | None = None) -> Environment:
    """Counts its steps from a random tenth, gets 2 each step, and terminates after ``length`` of them."""

    def reset(key):
        start = jax.random.uniform(key, maxval=0.1)
        return (jnp.zeros((), jnp.int32), start), start[None]

    def step(state, action, key):
        count, start = state[0] + 1, state[1]
        return (count, start), transition_step(start[None] + count, 2.0, count >= length)

    space = spaces.Box(0, np.inf, (1,), np.float32)
    return Environment("counting", space, spaces.Discrete(2), reset, step, limit)


class Counter(gymnasium.Env):
    """Observes its number, episode and step; its reward is the action; ends after ``length`` steps."""

    def __init__(self, length: int = 3, number: int = 0, terminates: bool = True, observation: str = "box"):
        self.length, self.number, self.terminates, self.kind = length, number, terminates, observation
        self.episode, self.actions = -1, []
        box = spaces.Box(-np.inf, np.inf, (3,), np.float64)
        nested = {"count": spaces.Discrete(100), "frame": spaces.Box(0, 255, (2, 2), np.uint8)}
        self.observation_space = {
            "box": box,
            "dict": spaces.Dict(nested),
            "tuple": spaces.Tuple((box, spaces.Discrete(100))),
        }[observation]
        self.action_space = spaces.Box(np.array([-1.0, 0.0], np.float32), np.array([3.0, 10.0], np.float32))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.count = self.episode + 1, 0
        return self._observe(), {}

    def step(self, action):
        self.actions.append(np.array(action))
        self.count += 1
        ended = self.count >= self.length
        return self._observe(), float(action[0]), ended and self.terminates, ended, {"count": self.count}

    def _observe(self):
        vector = np.array([self.number, self.episode, self.count], np.float64)
        match self.kind:
            case "dict":
                return {"count": self.count, "frame": np.full((2, 2), self.count, np.uint8)}
            case "tuple":
                return vector, self.count
        return vector


@pytest.fixture(name="counting")
def counting_fixture():
    return counting


@pytest.fixture(name="Counter")
def counter_fixture():
    return Counter

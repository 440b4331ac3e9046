"""Action masks that an environment of Gymnasium tells beside its observations, in ``info``."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from jaxrl.envs.errors import InvalidValue
from jaxrl.observations import ACTION_MASK, num_choices
from jaxrl.types import PyTree


class MaskFromInfo(gymnasium.Wrapper):
    """Puts ``info["action_mask"]`` into the observation, where algorithms look for it.

    A ``Dict`` observation gets one entry more; another one becomes the entry ``observation`` of a ``Dict``. Where an
    ``info`` has no mask, everything is allowed.
    """

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self._choices = num_choices(env.action_space)
        inner = env.observation_space
        self._is_dict = isinstance(inner, spaces.Dict)
        parts = dict(inner.spaces) if self._is_dict else {"observation": inner}
        self.observation_space = spaces.Dict({**parts, ACTION_MASK: spaces.MultiBinary(self._choices)})

    def reset(self, **options: Any) -> tuple[PyTree, dict[str, Any]]:
        observation, info = self.env.reset(**options)
        return self._with_mask(observation, info, "reset"), info

    def step(self, action: Any) -> tuple[PyTree, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._with_mask(observation, info, "step"), reward, terminated, truncated, info

    def _with_mask(self, observation: PyTree, info: dict[str, Any], call: str) -> dict[str, Any]:
        # Nonzero is allowed, whatever the dtype: a cast to integers would forbid 0.5.
        mask = np.ravel(info[ACTION_MASK]) != 0 if ACTION_MASK in info else np.ones(self._choices, bool)
        if mask.size != self._choices:
            sentence = f"info[{ACTION_MASK!r}] with {mask.size} entries: it must have {self._choices} entries"
            raise InvalidValue(type(self.unwrapped).__name__, call, sentence)
        parts = observation if self._is_dict else {"observation": observation}
        return {**parts, ACTION_MASK: mask.astype(np.int8)}

"""Environments that raise, return or declare what they must not: each factory of ``ODD`` makes one."""

from __future__ import annotations

import gymnasium
import numpy as np
from gymnasium import spaces


class Fine(gymnasium.Env):
    """Nothing is wrong with it, but for what a change below makes of it."""

    observation_space = spaces.Box(-10, 10, (3,), np.float32)
    action_space = spaces.Discrete(2)
    t = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(3, np.float32), {}

    def step(self, action):
        self.t += 1
        return np.zeros(3, np.float32), 1.0, False, self.t >= 10, {}


def _raises(error):
    def function(self, *args, **kwargs):
        raise error

    return function


def _steps(*values):
    return lambda self, action: values


NOTHING = np.zeros(3, np.float32)
CHANGES = {
    "reset_raises": {"reset": _raises(RuntimeError("the simulator\nis gone"))},
    "reset_exits": {"reset": _raises(SystemExit(3))},
    "reset_returns_nothing": {"reset": lambda self, **_: None},
    "reset_returns_an_observation": {"reset": lambda self, **_: NOTHING},
    "reset_takes_no_seed": {"reset": lambda self: (NOTHING, {})},
    "step_raises": {"step": _raises(ValueError("odd"))},
    "step_raises_a_key_error": {"step": _raises(KeyError("state"))},
    "step_has_a_broken_pipe": {"step": _raises(BrokenPipeError("simulator"))},
    "step_ends_the_iteration": {"step": _raises(StopIteration())},
    "step_is_out_of_memory": {"step": _raises(MemoryError())},
    "step_asserts": {"step": _raises(AssertionError())},
    "step_returns_nothing": {"step": lambda self, action: None},
    "step_returns_two": {"step": _steps(NOTHING, 1.0)},
    "step_returns_six": {"step": _steps(NOTHING, 1.0, False, False, {}, 1)},
    "reward_is_nan": {"step": _steps(NOTHING, float("nan"), False, True, {})},
    "reward_is_infinite": {"step": _steps(NOTHING, float("inf"), False, True, {})},
    "reward_is_none": {"step": _steps(NOTHING, None, False, True, {})},
    "reward_is_text": {"step": _steps(NOTHING, "1", False, True, {})},
    "reward_is_a_vector": {"step": _steps(NOTHING, np.ones(3), False, True, {})},
    "end_is_a_text": {"step": _steps(NOTHING, 1.0, "yes", True, {})},
    "end_is_a_list": {"step": _steps(NOTHING, 1.0, [False, True], True, {})},
    "observation_is_none": {"step": _steps(None, 1.0, False, True, {})},
    "observation_is_longer": {"step": _steps(np.zeros(4, np.float32), 1.0, False, True, {})},
    "observation_is_a_scalar": {"step": _steps(0.0, 1.0, False, True, {})},
    "observation_is_text": {"step": _steps("here", 1.0, False, True, {})},
    "observation_is_a_dict": {"step": _steps({"a": NOTHING}, 1.0, False, True, {})},
    "observation_is_nan": {"step": _steps(NOTHING * np.nan, 1.0, False, True, {})},
    "no_action_space": {"action_space": None},
    "no_observation_space": {"observation_space": None},
    "action_is_a_text": {"action_space": spaces.Text(3)},
    "observation_is_a_graph": {"observation_space": spaces.Graph(spaces.Box(-1, 1, (1,)), None)},
    "no_actions": {"action_space": spaces.Box(-1, 1, (0,), np.float32)},
    "reset_has_no_memory": {"reset": _raises(OSError(12, "no memory"))},
    "spaces_are_functions": {"action_space": lambda self: spaces.Discrete(2)},
}


def _made(name, change):
    return type(name, (Fine,), change)


globals().update({name: _made(name, change) for name, change in CHANGES.items()})


def returns_nothing():
    return None


def returns_a_class():
    return Fine


def returns_a_list():
    return [Fine()]


def raises():
    raise RuntimeError("no licence\nfor this simulator")


def exits():
    raise SystemExit("bye")


def needs_something(what):
    return Fine()


not_callable = 7
ODD = (
    *CHANGES, "returns_nothing", "returns_a_class", "returns_a_list", "raises", "exits", "needs_something",
    "not_callable",
    "missing",
)  # fmt: skip
MODULES = {
    "syntax_error": "def make(:\n",
    "raises_on_import": "raise RuntimeError('two\\nlines')\n",
    "exits_on_import": "import sys\nsys.exit(5)\n",
    "imports_nothing": "import a_module_that_is_not_there\n",
    "null_byte": "x = 1\x00\n",
    "imports_itself": "from imports_itself import make\n",
    "empty": "",
}
"""Modules that are odd themselves, by name."""

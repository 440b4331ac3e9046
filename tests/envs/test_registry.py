import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import envs
from jaxrl.envs import Environment, HostEnvironment, registry
from jaxrl.envs.probes import constant_reward


@pytest.fixture(autouse=True)
def own_names(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})


class Mine(gymnasium.Env):
    observation_space, action_space = spaces.Box(0, 1, (1,)), spaces.Discrete(2)

    def __init__(self, size=1):
        self.observation_space = spaces.Box(0, 1, (size,))


def test_a_compiled_suite_is_preferred_and_a_prefix_chooses():
    assert isinstance(envs.make("CartPole-v1"), Environment)
    assert isinstance(envs.make("gymnax:CartPole-v1"), Environment)
    assert isinstance(envs.make("gymnasium:CartPole-v1"), HostEnvironment)
    assert isinstance(envs.make("Blackjack-v1"), HostEnvironment), "only Gymnasium has it"
    assert envs.make("gymnasium:CartPole-v1").name == envs.make("gymnax:CartPole-v1").name == "CartPole-v1"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CartPole-v7", r"env='CartPole-v7': there is no such environment; did you mean 'CartPole-v1'\?"),
        ("cartpole-v1", r"did you mean 'CartPole-v1'\?"),
        ("gymnax:Pendulm-v1", r"gymnax has no such environment; did you mean 'Pendulum-v1'\?"),
        ("gymnas:CartPole-v1", r"no suite or module 'gymnas'; did you mean 'gymna"),
        ("jaxrl.envs.probes:constant_rewards", r"has no function 'constant_rewards'; did you mean 'constant_reward'\?"),
        ("", "must be the name of an environment"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(name, message):
    with pytest.raises(ValueError, match=message):
        envs.make(name)


def test_register():
    envs.register("Mine", lambda reward=1: constant_reward().env)
    assert envs.make("Mine").name == "constant_reward"
    assert envs.names()["registered"] == ["Mine"]
    with pytest.raises(ValueError, match=r"its factory cannot be called with the given parameters .*'speed'"):
        envs.make("Mine", speed=2)
    with pytest.raises(ValueError, match="did you mean 'Mine'"):
        envs.make("Mines")
    with pytest.raises(ValueError, match="without a colon"):
        envs.register("a:b", Mine)
    with pytest.raises(TypeError, match="must be a function"):
        envs.register("Mine", 3)


def test_a_gymnasium_class_can_be_registered():
    envs.register("Mine", Mine)
    env = envs.make("Mine", size=3)
    assert isinstance(env, HostEnvironment)
    assert (env.name, env.observation_space.shape) == ("Mine", (3,))


def test_actions_are_left_alone_where_that_is_asked_for():
    unbounded = lambda env: not np.isfinite(env.action_space.low).any()
    for name in ("Pendulum-v1", "gymnasium:Pendulum-v1"):
        assert unbounded(envs.make(name, clip_actions=False)) and not unbounded(envs.make(name))
    envs.register("Class", gymnasium.envs.classic_control.PendulumEnv)
    assert unbounded(envs.make("Class", clip_actions=False))
    # Nothing is clipped where actions are discrete.
    assert envs.make("CartPole-v1", clip_actions=False).action_space == spaces.Discrete(2)
    envs.register("Host", lambda: envs.make("gymnasium:Pendulum-v1"))
    with pytest.raises(ValueError, match="clip_actions=False: Host makes its host environment itself"):
        envs.make("Host", clip_actions=False)


def test_a_factory_by_its_path(tmp_path, monkeypatch):
    (tmp_path / "my_module_of_envs.py").write_text(
        "from jaxrl.envs.probes import two_steps\n"
        "small = lambda continuous=False: two_steps(continuous).env\n"
        "wrong = lambda: 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert isinstance(envs.make("my_module_of_envs:small", continuous=True).action_space, spaces.Box)
    with pytest.raises(TypeError, match="returned a int; it must return a jaxrl Environment"):
        envs.make("my_module_of_envs:wrong")


def test_names():
    names = envs.names()
    assert {"gymnax", "gymnasium"} <= set(names)
    assert "CartPole-v1" in names["gymnax"]
    assert "Ant-v5" in names["gymnasium"]


def test_a_suite_that_is_not_installed_is_passed_over(monkeypatch):
    monkeypatch.setitem(sys.modules, "ale_py", None)
    assert "atari" not in envs.names()
    with pytest.raises(ImportError, match=r"env='Pong': .*pip install 'jaxrl\[atari\]'"):
        envs.make("atari:Pong")
    with pytest.raises(ValueError, match="there is no such environment"):
        envs.make("Pong")


def test_importing_makes_nothing():
    code = "import sys, jaxrl.envs; assert not {'gymnax', 'matplotlib', 'pygame', 'ale_py'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

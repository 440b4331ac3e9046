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


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A function that writes a module of this name, which may register environments with Gymnasium until the end."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = dict(gymnasium.registry)
    yield lambda name, text: (tmp_path / f"{name}.py").write_text(text)
    gymnasium.registry.clear()
    gymnasium.registry.update(before)


REGISTERS = """
import gymnasium
from gymnasium import spaces


class Namespaced(gymnasium.Env):
    metadata = {"render_modes": ["rgb_array", "ansi"]}
    observation_space, action_space = spaces.Box(0, 1, (1,)), spaces.Discrete(2)

    def __init__(self, render_mode=None, size=1):
        if size > 3:
            raise RuntimeError("too large\\nfor this")
        self.render_mode = render_mode


class MyEnv(Namespaced):
    pass


gymnasium.register("MyNs/My-v0", Namespaced)
gymnasium.register("Plain-v1", Namespaced)
"""


def test_an_id_that_a_module_registers_with_gymnasium(module):
    module("module_that_registers", REGISTERS)
    for name in ("MyNs/My-v0", "Plain-v1", "MyEnv"):
        env = envs.make(f"module_that_registers:{name}")
        assert (env.name, env.observation_space.shape) == (f"module_that_registers:{name}", (1,))
    with pytest.raises(ValueError, match=r"^env='module_that_registers:MyNs/Mine-v0': .*MyNs.My-v0"):
        envs.make("module_that_registers:MyNs/Mine-v0")


@pytest.mark.parametrize("name", ["module_of_modes:MyNs/My-v0", "module_of_modes:MyEnv", "gymnasium:CartPole-v1"])
def test_a_render_mode_that_there_is_not_is_told(name, module):
    module("module_of_modes", REGISTERS)
    with pytest.raises(ValueError, match="render_mode='nonsense': must be one of .*rgb_array"):
        envs.make(name, render_mode="nonsense")
    env = envs.make(name, render_mode="rgb_array")
    # What is to be drawn with has precedence.
    other = "human" if "CartPole" in name else "ansi"
    assert (env.make_single(None).render_mode, env.make_single(other).render_mode) == ("rgb_array", other)


@pytest.mark.parametrize(
    ("text", "parameters", "message"),
    [
        ("def make(:\n", {}, r"importing broken_module_{} raised SyntaxError: invalid syntax \(.*py, line 1\)"),
        ("x = 1\n1 / 0\n", {}, r"importing .* raised ZeroDivisionError: division by zero \(.*py, line 2\)"),
        ("raise SystemExit(5)\n", {}, r"importing .* raised SystemExit: 5 \(.*py, line 1\)"),
        ("import surely_not_installed\n", {}, "importing .* raised ModuleNotFoundError: No module named 'surely_not"),
        (REGISTERS, {"size": 4}, r"its factory raised RuntimeError: too large \(.*py, line 12\)"),
        (REGISTERS, {"speed": 4}, "its factory cannot be called with the given parameters .*'speed'"),
    ],
)
def test_modules_and_factories_that_raise_end_in_one_sentence(text, parameters, message, module):
    name = f"broken_module_{abs(hash(text + str(parameters)))}"
    module(name, text)
    with pytest.raises((ValueError, ImportError), match=rf"^env='{name}:MyEnv': {message.format(name[14:])}") as told:
        envs.make(f"{name}:MyEnv", **parameters)
    assert "\n" not in str(told.value)


def test_an_environment_of_an_id_that_raises_is_named():
    gymnasium.register("Raises-v0", lambda: 1 / 0)
    try:
        with pytest.raises(ValueError, match="^env='Raises-v0': it cannot be made, since it raised ZeroDivisionError"):
            envs.make("gymnasium:Raises-v0")
    finally:
        del gymnasium.registry["Raises-v0"]

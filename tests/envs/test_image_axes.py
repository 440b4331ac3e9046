"""Images with their channels first: told, and moved by a switch."""

import dataclasses

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import envs
from jaxrl.envs import registry
from jaxrl.networks.torsos import torso_kind

FIRST = spaces.Box(0, 255, (3, 40, 60), np.uint8)
IMAGE = np.arange(3 * 40 * 60, dtype=np.uint8).reshape(3, 40, 60)


@pytest.fixture(autouse=True)
def own_names(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})


class Pictures(gymnasium.Env):
    """Shows one picture, or it beside a number."""

    action_space = spaces.Discrete(2)

    def __init__(self, nested=False):
        self.nested = nested
        self.observation_space = spaces.Dict(a=FIRST, b=spaces.Box(0, 1, (2,))) if nested else FIRST

    def observe(self, t):
        image = IMAGE + np.uint8(t)
        return {"a": image, "b": np.zeros(2, np.float32)} if self.nested else image

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return self.observe(0), {}

    def step(self, action):
        self.t += 1
        return self.observe(self.t), 1.0, self.t == 2, False, {}


@pytest.mark.parametrize(
    "shape", [(3, 40, 60), (3, 210, 160), (1, 84, 84), (4, 84, 84), (12, 60, 80), (3, 10, 10), (3, 10, 12)]
)
@pytest.mark.parametrize("kind", ["auto", "impala_cnn"])
def test_channels_first_are_refused_with_the_switch(shape, kind):
    space = spaces.Dict(a=spaces.Box(0, 255, shape, np.uint8), b=spaces.Discrete(2))
    for one in (space, space["a"]):
        with pytest.raises(ValueError, match=r"torso=.*\[H, W, C\], but \(.*looks like .*--env.channels_first true"):
            torso_kind(one, kind)
    assert torso_kind(space, "mlp") == "mlp"


@pytest.mark.parametrize(
    "shape", [(40, 60, 3), (210, 160, 3), (84, 84, 4), (7, 7, 3), (10, 10, 10), (8, 8, 119), (4, 5, 26), (21, 79, 64)]
)
def test_channels_last_are_taken_for_what_they_are(shape):
    assert torso_kind(spaces.Box(0, 255, shape, np.uint8)).endswith("cnn")


@pytest.mark.parametrize("nested", [False, True])
def test_the_switch_moves_the_axis_on_the_host(nested):
    envs.register("Pictures", Pictures)
    env = envs.make("Pictures", nested=nested, channels_first=True)
    part = (lambda x: x["a"]) if nested else (lambda x: x)
    assert part(env.observation_space).shape == (40, 60, 3)
    vector = env.make_vector(2)
    first = part(vector.reset(seed=0))
    np.testing.assert_array_equal(first[1], np.moveaxis(IMAGE, 0, -1))
    step = vector.step(np.zeros(2, np.int32)).timestep
    np.testing.assert_array_equal(part(step.observation)[0], np.moveaxis(IMAGE + np.uint8(1), 0, -1))
    vector.send(np.zeros(2, np.int32))
    step = vector.receive_and_send(np.zeros(2, np.int32)).timestep
    np.testing.assert_array_equal(part(step.next_observation)[0], np.moveaxis(IMAGE + np.uint8(2), 0, -1))
    np.testing.assert_array_equal(part(step.observation), first)
    assert part(env.make_single(None).reset()[0]).shape == (40, 60, 3)
    assert torso_kind(env.observation_space) == "nature_cnn"


def test_the_switch_moves_the_axis_of_compiled_environments(counting, key):
    env, image = counting(), jnp.asarray(IMAGE)

    def step(state, action, key):
        state, timestep = env.step(state, action, key)
        return state, timestep._replace(observation=image, next_observation=image)

    pictures = dataclasses.replace(
        env, observation_space=FIRST, reset=lambda key: (env.reset(key)[0], image), step=step
    )
    envs.register("Compiled", lambda: pictures)
    moved = envs.make("Compiled", channels_first=True)
    assert moved.observation_space == spaces.Box(0, 255, (40, 60, 3), np.uint8)
    first, timestep = jax.jit(lambda k: (moved.reset(k)[1], moved.step(moved.reset(k)[0], 0, k)[1]))(key)
    for x in (first, timestep.observation, timestep.next_observation):
        np.testing.assert_array_equal(x, np.moveaxis(IMAGE, 0, -1))


def test_the_switch_needs_an_image():
    with pytest.raises(ValueError, match=r"observation_space=.*no part with three axes \[C, H, W\]"):
        envs.make("CartPole-v1", channels_first=True)
    with pytest.raises(ValueError, match="channels_first='yes': must be true or false"):
        envs.make("CartPole-v1", channels_first="yes")

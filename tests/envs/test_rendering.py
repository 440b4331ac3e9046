import sys

import numpy as np
import pytest

from jaxrl import envs
from jaxrl.envs import rendering


@pytest.mark.parametrize("with_pygame", [True, False])
@pytest.mark.parametrize("name", rendering.CLASSIC)
def test_classic_control(name, with_pygame, key, monkeypatch):
    if with_pygame:
        pytest.importorskip("pygame")
    else:
        rendering._gymnasium_env.cache_clear()
        monkeypatch.setitem(sys.modules, "pygame", None)
    env = envs.make(f"gymnax:{name}")
    state, _ = env.reset(key)
    frame = envs.render(env, state)
    assert frame.dtype == np.uint8
    assert frame.shape[2] == 3
    assert len(np.unique(frame.reshape(-1, 3), axis=0)) > 2
    moved = state.replace(**{rendering.CLASSIC[name][0]: getattr(state, rendering.CLASSIC[name][0]) + 0.3})
    assert (envs.render(env, moved) != frame).any()


def test_grids(key):
    env = envs.make("Breakout-MinAtar")
    frame = envs.render(env, env.reset(key)[0])
    assert frame.shape == (400, 400, 3)
    assert (frame[220, 220] == rendering.PALETTE[0]).all(), "nothing in the middle"
    assert (frame[60, 220] == rendering.PALETTE[4]).all(), "bricks, the fourth channel, at the top"
    assert (frame[380, 180] == rendering.PALETTE[1]).all(), "the paddle, the first channel, at the bottom"


def test_a_grid_of_one_channel():
    frame = rendering.draw_grid(np.eye(2))
    assert frame.shape == (400, 400, 3)
    assert (frame[100, 100] == frame[300, 300]).all()
    assert (frame[100, 100] != frame[100, 300]).any()


def test_wrapped_environments_are_drawn_too(key):
    env = envs.for_training(envs.time_limit(envs.make("Breakout-MinAtar"), 5))
    state, _ = env.reset(key)
    assert envs.render(env, state).shape == (400, 400, 3)


def test_what_cannot_be_drawn(counting, key):
    env = counting()
    with pytest.raises(ValueError, match="env='counting': it cannot be drawn"):
        envs.render(env, env.reset(key)[0])
    assert envs.make("PointRobot-misc").render is None

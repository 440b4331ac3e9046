"""Images with their channels first, as PyTorch has them, with their channels last, as networks here take them."""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxrl.envs.environment import Environment
from jaxrl.envs.host import HostEnvironment, HostStep, VectorEnv
from jaxrl.types import PyTree, TimeStep
from jaxrl.validation import require


def channels_last(env: Environment | HostEnvironment) -> Environment | HostEnvironment:
    """Show images ``[C, H, W]`` as ``[H, W, C]``; in a ``Dict`` or ``Tuple`` every part with three axes.

    Raises:
        ValueError: if no observation has three axes.
    """
    space = env.observation_space
    moved = _space(space)
    require(_has_image(space), "observation_space", space, "has no part with three axes [C, H, W]")
    move = lambda observation: _moved(space, observation)
    if isinstance(env, Environment):
        return _of_compiled(dataclasses.replace(env, observation_space=moved, frame_stack=0), env, move)
    vector = lambda make: None if make is None else (lambda num_envs: _MovedVector(make(num_envs), move))
    single = env.make_single
    return dataclasses.replace(
        env,
        observation_space=moved,
        frame_stack=0,
        make_vector=vector(env.make_vector),
        make_eval_vector=vector(env.make_eval_vector),
        make_single=None if single is None else lambda render_mode: _MovedSingle(single(render_mode), moved, move),
    )


def _of_compiled(moved: Environment, env: Environment, move: Any) -> Environment:
    def reset(key):
        state, observation = env.reset(key)
        return state, move(observation)

    def step(state, action, key):
        state, timestep = env.step(state, action, key)
        return state, _moved_step(timestep, move)

    return dataclasses.replace(moved, reset=reset, step=step)


class _MovedVector(VectorEnv):
    def __init__(self, vector: VectorEnv, move: Any):
        self._vector, self._move, self.num_envs = vector, move, vector.num_envs

    def reset(self, seed: int) -> PyTree:
        return self._move(self._vector.reset(seed))

    def send(self, action: PyTree) -> None:
        self._vector.send(action)

    def receive(self) -> HostStep:
        step = self._vector.receive()
        return step._replace(timestep=_moved_step(step.timestep, self._move))

    def receive_and_send(self, action: PyTree) -> HostStep:
        step = self._vector.receive_and_send(action)
        return step._replace(timestep=_moved_step(step.timestep, self._move))

    def close(self) -> None:
        self._vector.close()


class _MovedSingle(gymnasium.ObservationWrapper):
    def __init__(self, env: gymnasium.Env, space: spaces.Space, move: Any):
        super().__init__(env)
        self.observation_space, self._move = space, move

    def observation(self, observation: PyTree) -> PyTree:
        return self._move(jax.tree.map(np.asarray, observation))


def _moved_step(timestep: TimeStep, move: Any) -> TimeStep:
    observation = move(timestep.observation)
    same = timestep.next_observation is timestep.observation
    return timestep._replace(
        observation=observation, next_observation=observation if same else move(timestep.next_observation)
    )


def _moved(space: spaces.Space, x: PyTree) -> PyTree:
    match space:
        case spaces.Dict():
            return {name: _moved(s, x[name]) for name, s in space.spaces.items()}
        case spaces.Tuple():
            return tuple(_moved(s, x[i]) for i, s in enumerate(space.spaces))
        case spaces.Box(shape=(_, _, _)):
            return jnp.moveaxis(x, -3, -1) if isinstance(x, jax.Array) else np.ascontiguousarray(np.moveaxis(x, -3, -1))
    return x


def _space(space: spaces.Space) -> spaces.Space:
    match space:
        case spaces.Dict():
            return spaces.Dict({name: _space(s) for name, s in space.spaces.items()})
        case spaces.Tuple():
            return spaces.Tuple([_space(s) for s in space.spaces])
        case spaces.Box(shape=(_, _, _)):
            return spaces.Box(np.moveaxis(space.low, 0, -1), np.moveaxis(space.high, 0, -1), dtype=space.dtype)
    return space


def _has_image(space: spaces.Space) -> bool:
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces
        return any(map(_has_image, parts))
    return isinstance(space, spaces.Box) and len(space.shape) == 3

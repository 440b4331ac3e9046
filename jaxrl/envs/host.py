"""The protocol of environments that are stepped on the host: Gymnasium's, ALE's and other simulators."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from gymnasium import spaces

from jaxrl.types import PyTree, Spec, TimeStep


class HostStep(NamedTuple):
    """What ``VectorEnv.step`` returns."""

    timestep: TimeStep
    """NumPy arrays ``[B, ...]``, or JAX's where ``HostEnvironment.device_arrays``. ``info`` has ``episode_return``
    (float32) and ``episode_length`` (int32), the running sums of the raw reward and of the steps, those of the
    whole episode at the step that ends it. It may have ``episode_ended`` (bool): where an episode ended that these
    sums are of, if that is not where ``terminated`` or ``truncated``. (In Atari a lost life terminates what is
    learned from, not the game.)"""
    valid: np.ndarray | None
    """``[B]`` False where nothing happened: the dummy step in which a simulator with next-step reset only
    returns the new episode's first observation. It must not be learned from. None when all are real."""


class VectorEnv(Protocol):
    """``B`` environments stepped together, which reset themselves when an episode ends.

    The arrays that it returns are never written to again. A driver may compute between ``send`` and ``receive``,
    while the environments step; each ``send`` is followed by one ``receive``. Adapters inherit ``step`` and
    ``receive_and_send``.
    """

    num_envs: int

    def reset(self, seed: int) -> PyTree:
        """Start new episodes; the same seed gives the same ones. Returns the observation ``[B, ...]``."""
        ...

    def send(self, action: PyTree) -> None:
        """Begin a step: one action ``[B, ...]`` in each, a ``Box`` in ``[-1, 1]``, a ``Discrete`` counted from 0.

        Where nothing runs by itself, as with environments in this process, it is ``receive`` that does the work.
        """
        ...

    def receive(self) -> HostStep:
        """Wait for the step that ``send`` began."""
        ...

    def step(self, action: PyTree) -> HostStep:
        """Take one action in each: ``send``, then ``receive``."""
        self.send(action)
        return self.receive()

    def receive_and_send(self, action: PyTree) -> HostStep:
        """``receive``, then ``send``: for an action that does not depend on what is received. Simulators that run by
        themselves may go on before the arrays of the last step are made."""
        step = self.receive()
        self.send(action)
        return step

    def close(self) -> None:
        """Stop the simulators."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class HostEnvironment:
    """One environment on the host: how to make any number of them.

    Attributes:
        name: a name for people.
        observation_space: a ``gymnasium.spaces`` space with the dtypes that steps deliver (float32, not float64).
        action_space: the environment's own, with its bounds; ``VectorEnv.step`` takes rescaled actions.
        max_episode_steps: the time limit that truncates, for information.
        make_vector: ``make_vector(num_envs) -> VectorEnv``.
        make_single: ``make_single(render_mode) -> gymnasium.Env``, for rendering; it takes the environment's
            own actions. None if there is no way to make one.
        num_envs: the only number that ``make_vector`` accepts, if there is one.
        make_eval_vector: as ``make_vector``, for evaluations, if they are to play by other rules (Atari: the
            whole game, although a lost life terminates in training).
        frame_stack: see ``Spec.frame_stack``.
        reward_shape: see ``Spec.reward_shape``; with ``(K,)``, ``VectorEnv.step`` gives rewards ``[B, K]``.
        device_arrays: whether vector environments take and give JAX arrays instead of NumPy's, so that drivers leave
            them on their device.
    """

    name: str
    observation_space: spaces.Space
    action_space: spaces.Space
    max_episode_steps: int | None
    make_vector: Callable[[int], VectorEnv]
    make_single: Callable[[str | None], Any] | None = None
    num_envs: int | None = None
    make_eval_vector: Callable[[int], VectorEnv] | None = None
    frame_stack: int = 0
    reward_shape: tuple[int, ...] = ()
    device_arrays: bool = False

    @property
    def spec(self) -> Spec:
        """What an algorithm needs to know to be built."""
        return Spec(
            self.name, self.observation_space, self.action_space, self.max_episode_steps, self.frame_stack,
            self.reward_shape,
        )  # fmt: skip


class RunningEpisodes:
    """The running return and length of ``B`` episodes."""

    def __init__(self, num_envs: int):
        self._returns = np.zeros(num_envs, np.float32)
        self._lengths = np.zeros(num_envs, np.int32)

    def add(self, reward: np.ndarray, ended: np.ndarray, valid: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Count one step ``[B]``, where ``valid``, and start anew where an episode ended; of vectors of rewards
        ``[B, K]`` the sum is counted."""
        returns = self._returns + (reward if reward.ndim == 1 else reward.sum(axis=-1))
        lengths = self._lengths + 1
        if valid is not None:
            returns, lengths = np.where(valid, returns, self._returns), np.where(valid, lengths, self._lengths)
        if np.count_nonzero(ended):  # in a fifth of the time of ``ended.any()``
            self._returns, self._lengths = (
                np.where(ended, np.float32(0), returns),
                np.where(ended, np.int32(0), lengths),
            )
        else:
            self._returns, self._lengths = returns, lengths
        return {"episode_return": returns, "episode_length": lengths}

"""Simulators that step many environments on a device and speak another framework's tensors, over DLPack.

Observations, rewards, ends and actions pass between the frameworks as tensors of the device (``__dlpack__``), never
through the host. The other framework is not imported here: its tensors are known by that method alone.

Source: DLPack's Python specification, https://dmlc.github.io/dlpack/latest/python_spec.html.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from jaxrl import spaces as jax_spaces
from jaxrl.envs.actions import unit_actions, without_bounds
from jaxrl.envs.errors import EnvironmentFailed, InvalidValue
from jaxrl.envs.gate import FIRST, bounds, limits, narrows, short
from jaxrl.envs.gymnasium_adapter import delivered_space, require_supported, takes
from jaxrl.envs.host import HostEnvironment, HostStep, VectorEnv
from jaxrl.types import Array, PyTree, TimeStep
from jaxrl.validation import require

FINAL = ("final_observation", "final_obs")
"""Where an ``info`` may hold the observations before the reset; a row counts where an episode ended."""

TIME_OUTS = "time_outs"
"""Where the ``info`` of a step of four parts says which ends are time limits."""


def from_tensors(
    make: Callable[[int], Any],
    observation_space: spaces.Space,
    action_space: spaces.Space,
    *,
    name: str,
    to_tensor: Callable[[Array], Any] | None = None,
    max_episode_steps: int | None = None,
    reward_shape: tuple[int, ...] = (),
    copies: bool = True,
    clip_actions: bool = True,
) -> HostEnvironment:
    """Adapt a simulator of many environments that returns tensors with ``__dlpack__``, on a GPU or on the host.

    A simulator has a method ``reset``, with or without an argument ``seed``, that returns observations ``[B, ...]``
    or ``observations, info``, and a method ``step(action)`` of either kind:

    - ``observation, reward, terminated, truncated, info``, as Gymnasium's vector environments;
    - ``observation, reward, done, info``, as Isaac Gym's, where ``info["time_outs"]`` tells which ends are time
      limits; without it every end is taken for a termination.

    It resets an episode in the step that ends it. The true final observations are those of
    ``info["final_observation"]`` or ``info["final_obs"]``, batches ``[B, ...]`` too. Without them the observation that
    the last action was chosen from stands for the final one, so that a truncated step bootstraps from there.

    Arrays that are on another device than JAX's default one are moved there, and actions back.

    Args:
        make: ``make(num_envs)`` makes a simulator; one with a method ``close`` is closed.
        observation_space: of one environment. A ``Dict`` may name some of the entries only.
        action_space: of one environment. Actions come with its dtype; 64 bits become 32.
        name: a name for people.
        to_tensor: makes the simulator's kind of tensor of a JAX array, such as ``torch.from_dlpack``; by default it
            gets JAX arrays.
        max_episode_steps: the time limit that it imposes, for information.
        reward_shape: ``(K,)`` if it gives vectors of rewards ``[B, K]``.
        copies: whether observations are copied, on the device. They must be if the simulator writes to tensors that it
            has returned, as most do; one that returns new tensors with each step can do without.
        clip_actions: see ``from_gymnasium``.

    Raises:
        TypeError: if ``make`` or ``to_tensor`` is no function, or there is a space that jaxrl does not support.
        ValueError: when it is made, if a simulator has another number of environments, or does not reset them by
            itself in the step that ends an episode.

    Source: for what a truncated step bootstraps from, rl_games, ``value_bootstrap``.
    """
    for field, function in {"make": make, "to_tensor": to_tensor}.items():
        if not (callable(function) or (field == "to_tensor" and function is None)):
            raise TypeError(f"{field}={function!r}: must be a function, as make=lambda num_envs: MySimulator(num_envs)")
    observation_space = delivered_space(observation_space)
    action_space = action_space if clip_actions else without_bounds(action_space)
    require_supported(observation_space, action_space)
    to_actions = jax.jit(partial(_to_actions, action_space))

    def make_vector(num_envs: int) -> VectorEnv:
        try:
            simulator = make(num_envs)
        except Exception as error:
            raise EnvironmentFailed(name, "construction", error) from error
        made = getattr(simulator, "num_envs", num_envs)
        require(made == num_envs, "num_envs", num_envs, f"make({num_envs}) made a simulator of {made} environments")
        mode = getattr(simulator, "autoreset_mode", None) or (getattr(simulator, "metadata", None) or {}).get(
            "autoreset_mode", AutoresetMode.SAME_STEP
        )
        require(
            mode in (AutoresetMode.SAME_STEP, AutoresetMode.SAME_STEP.value), "autoreset_mode", mode,
            "episodes must begin in the step that ends one; from_vector adapts Gymnasium's other vector environments",
        )  # fmt: skip
        return TensorVectorEnv(
            simulator, num_envs, observation_space, to_actions, to_tensor or (lambda x: x), tuple(reward_shape), copies,
            name,
        )  # fmt: skip

    return HostEnvironment(
        name=name,
        observation_space=observation_space,
        action_space=action_space,
        max_episode_steps=max_episode_steps,
        make_vector=make_vector,
        reward_shape=tuple(reward_shape),
        device_arrays=True,
    )


class Episodes(NamedTuple):
    """The running return and length of ``B`` episodes, as ``RunningEpisodes`` on a device."""

    returns: Array
    lengths: Array


class TensorVectorEnv(VectorEnv):
    """A ``VectorEnv`` of JAX arrays around a simulator of tensors.

    A program runs later than it is called. That the simulator's tensors are complete by then is for ``__dlpack__`` to
    see to. That they have been copied before the simulator writes to them again is seen to here: the copies are waited
    for before each of its steps.
    """

    def __init__(
        self,
        simulator: Any,
        num_envs: int,
        observation_space: spaces.Space,
        to_actions: Callable[[PyTree], PyTree],
        to_tensor: Callable[[Array], Any],
        reward_shape: tuple[int, ...] = (),
        copies: bool = True,
        name: str | None = None,
    ):
        """See ``from_tensors``; ``to_actions`` makes the simulator's actions of canonical ones."""
        self._name, self._call, self._steps = name or type(simulator).__name__, "reset", 0
        self._looks = FIRST
        self.num_envs = num_envs
        self._simulator, self._space, self._reward_shape = simulator, observation_space, reward_shape
        self._to_actions, self._to_tensor, self._copies = to_actions, to_tensor, copies
        self._device = jnp.zeros(()).device
        self._simulator_device: Any = None
        self._observation: PyTree = None
        self._reading: PyTree = ()
        self._actions: tuple[PyTree, PyTree] = ((), ())

    def reset(self, seed: int) -> PyTree:
        """Start new episodes, with the seed if the simulator takes one."""
        self._finish_reading()
        reset = self._simulator.reset
        self._call, self._steps = "reset", 0
        try:
            result = reset(seed=int(seed)) if takes(reset, "seed") else reset()
        except Exception as error:
            raise EnvironmentFailed(self._name, "reset", error, 0) from error
        if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict):
            result, _ = result
        observation = self._elements(self._space, result, "observation")
        self._observation = _copied(observation) if self._copies else observation
        zero = Episodes(jnp.zeros(self.num_envs, jnp.float32), jnp.zeros(self.num_envs, jnp.int32))
        self._episodes = jax.device_put(zero, self._device)
        self._reading = self._observation
        return self._observation

    def send(self, action: PyTree) -> None:
        action = jax.device_put(self._to_actions(action), self._simulator_device)
        self._finish_reading()
        # A simulator on a device reads its actions after its step has returned. Their memory is free for others only
        # when what it made of them has been read, and without copies nothing waits for that but the next action.
        self._actions = (self._actions[1], action)
        tensors = jax.tree.map(self._to_tensor, action)
        try:
            self._result = self._simulator.step(tensors)
        except Exception as error:
            raise EnvironmentFailed(self._name, "step", error, self._steps) from error

    def receive(self) -> HostStep:
        self._call = "step"
        observation, reward, terminated, truncated, info = self._parts(self._result)
        observation = self._elements(self._space, observation, "observation")
        self._looks = 0
        final = next((info[key] for key in FINAL if info.get(key) is not None), None)
        final = self._observation if final is None else self._elements(self._space, final, "final observation")
        timestep, self._episodes = _time_step(
            self._episodes, observation, final, reward, terminated, truncated, copies=self._copies
        )
        if not self._copies:
            timestep = timestep._replace(observation=observation)
        self._observation, self._reading, self._result = timestep.observation, (timestep, self._episodes), None
        self._steps += 1
        return HostStep(timestep, None)

    def close(self) -> None:
        self._finish_reading()
        if hasattr(self._simulator, "close"):
            self._simulator.close()

    def _finish_reading(self) -> None:
        if self._copies:
            jax.block_until_ready(self._reading)

    def _parts(self, result: Any) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """A step of either kind as ``observation, reward, terminated, truncated, info``."""
        parts = len(result) if isinstance(result, tuple | list) else 0
        if parts not in (4, 5):
            raise self._invalid(
                f"{f'{parts} values' if parts else f'a {type(result).__name__}'}: it must return "
                "observation, reward, terminated, truncated, info, or observation, reward, done, info"
            )
        observation, reward, *ends, info = result
        if not isinstance(info, Mapping):
            raise self._invalid(f"info of type {type(info).__name__}: it must be a dictionary, if an empty one")
        reward = self._array(reward, self._reward_shape, "reward")
        if parts == 5:
            ends = self._array(ends[0], (), "terminated"), self._array(ends[1], (), "truncated")
        else:
            time_outs = info.get(TIME_OUTS)
            time_outs = None if time_outs is None else self._array(time_outs, (), f"info[{TIME_OUTS!r}]")
            ends = _split_ends(self._array(ends[0], (), "done"), time_outs)
        return observation, reward, *ends, info

    def _elements(self, space: spaces.Space, tensors: Any, what: str) -> PyTree:
        """A simulator's batch of elements of a space, in JAX, with its shapes and dtypes."""
        if isinstance(space, spaces.Dict | spaces.Tuple):
            parts = {}
            for key, part in jax_spaces.children(space).items():
                try:
                    tensor = tensors[key]
                except (KeyError, IndexError, TypeError):
                    raise self._invalid(f"{what}: the simulator's has no entry {key!r}, which its space has") from None
                parts[key] = self._elements(part, tensor, f"{what}[{key!r}]")
            return parts if isinstance(space, spaces.Dict) else tuple(parts.values())
        array, dtype = self._array(tensors, space.shape, what), jax.dtypes.canonicalize_dtype(space.dtype)
        if jnp.issubdtype(array.dtype, jnp.floating) != jnp.issubdtype(dtype, jnp.floating):
            raise self._invalid(f"{what} of dtype {array.dtype}: its space {short(space)} has {dtype}")
        if narrows(array.dtype, dtype):  # which has to be waited for: a dtype that fits costs nothing
            self._require_within(array, *limits(dtype), f"{what} of dtype {array.dtype}", f"{dtype} holds")
        if self._looks and dtype.kind in "iub":
            self._require_within(array, *bounds(space), what, f"its space {short(space)} has")
        return array.astype(dtype)

    def _require_within(self, array: Array, low: Any, high: Any, what: str, whose: str) -> None:
        if bool(jnp.any((array < low) | (array > high))):
            raise self._invalid(f"{what} out of bounds: {whose} numbers from {np.min(low)} to {np.max(high)}")

    def _invalid(self, sentence: str) -> InvalidValue:
        return InvalidValue(self._name, self._call, sentence, self._steps)

    def _array(self, tensor: Any, shape: tuple[int, ...], what: str) -> Array:
        """A simulator's batch ``[B, *shape]`` where JAX computes."""
        try:
            array, expected = _imported(tensor, what), (self.num_envs, *shape)
        except (TypeError, ValueError) as error:
            raise self._invalid(str(error)) from error
        if array.shape != expected:
            raise self._invalid(
                f"{what} of shape {array.shape}: it must be {expected}, of {self.num_envs} environments"
            )
        self._simulator_device = self._simulator_device or array.device
        placed = array.committed and array.device == self._device
        return array if placed else jax.device_put(array, self._device)


def _imported(tensor: Any, what: str) -> Array:
    """The very memory of a tensor as a JAX array, where its alignment allows that."""
    if isinstance(tensor, jax.Array):
        return tensor
    if not hasattr(tensor, "__dlpack__"):
        raise TypeError(
            f"{what}: the simulator returned a {type(tensor).__name__}; it must be a tensor with __dlpack__, "
            "such as those of PyTorch, CuPy, Warp, NumPy and JAX (entries of a Dict space are such tensors each)"
        )
    try:
        # Its argument ``copy`` is of no use: on a CPU it does not copy (JAX 0.10).
        return jax.dlpack.from_dlpack(tensor)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{what}: JAX cannot take the simulator's {type(tensor).__name__} over DLPack ({error}); it must be "
            "contiguous, writable and without gradients, on a device that JAX was installed for"
        ) from error


def _to_actions(space: spaces.Space, action: PyTree) -> PyTree:
    """Canonical actions as the simulator's own, in new arrays: it may write to them."""
    _, to_bounds = unit_actions(space)
    return jax.tree.map(jnp.copy, to_bounds(action))


@jax.jit
def _copied(tree: PyTree) -> PyTree:
    return jax.tree.map(jnp.copy, tree)


@jax.jit
def _split_ends(done: Array, time_outs: Array | None) -> tuple[Array, Array]:
    """Which ends are terminations, and which are time limits."""
    done = done != 0
    truncated = jnp.zeros_like(done) if time_outs is None else done & (time_outs != 0)
    return done & ~truncated, truncated


@partial(jax.jit, static_argnames="copies")
def _time_step(
    episodes: Episodes,
    observation: PyTree,
    final: PyTree,
    reward: Array,
    terminated: Array,
    truncated: Array,
    *,
    copies: bool,
) -> tuple[TimeStep, Episodes]:
    """The time step of what a simulator returned, all in new arrays, and the episodes after it.

    Without ``copies`` it leaves the observation out, since the caller has it.
    """
    terminated, truncated = terminated != 0, (truncated != 0) & (terminated == 0)
    ended, reward = terminated | truncated, jnp.copy(reward).astype(jnp.float32)
    rows = lambda x: ended.reshape(-1, *[1] * (x.ndim - 1))
    next_observation = jax.tree.map(lambda x, y: jnp.where(rows(x), x, y), final, observation)
    returns = episodes.returns + (reward if reward.ndim == 1 else jnp.sum(reward, axis=-1))
    lengths = episodes.lengths + 1
    after = Episodes(jnp.where(ended, 0.0, returns), jnp.where(ended, 0, lengths))
    info = {"episode_return": returns, "episode_length": lengths}
    observation = jax.tree.map(jnp.copy, observation) if copies else None
    return TimeStep(observation, next_observation, reward, terminated, truncated, info), after

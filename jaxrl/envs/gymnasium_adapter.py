"""Environments of Gymnasium, stepped on the host: ids, environments of your own, and vector environments."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium
import jax
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from jaxrl import spaces as jax_spaces
from jaxrl.envs.actions import batch_of_actions, list_of_actions, unit_actions, without_bounds
from jaxrl.envs.errors import EnvironmentFailed, told
from jaxrl.envs.gate import Gate
from jaxrl.envs.host import HostEnvironment, HostStep, RunningEpisodes, VectorEnv
from jaxrl.envs.info_masks import MaskFromInfo
from jaxrl.envs.rendering import prepare_pygame
from jaxrl.envs.workers import close_workers
from jaxrl.types import PyTree, TimeStep
from jaxrl.validation import did_you_mean, require

PREFIX = "gymnasium"

EXTRAS = {"gymnasium.envs.mujoco": "mujoco", "gymnasium.envs.box2d": "box2d", "ale_py": "atari"}
"""The extra of jaxrl that installs a simulator, by the beginning of an environment's entry point."""


def names() -> list[str]:
    """Every environment id that is registered with Gymnasium."""
    return [name for name in gymnasium.registry if not name.startswith("GymV2")]


def make(
    name: str, *, clip_actions: bool = True, mask_from_info: bool = False, **parameters: Any
) -> HostEnvironment:
    """Make an environment by its Gymnasium id, also as ``"module:Name-v0"``, where the module registers it.

    Args:
        name: the id.
        clip_actions, mask_from_info: see ``from_gymnasium``.
        **parameters: keyword arguments of ``gymnasium.make``, such as ``max_episode_steps``.

    Raises:
        ValueError: if there is no such id, or it does not take these parameters.
        ImportError: if its simulator is not installed.
    """
    _register_plugin(name)

    def make_env(render_mode: str | None = None) -> gymnasium.Env:
        # The checker of Gymnasium slows each step down; ``jaxrl.envs.check`` does its work once.
        mode = {} if render_mode is None else {"render_mode": render_mode}
        return gymnasium.make(name, **{"disable_env_checker": True, **parameters, **mode})

    try:
        return from_gymnasium(make_env, name=name, clip_actions=clip_actions, mask_from_info=mask_from_info)
    except (gymnasium.error.UnregisteredEnv, gymnasium.error.DeprecatedEnv) as error:
        near = did_you_mean(name.rpartition(":")[2], names())
        raise ValueError(f"env={name!r}: {str(error).rstrip('.')}{near}") from error
    except (gymnasium.error.DependencyNotInstalled, ImportError) as error:
        raise ImportError(f"env={name!r}: {_install_hint(name, error)}") from error
    except (TypeError, ValueError, AssertionError, gymnasium.error.Error) as error:
        raise ValueError(f"env={name!r}: {error}") from error
    except Exception as error:
        raise ValueError(f"env={name!r}: it cannot be made, since it raised {told(error)}") from error


def from_gymnasium(
    make_env: Callable[..., gymnasium.Env],
    *,
    name: str | None = None,
    clip_actions: bool = True,
    mask_from_info: bool = False,
) -> HostEnvironment:
    """Adapt a Gymnasium environment.

    One that has a ``reward_space`` with one axis, as those of MO-Gymnasium have, gives vectors of rewards.

    Args:
        make_env: a function (or class) that makes one; if it has an argument ``render_mode``, that is used.
        name: a name for people; by default the environment's id or class.
        clip_actions: whether actions of a ``Box`` are clipped to ``[-1, 1]`` and mapped to its bounds; else they are
            passed on as they are (``raw_actions``).
        mask_from_info: whether ``info["action_mask"]`` says which actions are allowed (``MaskFromInfo``).

    Raises:
        TypeError: if it makes something else, or the environment has a space that jaxrl does not support.
        ValueError: if it was made with a render mode that it does not declare.
    """
    if isinstance(make_env, gymnasium.Env):
        raise TypeError(
            "from_gymnasium takes a function that makes an environment, as many are needed: pass `lambda: MyEnv(...)`"
        )

    def make_single(render_mode: str | None = None) -> gymnasium.Env:
        if render_mode is None or not takes(make_env, "render_mode"):
            env = make_env()
        else:
            prepare_pygame()
            env = make_env(render_mode=render_mode)
        if not isinstance(env, gymnasium.Env):
            raise TypeError(f"expected a function that makes a gymnasium.Env, but it made a {type(env).__name__}")
        return MaskFromInfo(env) if mask_from_info else env

    env = make_single()
    env.close()
    _require_render_mode(env)
    require_supported(env.observation_space, env.action_space)
    spec, name = env.spec, name or name_of(env)
    action_space = env.action_space if clip_actions else without_bounds(env.action_space)

    def make_vector(num_envs: int) -> VectorEnv:
        try:
            made = [make_single() for _ in range(num_envs)]
        except Exception as error:
            raise EnvironmentFailed(name, "construction", error) from error
        return EnvironmentList(made, action_space, name)

    return HostEnvironment(
        name=name,
        observation_space=delivered_space(env.observation_space),
        action_space=action_space,
        max_episode_steps=spec.max_episode_steps if spec else None,
        make_vector=make_vector,
        make_single=make_single,
        reward_shape=_reward_shape(env),
    )


def from_vector(
    envs: gymnasium.vector.VectorEnv | Callable[[int], gymnasium.vector.VectorEnv],
    *,
    name: str | None = None,
    max_episode_steps: int | None = None,
    make_single: Callable[[str | None], gymnasium.Env] | None = None,
    clip_actions: bool = True,
) -> HostEnvironment:
    """Adapt vector environments of Gymnasium's kind, with same-step or next-step reset.

    Those that have a ``reward_space`` with one axis, that of a single environment, give vectors of rewards.

    Args:
        envs: ``envs(num_envs)`` makes one. One that is ready can be given as well: it is then lent to one user
            at a time, and never closed, so that training works but evaluation beside it does not.
        name: a name for people.
        max_episode_steps: the time limit that they impose, for information.
        make_single: ``make_single(render_mode)`` makes a single environment, for rendering.
        clip_actions: see ``from_gymnasium``.

    Raises:
        ValueError: if their ``autoreset_mode`` is neither of the two.
    """
    ready = envs if isinstance(envs, gymnasium.vector.VectorEnv) else None
    first = ready if ready is not None else envs(1)
    _require_render_mode(first)
    _autoreset_mode(first)
    observation_space, action_space = first.single_observation_space, first.single_action_space
    require_supported(observation_space, action_space)
    action_space = action_space if clip_actions else without_bounds(action_space)
    spec, name = getattr(first, "spec", None), name or name_of(first)

    tried = [] if ready is None else [_try_single(ready)]

    def make_new(num_envs: int) -> VectorEnv:
        try:
            made = envs(num_envs)
        except Exception as error:
            raise EnvironmentFailed(name, "construction", error) from error
        if not tried:
            tried.append(_try_single(made))
        return AdaptedVectorEnv(made, action_space, name=name)

    make_vector = make_new if ready is None else _Lender(ready, action_space, name)
    if ready is None:
        first.close()
    return HostEnvironment(
        name=name,
        observation_space=delivered_space(observation_space),
        action_space=action_space,
        max_episode_steps=max_episode_steps or (spec.max_episode_steps if spec else None),
        make_vector=make_vector,
        make_single=make_single,
        num_envs=None if ready is None else ready.num_envs,
        reward_shape=_reward_shape(first),
    )


class EnvironmentList(VectorEnv):
    """A ``VectorEnv`` of single environments, stepped in turn and reset in the very step that ends an episode.

    It does what ``SyncVectorEnv`` with same-step reset does, without the copies and the batching of infos.
    """

    def __init__(
        self, envs: Sequence[gymnasium.Env], action_space: spaces.Space | None = None, name: str | None = None
    ):
        """``action_space``: what actions are taken to be of, by default the environments' own; ``name``: for errors."""
        self._envs = list(envs)
        self.num_envs = len(self._envs)
        one = self._envs[0]
        self._gate = Gate(name or name_of(one), self.num_envs, one.observation_space, _reward_shape(one))
        self._split = list_of_actions(action_space or one.action_space)
        self._episodes = RunningEpisodes(self.num_envs)

    def reset(self, seed: int) -> PyTree:
        """Start new episodes, with a seed for each environment that ``numpy.random.SeedSequence(seed)`` makes."""
        self._episodes = RunningEpisodes(self.num_envs)
        self._gate.steps = 0
        seeds = seeds_of(seed, self.num_envs)
        self._observations = [self._reset(env, seed=s) for env, s in zip(self._envs, seeds, strict=True)]
        return self._gate.observations(self._observations, "reset")

    def send(self, action: PyTree) -> None:
        self._action = action

    def receive(self) -> HostStep:
        observations, rewards, terminated, truncated = [], [], [], []
        gate = self._gate
        for env, a in zip(self._envs, self._split(self._action), strict=True):
            try:
                result = env.step(a)
            except EnvironmentFailed:
                raise
            except Exception as error:
                raise gate.failed("step", error) from error
            try:
                observation, reward, is_terminated, is_truncated, _ = result
            except (TypeError, ValueError):
                gate.five(result)
                raise
            observations.append(observation)
            rewards.append(reward)
            terminated.append(is_terminated)
            truncated.append(is_truncated)
        next_observation = observation = gate.observations(observations, "step")
        reward = gate.rewards(rewards, "step")
        terminated, truncated = gate.terminated(terminated, "step"), gate.truncated(truncated, "step")
        gate.steps += 1
        ended = terminated | truncated
        if np.count_nonzero(ended):
            truncated &= ~terminated
            for i in np.flatnonzero(ended):
                observations[i] = self._reset(self._envs[i])
            observation = gate.observations(observations, "reset")
        info = self._episodes.add(reward, ended)
        return HostStep(TimeStep(observation, next_observation, reward, terminated, truncated, info), None)

    def close(self) -> None:
        for env in self._envs:
            env.close()

    def _reset(self, env: gymnasium.Env, **options: Any) -> Any:
        return self._gate.first(self._gate.call("reset", env.reset, **options))


class AdaptedVectorEnv(VectorEnv):
    """A ``VectorEnv`` around a vector environment of Gymnasium's kind, in either of its two modes of reset.

    Gymnasium's ``AsyncVectorEnv`` steps between ``send`` and ``receive``, any other one in ``receive``.
    """

    def __init__(
        self,
        envs: gymnasium.vector.VectorEnv,
        action_space: spaces.Space | None = None,
        on_close: Callable[[], None] | None = None,
        name: str | None = None,
    ):
        """``action_space``: what actions are taken to be of, by default the environments' own; ``name``: for errors."""
        self._envs = envs
        self.num_envs = envs.num_envs
        # Neither a wrapper nor a subclass, whose own ``step`` would be passed over.
        self._asynchronous = type(envs) is gymnasium.vector.AsyncVectorEnv
        self._on_close = on_close or (partial(close_workers, envs) if self._asynchronous else envs.close)
        self._same_step = _autoreset_mode(envs) == AutoresetMode.SAME_STEP
        self._gate = Gate(name or name_of(envs), envs.num_envs, envs.single_observation_space, _reward_shape(envs))
        self._to_actions = batch_of_actions(action_space or envs.single_action_space)
        self._episodes = RunningEpisodes(self.num_envs)
        self._ended = np.zeros(self.num_envs, bool)

    def reset(self, seed: int) -> PyTree:
        """Start new episodes with this seed, from which the vector environment derives one for each of its own."""
        self._episodes = RunningEpisodes(self.num_envs)
        self._ended = np.zeros(self.num_envs, bool)
        self._gate.steps = 0
        result = self._gate.call("reset", self._envs.reset, seed=int(seed))
        return self._gate.observations(self._gate.first(result), "reset")

    def send(self, action: PyTree) -> None:
        self._action = self._to_actions(action)
        if self._asynchronous:
            self._gate.call("step", self._envs.step_async, self._action)

    def receive(self) -> HostStep:
        gate = self._gate
        step = (self._envs.step_wait,) if self._asynchronous else (self._envs.step, self._action)
        observation, reward, terminated, truncated, infos = gate.five(gate.call("step", *step))
        observation = next_observation = gate.observations(observation, "step")
        reward = gate.rewards(reward, "step")
        terminated, truncated = gate.terminated(terminated, "step"), gate.truncated(truncated, "step")
        gate.steps += 1
        ended = terminated | truncated
        if np.count_nonzero(ended):
            truncated &= ~terminated
        # In next-step mode, the step after an end ignores the action and returns the first observation.
        valid = None if self._same_step else ~self._ended
        if self._same_step and ended.any():
            next_observation = self._with_final(observation, infos, ended)
        self._ended = ended
        info = self._episodes.add(reward, ended, valid)
        return HostStep(TimeStep(observation, next_observation, reward, terminated, truncated, info), valid)

    def close(self) -> None:
        self._on_close()

    def _with_final(self, observation: PyTree, infos: dict[str, Any], ended: np.ndarray) -> PyTree:
        final = infos.get("final_obs")
        if final is None:
            raise self._gate.invalid(
                "step",
                "no infos['final_obs'], the true final observation, from a reset in the same step: "
                "use AutoresetMode.NEXT_STEP, or add it",
            )
        rows = np.flatnonzero(ended)
        if isinstance(final, np.ndarray) and final.dtype == object:
            final = self._gate.observations([final[i] for i in rows], "step")
        else:
            final = jax.tree.map(lambda x: x[rows], self._gate.observations(final, "step"))
        return jax.tree.map(lambda x, new: _with_rows(x, rows, new), observation, final)


class _Lender:
    """Lends a ready vector environment to one user at a time."""

    def __init__(self, envs: gymnasium.vector.VectorEnv, action_space: spaces.Space, name: str):
        self._envs, self._action_space, self._name, self._lent = envs, action_space, name, False

    def __call__(self, num_envs: int) -> VectorEnv:
        require(
            num_envs == self._envs.num_envs,
            "num_envs",
            num_envs,
            f"the given vector environment has {self._envs.num_envs}",
        )
        if self._lent:
            raise ValueError(
                "the given vector environment is already in use: pass a function `num_envs -> VectorEnv`, "
                "so that several seeds or an evaluation can have their own"
            )
        self._lent = True
        return AdaptedVectorEnv(self._envs, self._action_space, self._give_back, self._name)

    def _give_back(self) -> None:
        self._lent = False


def name_of(env: gymnasium.Env | gymnasium.vector.VectorEnv) -> str:
    """The id of an environment, or its class where it has none."""
    spec = getattr(env, "spec", None)
    return spec.id if spec else type(env.unwrapped).__name__


def seeds_of(seed: int, num_envs: int) -> list[int]:
    """Seeds of a batch of environments; those of seeds 0 and 1 have nothing in common, unlike ``seed + i``."""
    return [int(s) for s in np.random.SeedSequence(int(seed)).generate_state(num_envs)]


def delivered_space(space: spaces.Space) -> spaces.Space:
    """The space with the dtypes that JAX keeps: 64-bit boxes become 32-bit ones."""
    match space:
        case spaces.Dict():
            return spaces.Dict({k: delivered_space(s) for k, s in space.spaces.items()})
        case spaces.Tuple():
            return spaces.Tuple([delivered_space(s) for s in space.spaces])
        case spaces.Box() if (dtype := _delivered(space.dtype)) != space.dtype:
            limits = np.finfo(dtype) if np.issubdtype(dtype, np.floating) else np.iinfo(dtype)
            narrow = lambda x: np.where(np.isinf(x), x, np.clip(x, limits.min, limits.max)).astype(dtype)
            return spaces.Box(narrow(space.low), narrow(space.high), space.shape, dtype)
    return space


def takes(function: Callable[..., Any], argument: str) -> bool:
    """Whether a function has an argument of this name."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    return argument in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _delivered(dtype: Any) -> np.dtype:
    return np.dtype(jax.dtypes.canonicalize_dtype(dtype))


def _require_render_mode(env: gymnasium.Env | gymnasium.vector.VectorEnv) -> None:
    """Raise if an environment was made with a way to be drawn that it does not declare."""
    mode, modes = getattr(env, "render_mode", None), env.metadata.get("render_modes") or []
    require(
        mode is None or mode in modes, "render_mode", mode,
        f"must be one of metadata['render_modes'] of {name_of(env)}, {', '.join(map(str, modes)) or 'which has none'}"
        + did_you_mean(str(mode), map(str, modes)),
    )  # fmt: skip


def _try_single(envs: gymnasium.vector.VectorEnv) -> None:
    """Reset and step one of the single environments where Gymnasium's workers cast what they return to their space."""
    workers = envs.unwrapped
    if isinstance(workers, gymnasium.vector.AsyncVectorEnv) and workers.shared_memory:
        single = EnvironmentList([workers.env_fns[0]()])
        try:
            single.reset(seed=0)
            action = jax_spaces.zeros(jax_spaces.canonical(workers.single_action_space), (1,))
            single.step(jax.device_get(action))
        finally:
            single.close()


def _with_rows(batch: np.ndarray, rows: np.ndarray, new: np.ndarray) -> np.ndarray:
    batch = batch.copy()
    batch[rows] = new
    return batch


def _autoreset_mode(envs: gymnasium.vector.VectorEnv) -> AutoresetMode:
    # An environment's own attribute comes first: ``metadata`` is shared by all that are of one class.
    mode = getattr(envs.unwrapped, "autoreset_mode", None) or envs.metadata.get("autoreset_mode")
    try:
        mode = AutoresetMode(mode)
    except ValueError:
        mode = None
    if mode not in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP):
        found = "none" if mode is None else mode.name
        raise ValueError(
            f"autoreset_mode={found}: the vector environment must reset itself; "
            "make it with autoreset_mode=AutoresetMode.SAME_STEP or NEXT_STEP"
        )
    return mode


def _reward_shape(env: gymnasium.Env | gymnasium.vector.VectorEnv) -> tuple[int, ...]:
    """``(K,)`` of an environment that declares vectors of rewards."""
    space = getattr(env.unwrapped, "reward_space", None)
    return space.shape if isinstance(space, spaces.Box) and len(space.shape) == 1 else ()


def require_supported(observation_space: spaces.Space, action_space: spaces.Space) -> None:
    """Raise if jaxrl cannot read elements of the one space, or make elements of the other one."""
    jax_spaces.flat_size(observation_space)
    unit_actions(action_space)


def _register_plugin(name: str) -> None:
    """Atari's environments are known only once its package has been imported."""
    if name.startswith("ALE/"):
        try:
            gymnasium.register_envs(importlib.import_module("ale_py"))
        except ImportError as error:
            raise ImportError(
                f"env={name!r}: it needs a package that is not installed: pip install 'jaxrl[atari]'"
            ) from error


def _install_hint(name: str, error: Exception) -> str:
    spec = gymnasium.registry.get(name)
    entry_point = spec.entry_point if spec is not None and isinstance(spec.entry_point, str) else ""
    extra = next((extra for start, extra in EXTRAS.items() if entry_point.startswith(start)), None)
    if extra is None or "gymnasium-robotics" in str(error):
        return str(error)
    cause = str(error.__cause__ or error).splitlines()[0]
    return f"it needs a simulator that is not installed: pip install 'jaxrl[{extra}]' ({cause})"

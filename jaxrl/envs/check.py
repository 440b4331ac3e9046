"""A test of an environment's contract, for whoever writes one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxrl import spaces as jax_spaces
from jaxrl.envs.actions import unit_actions
from jaxrl.envs.environment import Environment
from jaxrl.envs.errors import InvalidValue
from jaxrl.envs.gate import checked
from jaxrl.envs.host import HostEnvironment, HostStep
from jaxrl.envs.wrappers import auto_reset
from jaxrl.types import Array, Key, PyTree, TimeStep

STEPS = 1_000
"""Steps that are taken at most to look for the end of an episode, in each of ``LANES`` environments."""

LANES = 4


@dataclasses.dataclass(frozen=True)
class Report:
    """What was found about an environment that passed."""

    name: str
    passed: tuple[str, ...]
    episodes: int
    """Episodes of random actions that ended while checking."""
    longest: int
    """Steps of the longest of them."""
    warnings: tuple[str, ...] = ()
    """What may be right, but often is not."""

    def __str__(self) -> str:
        lines = [
            f"{self.name}: {len(self.passed)} checks passed; "
            f"{self.episodes} episodes ended, the longest after {self.longest} steps"
        ]
        return "\n".join(
            [*lines, *(f"  passed: {p}" for p in self.passed), *(f"  warning: {w}" for w in self.warnings)]
        )


def check(env: Environment | HostEnvironment, key: Key | None = None) -> Report:
    """Test whether an environment keeps its promises, with random actions.

    Compiled ones: spaces, shapes, dtypes and bounds; purity; jit and vmap; that ``step`` does not reset, and
    what auto-reset then makes of it; the time limit. Host ones: the same of their vector environments, and what single
    environments return before it is cast.

    Args:
        env: an environment, without auto-reset.
        key: for resets and actions; by default ``jax.random.key(0)``.

    Returns:
        A report for people: ``print(check(env))``.

    Raises:
        AssertionError: if a promise is broken; it says which and what to do.
        EnvironmentFailed: if it raises by itself in ``reset`` or ``step``.
        TypeError: if it is not an environment, or has a space that is not supported.
    """
    key = jax.random.key(0) if key is None else key
    try:
        if isinstance(env, Environment):
            return _check_compiled(env, key)
        if isinstance(env, HostEnvironment):
            return _check_host(env, key)
    except InvalidValue as error:
        raise AssertionError(str(error)) from error
    raise TypeError(
        f"expected a jaxrl Environment or HostEnvironment, got {type(env).__name__}; "
        "adapt a Gymnasium environment with jaxrl.envs.from_gymnasium"
    )


# Compiled environments.


class _Walk(NamedTuple):
    """Sums over a walk of random actions, ``[LANES]``."""

    in_bounds: Array
    finite: Array
    ended: Array
    longest: Array
    overrun: Array
    """Steps taken beyond the time limit."""
    terminated_at_limit: Array
    reset_is_reset: Array
    """Whether ``observation`` was that of the reset at each end, and the successor elsewhere."""


def _check_compiled(env: Environment, key: Key) -> Report:
    keys = jax.random.split(key, 4)
    passed = []
    for space in (env.observation_space, env.action_space):
        jax_spaces.flat_size(space)

    state, observation = _pair(env.reset(keys[0]), "reset(key)", "(state, observation)")
    state = _strong(state, "reset")
    agents = _agents(env)
    _require_elements(env.observation_space, agents, observation, "reset returned an observation")
    action = jax_spaces.sample(env.action_space, keys[1], agents)
    new_state, timestep = _pair(env.step(state, action, keys[2]), "step(state, action, key)", "(state, TimeStep)")
    _require_timestep(env, timestep)
    passed.append("observations have the shape, dtype and bounds of their space; rewards are float32; ends are bool")

    _require_same_type(state, new_state)
    passed.append("the state keeps its structure, shapes and dtypes")

    plain = (state, observation), (new_state, timestep)
    _require_same(
        timestep.observation,
        timestep.next_observation,
        "step returned an observation that is not its next_observation: step must not reset, jaxrl does (auto_reset)",
        tolerance=0.0,
    )
    _require_same(
        env.reset(keys[0]),
        plain[0],
        "reset is not pure: the same key gave another result; draw random numbers from the key only",
        tolerance=0.0,
    )
    _require_same(
        env.step(state, action, keys[2]),
        plain[1],
        "step is not pure: the same arguments gave another result; keep what changes in the state, "
        "and draw random numbers from the key only",
        tolerance=0.0,
    )

    def reset_and_step(reset_key, action, step_key):
        first = env.reset(reset_key)
        return first, env.step(first[0], action, step_key)

    compiled = jax.jit(reset_and_step)
    try:
        with jax.checking_leaks():
            result = compiled(keys[0], action, keys[2])
    except jax.errors.JAXTypeError as error:
        raise AssertionError(f"reset and step must be traceable by jax.jit: {_first_line(error)}") from error
    except Exception as error:
        if "Leaked" not in str(error):
            raise
        raise AssertionError(
            f"reset or step leaks a tracer: store nothing outside of the state. {_first_line(error)}"
        ) from error
    passed.append("reset and step are pure")

    _require_same(
        result,
        plain,
        "jax.jit changes the result of reset or step: it depends on something that is fixed when it is traced",
    )
    reset_keys, step_keys = jax.random.split(keys[3], LANES), jax.random.split(keys[2], LANES)
    actions = jax.device_get(jax_spaces.sample(env.action_space, keys[1], (LANES, *agents)))
    batch = _on_host(jax.jit(jax.vmap(reset_and_step))(reset_keys, actions, step_keys))
    lane = lambda tree, i: jax.tree.map(lambda x: x[i], tree)
    for i in range(LANES):
        alone = compiled(reset_keys[i], lane(actions, i), step_keys[i])
        _require_same(
            lane(batch, i),
            alone,
            "jax.vmap changes the result of reset or step: the environments of a batch must not depend on each other",
        )
    passed.append("jit and vmap agree with the plain functions")

    walk = jax.device_get(jax.jit(jax.vmap(lambda k: _walk(env, k)))(reset_keys))
    _require(walk.finite.all(), "a reward or observation became NaN or infinite")
    _require(
        walk.in_bounds.all(),
        f"an observation left its space {env.observation_space}: widen the bounds (np.inf) or clip",
    )
    _require(
        walk.reset_is_reset.all(),
        "after an end, auto-reset did not give the observation of a fresh reset: step must not reset by itself",
    )
    passed.append("auto-reset gives a fresh observation and keeps the true final one")
    return _report(env, passed, walk.ended, walk.longest, walk.overrun, walk.terminated_at_limit)


def _walk(env: Environment, key: Key) -> _Walk:
    steps = min(STEPS, (env.max_episode_steps or STEPS) + 1)
    resetting = auto_reset(checked(env))

    def step(carry, key):
        state, length, walk = carry
        action_key, step_key = jax.random.split(key)
        action = jax_spaces.sample(env.action_space, action_key, _agents(env))
        state, timestep = resetting.step(state, action, step_key)
        ended = timestep.terminated | timestep.truncated
        length = length + 1
        at_limit = jnp.asarray(False) if env.max_episode_steps is None else length >= env.max_episode_steps
        # ``auto_reset`` takes the second of the split keys.
        _, fresh = env.reset(jax.random.split(step_key)[1])
        expected = jax.tree.map(lambda f, n: jnp.where(ended, f, n), fresh, timestep.next_observation)
        as_expected = jax.tree.map(
            lambda x, e: jnp.allclose(x, e, 1e-4, 1e-4, equal_nan=True), timestep.observation, expected
        )
        finite = jax.tree.map(lambda x: jnp.all(jnp.isfinite(x)), (timestep.reward, timestep.next_observation))
        walk = _Walk(
            walk.in_bounds & jax_spaces.contains(env.observation_space, timestep.next_observation),
            walk.finite & jnp.all(jnp.stack(jax.tree.leaves(finite))),
            walk.ended + ended,
            jnp.maximum(walk.longest, jnp.where(ended, length, 0)),
            walk.overrun + (at_limit & ~ended),
            walk.terminated_at_limit + (at_limit & timestep.terminated & ~timestep.truncated),
            walk.reset_is_reset & jnp.all(jnp.stack(jax.tree.leaves(as_expected))),
        )
        return (state, jnp.where(ended, 0, length), walk), None

    reset_key, step_key = jax.random.split(key)
    true, zero = jnp.asarray(True), jnp.zeros((), jnp.int32)
    start = env.reset(reset_key)[0], zero, _Walk(true, true, zero, zero, zero, zero, true)
    (_, _, walk), _ = jax.lax.scan(step, start, jax.random.split(step_key, steps))
    return walk


# Environments on the host.


def _check_host(env: HostEnvironment, key: Key) -> Report:
    for space in (env.observation_space, env.action_space):
        jax_spaces.flat_size(space)
    num_envs = env.num_envs or LANES
    vector = env.make_vector(num_envs)
    try:
        return _check_vector(env, vector, num_envs, key)
    finally:
        vector.close()


def _check_vector(env: HostEnvironment, vector: Any, num_envs: int, key: Key) -> Report:
    _require(vector.num_envs == num_envs, f"make_vector({num_envs}) made {vector.num_envs} environments")
    steps = min(STEPS, (env.max_episode_steps or STEPS) + 2)
    unit, _ = unit_actions(env.action_space)
    require_batch = partial(_require_elements, env.observation_space, (num_envs,))
    actions = jax_spaces.sample(unit, key, (steps, num_envs))
    actions = actions if env.device_arrays else jax.device_get(actions)
    # Not NumPy's for arrays of a device: these remember their copy on the host, where no write would be seen.
    copy = jnp.copy if env.device_arrays else np.copy
    act = lambda t: jax.tree.map(lambda x: x[t], actions)
    warnings = []

    first, copies = _first_steps(vector, act, copy)
    require_batch(first[0], "reset returned an observation")
    _require(_same(first, copies), "reset or step writes into arrays that it returned earlier: return copies")
    if not _same(copies, _first_steps(vector, act, copy)[1]):
        warnings.append("the same seed gave other episodes: runs on it cannot be repeated")

    vector.reset(seed=2)
    ended_before = np.zeros(num_envs, bool)
    length, returns = np.zeros(num_envs, np.int32), np.zeros(num_envs)
    count = longest = overrun = terminated_at_limit = 0
    same_observation = True
    for t in range(steps):
        step = vector.step(act(t))
        _require_host_step(step, num_envs, env.reward_shape)
        if env.device_arrays:
            _require_on_device(step)
            step = jax.device_get(step)
        timestep = step.timestep
        require_batch(timestep.observation, "step returned an observation")
        require_batch(timestep.next_observation, "step returned a next_observation")
        valid = np.ones(num_envs, bool) if step.valid is None else step.valid
        observations = timestep.observation, timestep.next_observation
        ended = timestep.terminated | timestep.truncated
        _require(not (ended & ~valid).any(), "a step that is not valid ends an episode: nothing may happen in it")
        _require(
            bool((valid | ended_before).all()), "a step is marked as not valid although no episode had ended before it"
        )
        length += valid
        returns += (timestep.reward.sum(axis=-1) if env.reward_shape else timestep.reward) * valid
        info = timestep.info
        _require(
            np.array_equal(info["episode_length"], length),
            "info['episode_length'] does not count the valid steps of the episode",
        )
        _require(
            np.allclose(info["episode_return"], returns, rtol=1e-3, atol=1e-3),
            "info['episode_return'] is not the sum of the episode's rewards",
        )
        at_limit = length >= (env.max_episode_steps or np.inf)
        overrun += int((at_limit & ~ended & valid).sum())
        terminated_at_limit += int((at_limit & timestep.terminated).sum())
        if ended.any():
            count += int(ended.sum())
            longest = max(longest, int(length[ended].max()))
            same_observation &= _same(*_rows(observations, ended))
        _require(
            _same(*_rows(observations, ~ended)), "observation and next_observation differ although no episode ended"
        )
        # Statistics may be of longer episodes than the learner's.
        finished = info.get("episode_ended", ended)
        length[finished], returns[finished] = 0, 0
        ended_before = ended
    if count and same_observation and step.valid is None:
        warnings.append(
            "at the end of each episode next_observation is the observation after the reset: it must be the final one"
        )
    passed = [
        "observations have the shape, dtype and bounds of their space; rewards are float32; ends are bool",
        "reset and steps return arrays of their own",
        "episode statistics are sums of the valid steps",
        "auto-reset keeps the true final observation",
    ]
    return _report(env, passed, count, longest, overrun, terminated_at_limit, warnings)


def _first_steps(
    vector: Any, act: Callable[[int], PyTree], copy: Callable[[Any], Any], steps: int = 3
) -> tuple[list[PyTree], list[PyTree]]:
    """What reset and some steps return, and copies that were made at once."""
    returned = [vector.reset(seed=1)]
    copies = [jax.block_until_ready(jax.tree.map(copy, returned[0]))]
    for t in range(steps):
        returned.append(vector.step(act(t)))
        copies.append(jax.block_until_ready(jax.tree.map(copy, returned[-1])))
    return returned, copies


def _rows(tree: PyTree, mask: np.ndarray) -> PyTree:
    return jax.tree.map(lambda x: x[mask], tree)


def _require_host_step(step: HostStep, num_envs: int, reward_shape: tuple[int, ...]) -> None:
    timestep = step.timestep
    expected = {"reward": np.float32, "terminated": bool, "truncated": bool}
    if step.valid is not None:
        _require_array(step.valid, (num_envs,), bool, "step returned valid")
    for field, dtype in expected.items():
        shape = (num_envs, *(reward_shape if field == "reward" else ()))
        _require_array(getattr(timestep, field), shape, dtype, f"step returned {field}")
    for field in ("episode_return", "episode_length"):
        _require(field in timestep.info, f"step's info has no {field!r} (see HostStep)")


def _require_on_device(step: HostStep) -> None:
    for path, leaf in jax.tree.leaves_with_path(step):
        _require(
            isinstance(leaf, jax.Array),
            f"device_arrays=True, but step returned {jax.tree_util.keystr(path)} as a {type(leaf).__name__}",
        )


# What both have in common.


def _report(
    env: Any, passed: list[str], ended: Any, longest: Any, overrun: Any, terminated_at_limit: Any, warnings: Any = ()
) -> Report:
    ended, warnings = int(np.sum(ended)), list(warnings)
    _require(
        not np.any(overrun),
        f"max_episode_steps={env.max_episode_steps}, but an episode went on beyond it: "
        "set truncated there (jaxrl.envs.time_limit does)",
    )
    if env.max_episode_steps is not None and np.any(longest):
        passed.append("no episode is longer than max_episode_steps")
    if ended and np.sum(terminated_at_limit) == ended:
        warnings.append(
            "every episode terminated exactly at max_episode_steps: "
            "if that is a time limit, it must set truncated and not terminated"
        )
    if not ended:
        warnings.append(f"no episode ended within {STEPS} steps of random actions: its end was not checked")
    return Report(env.name, tuple(passed), ended, int(np.max(longest)), tuple(warnings))


def _require(condition: Any, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _pair(result: Any, call: str, expected: str) -> tuple[Any, Any]:
    _require(
        isinstance(result, tuple) and len(result) == 2, f"{call} must return {expected}, got {type(result).__name__}"
    )
    return result


def _strong(state: PyTree, function: str) -> PyTree:
    for path, leaf in jax.tree.leaves_with_path(state):
        where = f"{function} returned a state whose leaf {jax.tree_util.keystr(path) or 'itself'}"
        _require(
            isinstance(leaf, jax.Array),
            f"{where} is a {type(leaf).__name__}: make it a JAX array (jnp.zeros((), jnp.int32))",
        )
        _require(
            not getattr(leaf, "weak_type", False),  # keys have none
            f"{where} has a weak type, which changes in a loop: give its dtype (jnp.zeros((), jnp.int32))",
        )
    return state


def _agents(env: Environment) -> tuple[int, ...]:
    """What stands before the shapes of the spaces."""
    return () if env.num_agents == 1 else (env.num_agents,)


def _require_elements(space: spaces.Space, batch_shape: tuple[int, ...], x: PyTree, what: str) -> None:
    _require_like(jax_spaces.shapes(space, batch_shape), x, what, space)
    _require(
        jax_spaces.contains(space, jax.device_get(x)),
        f"{what} outside of its space {space}: widen the bounds (np.inf) or clip",
    )


def _require_like(expected: PyTree, x: PyTree, what: str, space: spaces.Space) -> None:
    _require(
        jax.tree.structure(expected) == jax.tree.structure(x),
        f"{what} with the structure {jax.tree.structure(x)}, but its space {space} has {jax.tree.structure(expected)}",
    )
    for (path, e), leaf in zip(jax.tree.leaves_with_path(expected), jax.tree.leaves(x), strict=True):
        _require_array(leaf, e.shape, e.dtype, what + jax.tree_util.keystr(path))


def _require_array(x: Any, shape: tuple[int, ...], dtype: Any, what: str) -> None:
    _require(hasattr(x, "dtype") and hasattr(x, "shape"), f"{what} that is a {type(x).__name__}: it must be an array")
    _require(x.shape == shape, f"{what} of shape {x.shape}: it must be {shape}")
    _require(x.dtype == dtype, f"{what} of dtype {x.dtype}: it must be {np.dtype(dtype).name}")


def _require_timestep(env: Environment, timestep: Any) -> None:
    _require(
        isinstance(timestep, TimeStep),
        f"step must return (state, TimeStep), got a {type(timestep).__name__}; jaxrl.envs.transition_step makes one",
    )
    agents = _agents(env)
    _require_elements(env.observation_space, agents, timestep.observation, "step returned an observation")
    _require_elements(env.observation_space, agents, timestep.next_observation, "step returned a next_observation")
    for field, dtype in {"reward": jnp.float32, "terminated": bool, "truncated": bool}.items():
        shape = (*agents, *env.reward_shape) if field == "reward" else ()
        _require_array(getattr(timestep, field), shape, dtype, f"step returned {field}")
    _require(
        isinstance(timestep.info, dict), f"step returned info of type {type(timestep.info).__name__}: it must be a dict"
    )


def _require_same_type(old: PyTree, new: PyTree) -> None:
    _require(
        jax.tree.structure(old) == jax.tree.structure(new),
        f"step returned a state of the structure {jax.tree.structure(new)}, but reset of {jax.tree.structure(old)}",
    )
    for (path, o), n in zip(jax.tree.leaves_with_path(old), jax.tree.leaves(_strong(new, "step")), strict=True):
        name = jax.tree_util.keystr(path) or "itself"
        _require(
            o.shape == n.shape and o.dtype == n.dtype,
            f"the state's leaf {name} is {o.dtype}{list(o.shape)} after reset "
            f"but {n.dtype}{list(n.shape)} after step: they must be alike",
        )


def _require_same(a: PyTree, b: PyTree, message: str, tolerance: float = 1e-4) -> None:
    _require(_same(a, b, tolerance), message)


def _same(a: PyTree, b: PyTree, tolerance: float = 1e-4) -> bool:
    """Whether the leaves of two trees are equal; floats may differ by the tolerance, relative or absolute."""

    def same(x, y):
        if np.issubdtype(x.dtype, np.inexact):
            return np.allclose(x, y, rtol=tolerance, atol=tolerance, equal_nan=True)
        return np.array_equal(x, y)

    return all(same(x, y) for x, y in zip(jax.tree.leaves(_on_host(a)), jax.tree.leaves(_on_host(b)), strict=True))


def _on_host(tree: PyTree) -> PyTree:
    """The tree in NumPy, keys as their data."""
    is_key = lambda x: jax.dtypes.issubdtype(getattr(x, "dtype", None), jax.dtypes.prng_key)
    return jax.device_get(jax.tree.map(lambda x: jax.random.key_data(x) if is_key(x) else x, tree))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]

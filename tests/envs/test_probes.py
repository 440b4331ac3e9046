"""The numbers in ``jaxrl.envs.probes``, by playing every action in every state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl import envs
from jaxrl.envs import probes

DISCOUNT = 0.9
PROBES = {
    **{f"discrete-{name}": probe for name, probe in probes.discrete_probes().items()},
    **{f"continuous-{name}": probe for name, probe in probes.continuous_probes().items()},
}


def actions_of(probe):
    if hasattr(probe.env.action_space, "n"):
        return [jnp.int32(0), jnp.int32(1)]
    return [jnp.array([a], jnp.float32) for a in np.linspace(-1, 1, 9)]


def action_values(probe, observation, depth):
    """The discounted return of each action, when the best one follows; ``depth`` steps far."""
    if depth == 0:
        return np.zeros(len(actions_of(probe)))
    state = jnp.asarray(observation[0])
    if probe.env.name == "truncation":
        state = envs.wrappers.WithSteps(state, jnp.int32(0))
    values = []
    for action in actions_of(probe):
        _, timestep = probe.env.step(state, action, jax.random.key(0))
        future = (
            0.0 if timestep.terminated else max(action_values(probe, np.asarray(timestep.next_observation), depth - 1))
        )
        values.append(float(timestep.reward) + DISCOUNT * future)
    return np.array(values)


@pytest.mark.parametrize("name", [n for n in PROBES if "truncation" not in n])
def test_the_values_are_exact(name):
    probe = PROBES[name]
    values = np.array([action_values(probe, o, depth=2) for o in probe.observations])
    np.testing.assert_allclose(values.max(axis=1), probe.expected_value(DISCOUNT), atol=1e-6)
    if probe.expected_action_value is not None:
        np.testing.assert_allclose(values, probe.expected_action_value(DISCOUNT), atol=1e-6)
    if probe.best_action is not None:
        best = np.array([actions_of(probe)[i] for i in values.argmax(axis=1)])
        np.testing.assert_allclose(best, probe.best_action)


@pytest.mark.parametrize("name", [n for n in PROBES if "truncation" in n])
def test_the_value_beyond_a_truncation(name, key):
    probe = PROBES[name]
    np.testing.assert_allclose(probe.expected_value(DISCOUNT), [sum(DISCOUNT**t for t in range(1000))])
    env = probes.truncation(max_episode_steps=3).env
    state, _ = env.reset(key)
    for t in range(1, 4):
        state, timestep = env.step(state, jnp.int32(0), key)
        assert (bool(timestep.terminated), bool(timestep.truncated), float(timestep.reward)) == (False, t == 3, 1.0)


@pytest.mark.parametrize("name", PROBES)
def test_every_observation_is_listed(name, key):
    probe = PROBES[name]
    env = envs.auto_reset(probe.env)
    _, first = jax.vmap(env.reset)(jax.random.split(key, 32))
    seen = set(np.asarray(first).ravel().tolist())
    state, _ = env.reset(key)
    for i in range(4):
        state, timestep = env.step(state, actions_of(probe)[0], jax.random.fold_in(key, i))
        seen.add(float(timestep.observation[0]))
    assert seen == set(probe.observations.ravel().tolist())


@pytest.mark.parametrize("probe", [probes.two_steps(), probes.reward_from_both_continuous(), probes.truncation()])
def test_probes_keep_the_contract(probe):
    assert not envs.check(probe.env).warnings

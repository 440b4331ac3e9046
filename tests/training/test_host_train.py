"""The host loop: the very same learning as on a compiled environment."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from jaxrl import training
from jaxrl.algorithms import dqn, ppo
from jaxrl.envs.gymnax_adapter import make
from jaxrl.envs.host import HostEnvironment, HostStep
from jaxrl.envs.wrappers import auto_reset, episode_statistics, rescale_action


@functools.cache
def fixed_start():
    """CartPole that always starts alike, so that its numbers do not depend on how keys are drawn."""
    env = make("CartPole-v1")
    return dataclasses.replace(env, reset=lambda key: env.reset(jax.random.key(0)))


class CompiledVector:
    """A compiled environment behind the host's protocol, with same-step reset."""

    def __init__(self, env, num_envs):
        self.num_envs = num_envs
        env = auto_reset(episode_statistics(rescale_action(env)))
        self._reset = jax.jit(jax.vmap(env.reset))
        self._step = jax.jit(jax.vmap(env.step))
        self._keys = jax.random.split(jax.random.key(0), num_envs)

    def reset(self, seed):
        self._state, observation = self._reset(self._keys)
        return np.asarray(observation)

    def step(self, action):
        self._state, timestep = jax.device_get(self._step(self._state, action, self._keys))
        return HostStep(timestep, None)

    def close(self):
        pass


def host(env):
    return HostEnvironment(
        name=env.name, observation_space=env.observation_space, action_space=env.action_space,
        max_episode_steps=env.max_episode_steps, make_vector=lambda n: CompiledVector(env, n), make_single=None,
    )  # fmt: skip


def small(name, spec):
    if name == "ppo":
        return ppo.make(
            spec, ppo.Config(num_envs=2, rollout_length=16, num_minibatches=2, num_epochs=2, hidden_sizes=(8,))
        )
    config = dqn.Config(
        hidden_sizes=(8,),
        batch_size=8,
        buffer_size=64,
        prefill=16,
        num_envs=2,
        steps_per_update=2,
        updates_per_iteration=2,
    )
    return dqn.make(spec, config)


@pytest.mark.parametrize("name", ["ppo", "dqn"])
def test_host_and_compiled_training_agree(name):
    env = fixed_start()
    agent = small(name, env.spec)
    states, reports = [], []
    for e in (env, host(env)):
        run = training.make_runner(agent, e, 640, [3, 4])
        state, report = run.advance(run.init(), 6)
        states.append(state)
        reports.append(report)
        assert run.iterations_done(state) == 6
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(lambda x, y: close(np.asarray(x), np.asarray(y)), states[0].agent, states[1].agent)
    np.testing.assert_array_equal(reports[0].episodes, reports[1].episodes)
    np.testing.assert_array_equal(reports[0].episode_return, reports[1].episode_return)
    jax.tree.map(close, reports[0].losses, reports[1].losses)
    if name == "dqn":
        np.testing.assert_array_equal(np.asarray(states[0].buffer.filled), np.asarray(states[1].buffer.filled))


class NextStep(CompiledVector):
    """Resets as next-step mode does: after an episode's end comes a dummy step, here with nonsense in it."""

    def reset(self, seed):
        self._ended = np.zeros(self.num_envs, bool)
        return super().reset(seed)

    def step(self, action):
        dummy, before = self._ended, jax.device_get(self._state)
        timestep = super().step(action).timestep
        # An environment in its dummy step does not move.
        self._state = jax.tree.map(
            lambda old, new: np.where(dummy.reshape(-1, *[1] * (np.ndim(new) - 1)), old, new),
            before,
            jax.device_get(self._state),
        )
        self._ended = (timestep.terminated | timestep.truncated) & ~dummy
        return HostStep(timestep._replace(reward=np.where(dummy, np.float32(1e6), timestep.reward)), ~dummy)


@pytest.mark.parametrize("name", ["ppo", "dqn"])
def test_a_dummy_step_is_never_learned_from(name):
    env = fixed_start()
    dummies = dataclasses.replace(host(env), make_vector=lambda n: NextStep(env, n))
    run = training.make_runner(small(name, env.spec), dummies, 640, [0])
    state, report = run.advance(run.init(), 8)
    assert report.losses.get("value_loss", report.losses["loss"])[0] < 1e4
    assert report.episodes[0] > 0
    if name == "dqn":
        stored = run.steps_after(8) // 2
        assert (np.asarray(state.buffer.filled[0]) < stored).all()


def test_a_restored_state_goes_on():
    env = fixed_start()
    run = training.make_runner(small("ppo", env.spec), host(env), 640, [0])
    state, _ = run.advance(run.init(), 2)
    again = training.make_runner(small("ppo", env.spec), host(env), 640, [0])
    restored, _ = again.advance(again.restored(jax.tree.map(lambda x: x, state)), 1)
    assert again.iterations_done(restored) == 3
    assert np.isfinite(again.evaluate(restored, num_episodes=2).episode_return).all()

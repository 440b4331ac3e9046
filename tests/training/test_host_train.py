"""The host loop: the very same learning as on a compiled environment."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl import envs, training
from jaxrl.algorithms import ddpg, dqn, ppo, rnd, sac_discrete
from jaxrl.counters import Counter
from jaxrl.envs import toys
from jaxrl.envs.gymnax_adapter import make
from jaxrl.envs.host import HostEnvironment, HostStep, VectorEnv
from jaxrl.envs.wrappers import auto_reset, episode_statistics, rescale_action
from jaxrl.schedules import resolve
from jaxrl.training.host_train import HostRunner
from jaxrl.training.iterations import learn
from jaxrl.training.keys import Purpose, key_for

slow = lambda *of: pytest.param(*of, marks=pytest.mark.slow)


@functools.cache
def fixed_start(of=functools.partial(make, "CartPole-v1")):
    """An environment that always starts alike, so that its numbers do not depend on how keys are drawn."""
    env = of()
    return dataclasses.replace(env, reset=lambda key: env.reset(jax.random.key(0)))


class CompiledVector(VectorEnv):
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

    def send(self, action):
        self._action = action

    def receive(self):
        self._state, timestep = jax.device_get(self._step(self._state, self._action, self._keys))
        return HostStep(timestep, None)

    def close(self):
        pass


def host(env):
    return HostEnvironment(
        name=env.name, observation_space=env.observation_space, action_space=env.action_space,
        max_episode_steps=env.max_episode_steps, make_vector=lambda n: CompiledVector(env, n), make_single=None,
        reward_shape=env.reward_shape,
    )  # fmt: skip


def small(name, spec):
    normalized = {"normalize_observation": True, "normalize_reward": True}
    if name.startswith("ppo"):
        recurrent = {"actor_rnn": "lstm", "critic_rnn": "gru", "rnn_size": 4, "sequence_length": 8}
        switches = {
            "ppo": {},
            "ppo-recurrent": {**recurrent, **normalized},
            "ppo-goes-on": {**recurrent, "rnn_reset": False, "rnn_layers": 2},
            "ppo-vectors": normalized,
        }[name]
        sizes = {"num_envs": 2, "rollout_length": 16, "num_minibatches": 2, "num_epochs": 2, "hidden_sizes": (8,)}
        return ppo.make(spec, ppo.Config(**sizes, **switches))
    if name == "rnd":
        return rnd.make(spec, rnd.Config(num_envs=2, rollout_length=16, hidden_sizes=(8,)))
    replay = {"prioritized": True, "n_step": 3}
    module, switches = {
        "dqn": (dqn, {}),
        "dqn-prioritized": (dqn, replay),
        "ddpg-prioritized": (ddpg, {**replay, **normalized, "exploration": "ornstein_uhlenbeck"}),
        "sac_discrete": (sac_discrete, normalized),
    }[name]
    config = module.Config(
        hidden_sizes=(8,),
        batch_size=8,
        buffer_size=64,
        prefill=16,
        num_envs=2,
        steps_per_update=2,
        updates_per_iteration=2,
        **switches,
    )
    return module.make(spec, config)


def short_pendulum():
    """Episodes of five steps, so that exploration and sums of rewards begin anew."""
    return make("Pendulum-v1", max_episode_steps=5)


@pytest.mark.parametrize(
    "name",
    ["ppo-recurrent", "ddpg-prioritized"]
    + [slow(name) for name in ("ppo", "ppo-goes-on", "ppo-vectors", "rnd", "dqn", "dqn-prioritized", "sac_discrete")],
)
def test_host_and_compiled_training_agree(name):
    of = {"ppo-vectors": (toys.two_rewards,), "ddpg-prioritized": (short_pendulum,)}.get(name, ())
    env = fixed_start(*of)
    agent = small(name, env.spec)
    states, reports = [], []
    runs = training.make_runner(agent, env, 640, [3, 4]), HostRunner(agent, host(env), 640, [3, 4], overlap=False)
    for run in runs:
        state, report = run.advance(run.init(), 6)
        states.append(state)
        reports.append(report)
        assert run.iterations_done(state) == 6
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(lambda x, y: close(np.asarray(x), np.asarray(y)), states[0].agent, states[1].agent)
    np.testing.assert_array_equal(reports[0].episodes, reports[1].episodes)
    close(reports[0].episode_return, reports[1].episode_return)
    jax.tree.map(close, reports[0].losses, reports[1].losses)
    jax.tree.map(lambda x, y: close(np.asarray(x), np.asarray(y)), states[0].buffer, states[1].buffer)


def test_learning_while_the_simulators_step_does_not_see_what_they_will_return():
    env = fixed_start()
    agent = small("dqn", env.spec)
    run = HostRunner(agent, host(env), 640, [3])
    state = run.init()
    buffer = jax.tree.map(lambda x: jnp.copy(x[0]), state.buffer)
    before = jax.tree.map(lambda x: jnp.copy(x[0]), state.agent)
    key = key_for(state.key[0], Purpose.UPDATE, Counter.zero())
    hp = resolve(agent.hyperparameters, 16.0, 16.0 / 640)
    expected, _, _ = jax.jit(lambda a, b, k: learn(agent, a, b, k, hp))(before, buffer, key)
    after, _ = run.advance(state, 1)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(lambda x, y: close(x, y[0]), expected, after.agent)
    assert int(after.buffer.buffer.ring.filled[0, 0]) == 8 + 2


@pytest.mark.parametrize("name", ["ddpg-prioritized", slow("sac_discrete")])
def test_the_result_does_not_depend_on_how_often_it_is_reported(name):
    """Down to the last bit: what an interval leaves to be done is done by the program that does it elsewhere."""
    env = short_pendulum() if name.startswith("ddpg") else fixed_start()
    agent, states = small(name, env.spec), []
    for intervals in ((9,), (5, 4)):
        run = HostRunner(agent, host(env), 640, [3])
        state = run.init()
        for iterations in intervals:
            state, _ = run.advance(state, iterations)
        states.append(state._replace(key=jax.random.key_data(state.key)))
    jax.tree.map(np.testing.assert_array_equal, *states)


@pytest.mark.parametrize(("seeds", "updates"), [([3], 2), ([3, 4], 1), slow([3], 1), slow([3, 4], 2)])
def test_no_program_copies_a_large_buffer(monkeypatch, updates, seeds):
    capacity = 100_000
    env = fixed_start()
    config = dqn.Config(
        hidden_sizes=(8,), batch_size=8, buffer_size=capacity, prefill=16, num_envs=2, steps_per_update=2,
        updates_per_iteration=updates, prioritized=True, n_step=3,
    )  # fmt: skip
    run, given = HostRunner(dqn.make(env.spec, config), host(env), 640, seeds), {}
    call = run._run

    def recorded(name, *args):
        given[name] = jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x), x.dtype), args)
        return call(name, *args)

    monkeypatch.setattr(run, "_run", recorded)
    run.advance(run.init(), 2)
    for name in ("learn", ("add", 1), ("begin", 2)):
        compiled = run._compiled[name].lower(*given[name]).compile()
        copies = [line for line in compiled.as_text().splitlines() if re.search(rf"\b{capacity}\b\S* copy\(", line)]
        assert not copies, name
        assert compiled.memory_analysis().temp_size_in_bytes < 100_000, name


@pytest.mark.parametrize("overlap", [True, False])
def test_a_step_of_the_simulators_waits_for_its_action_alone(monkeypatch, overlap):
    """What is started and awaited in an iteration of two steps: an update starts before the first action is awaited."""
    env, events = fixed_start(), []

    def recorded(owner, method, name=None):
        original = getattr(owner, method)

        def call(self, *args):
            events.append(name or (args[0][0] if isinstance(args[0], tuple) else args[0]))
            return original(self, *args)

        monkeypatch.setattr(owner, method, call)

    run = HostRunner(small("dqn", env.spec), host(env), 640, [3], overlap=overlap)
    state = run.init()
    recorded(CompiledVector, "send", "send")
    recorded(CompiledVector, "receive", "receive")
    recorded(HostRunner, "_run")
    run.advance(state, 2)
    step = ["act", "send", "receive"]
    if overlap:
        rest = ["learn", "send", "receive", *step]
        assert events == ["draw", "act", *rest, "begin", *rest, "begin", "summarize"]
    else:
        iteration = [*step, *step, "add", "learn"]
        assert events == ["draw", *iteration, "sum", *iteration, "sum", "summarize"]


def test_a_state_that_nothing_else_acts_by_is_donated_to_the_update(monkeypatch):
    """With one step an iteration; the numbers are those of a run in which nothing is donated."""
    env = fixed_start()
    config = dqn.Config(hidden_sizes=(8,), batch_size=8, buffer_size=64, prefill=16, num_envs=2, steps_per_update=2)
    agents = [dqn.make(env.spec, dataclasses.replace(config, steps_per_update=n)) for n in (1, 2)]
    deleted, ended = [], []
    jit = jax.jit
    for agent, donate in ((agents[0], True), (agents[1], True), (agents[0], False)):
        if not donate:
            monkeypatch.setattr(jax, "jit", lambda f, donate_argnums=(), **options: jit(f, **options))
        run = HostRunner(agent, host(env), 640, [3])
        given = run.init()
        state, _ = run.advance(given, 6)
        deleted.append(any(x.is_deleted() for x in jax.tree.leaves(given.agent)))
        ended.append(jax.device_get(run.advance(state, 6)[0].agent))
    assert deleted == [True, False, False]
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), ended[0], ended[2])


def test_random_actions_are_of_those_that_the_last_observation_allows():
    env = envs.make("gymnasium:Taxi-v4", mask_from_info=True)
    agent = dqn.make(env.spec, dqn.Config(hidden_sizes=(8,), batch_size=8, buffer_size=128, prefill=64, num_envs=2))
    run = training.make_runner(agent, env, 640, [0])
    buffer = jax.tree.map(lambda x: x[0], run.init().buffer.buffer)
    batch = agent.feed.buffer.sample(buffer, jax.random.key(0), 256, agent.hyperparameters).transitions
    allowed = np.asarray(batch.observation["action_mask"], bool)
    assert allowed[np.arange(256), np.asarray(batch.action)].all() and not allowed.all()
    run.close()


class NextStep(CompiledVector):
    """Resets as next-step mode does: after an episode's end comes a dummy step, here with nonsense in it."""

    def reset(self, seed):
        self._ended = np.zeros(self.num_envs, bool)
        return super().reset(seed)

    def receive(self):
        dummy, before = self._ended, jax.device_get(self._state)
        timestep = super().receive().timestep
        # An environment in its dummy step does not move.
        self._state = jax.tree.map(
            lambda old, new: np.where(dummy.reshape(-1, *[1] * (np.ndim(new) - 1)), old, new),
            before,
            jax.device_get(self._state),
        )
        self._ended = (timestep.terminated | timestep.truncated) & ~dummy
        return HostStep(timestep._replace(reward=np.where(dummy, np.float32(1e6), timestep.reward)), ~dummy)


def broken_where_huge(reward):
    return np.where(reward > 1e5, np.nan, reward)


@pytest.mark.parametrize(
    ("name", "transform"),
    [("ppo", None), ("ppo-recurrent", broken_where_huge), ("dqn", broken_where_huge)]
    + [slow("ppo", broken_where_huge), slow("ppo-recurrent", None), slow("dqn", None)],
)
def test_a_dummy_step_is_never_learned_from(name, transform):
    env = fixed_start()
    dummies = dataclasses.replace(host(env), make_vector=lambda n: NextStep(env, n))
    run = training.make_runner(small(name, env.spec), dummies, 640, [0], reward_transform=transform)
    state, report = run.advance(run.init(), 8)
    assert np.isfinite(np.concatenate([np.ravel(x) for x in report.losses.values()])).all()
    assert report.losses.get("value_loss", report.losses["loss"])[0] < 1e4
    assert report.episodes[0] > 0
    if name == "dqn":
        stored = run.steps_after(8) // 2
        assert (np.asarray(state.buffer.buffer.ring.filled[0]) < stored).all()


class Lives(CompiledVector):
    """Every third step costs a life, which terminates for the learner; no step ends what the statistics are of."""

    def __init__(self, env, num_envs):
        super().__init__(env, num_envs)
        self.steps = 0

    def receive(self):
        timestep = super().receive().timestep
        self.steps += 1
        lost = np.full(self.num_envs, self.steps % 3 == 0)
        return HostStep(
            timestep._replace(
                terminated=timestep.terminated | lost,
                info={**timestep.info, "episode_ended": timestep.terminated | timestep.truncated},
            ),
            None,
        )


def test_a_lost_life_is_no_end_of_an_episode():
    env = fixed_start()
    reports = []
    for kind in (CompiledVector, Lives):
        lives = dataclasses.replace(
            host(env), make_vector=lambda n, kind=kind: kind(env, n), make_eval_vector=lambda n: CompiledVector(env, n)
        )
        # Too slow to change what it does.
        run = training.make_runner(small("ppo", env.spec), lives, 640, [0], ppo.Hyperparameters(learning_rate=0.0))
        state, report = run.advance(run.init(), 8)
        reports.append((report, run.evaluate(state, num_episodes=4)))
    (whole, evaluated), (lives, without_lives) = reports
    assert whole.episodes[0] > 0
    for field in ("episodes", "episode_return", "episode_length"):
        np.testing.assert_array_equal(getattr(lives, field), getattr(whole, field))
    np.testing.assert_array_equal(evaluated.episode_length, without_lives.episode_length)
    assert (without_lives.episode_length > 3).all()


def test_a_restored_state_has_no_sums_of_the_rewards_of_broken_off_episodes():
    env = fixed_start()
    agent = small("ppo-recurrent", env.spec)
    run = training.make_runner(agent, host(env), 640, [0, 1])
    state, _ = run.advance(run.init(), 1)
    before = jax.device_get(state.agent.normalizers)
    assert np.any(before.sums > 0)
    restored = training.make_runner(agent, host(env), 640, [0, 1]).restored(state)
    after = restored.agent.normalizers
    assert not np.any(after.sums)
    jax.tree.map(np.testing.assert_array_equal, after._replace(sums=before.sums), before)


def test_a_restored_state_goes_on():
    env = fixed_start()
    run = training.make_runner(small("ppo", env.spec), host(env), 640, [0])
    state, _ = run.advance(run.init(), 2)
    again = training.make_runner(small("ppo", env.spec), host(env), 640, [0])
    restored, _ = again.advance(again.restored(jax.tree.map(lambda x: x, state)), 1)
    assert again.iterations_done(restored) == 3
    assert np.isfinite(again.evaluate(restored, num_episodes=2).episode_return).all()

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import envs, sweep, training
from jaxrl.algorithms import dqn, ppo
from jaxrl.training import memory
from jaxrl.types import Spec

SPEC = Spec("test", spaces.Box(-9, 9, (4,), np.float32), spaces.Discrete(2))
AGENT = dqn.make(SPEC, dqn.Config(buffer_size=1_000))


def test_what_does_not_fit_is_refused_before_it_is_allocated(monkeypatch):
    needed = memory.replay_bytes(AGENT, 3)
    assert needed == 3 * AGENT.feed.buffer.nbytes > 0
    monkeypatch.setattr(memory, "available_bytes", lambda device: needed)
    memory.require_memory(AGENT, 3)
    monkeypatch.setattr(memory, "available_bytes", lambda device: needed - 1)
    with pytest.raises(MemoryError, match=r"buffer_size=1,000: 3 replay buffers of .* kB do not fit, .* are free"):
        memory.require_memory(AGENT, 3)
    memory.require_memory(ppo.make(SPEC, ppo.Config()), 3)


def test_accelerators_share_the_runs(monkeypatch):
    monkeypatch.setattr(jax, "local_devices", lambda: [SimpleNamespace(platform="gpu")])
    monkeypatch.setattr(memory, "available_bytes", lambda device: memory.replay_bytes(AGENT, 2))
    memory.require_memory(AGENT, 4, num_devices=2)
    with pytest.raises(MemoryError):
        memory.require_memory(AGENT, 4)


def test_a_container_may_have_what_its_cache_of_files_holds(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory, "_host_available", lambda: 10_000)
    cpu = SimpleNamespace(platform="cpu")
    assert memory.available_bytes(cpu) == 10_000
    (tmp_path / "memory.current").write_text("900\n")
    (tmp_path / "memory.stat").write_text("anon 300\nactive_file 200\ninactive_file 400\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_bytes(cpu) == 10_000
    (tmp_path / "memory.max").write_text("1000\n")
    assert memory.available_bytes(cpu) == 700


def test_a_sweep_counts_the_buffers_of_all_its_runs(monkeypatch):
    env = envs.make("gymnax:CartPole-v1")
    agent = dqn.make(env.spec, dqn.Config(num_envs=1, buffer_size=100, prefill=50))
    train = training.make_train(agent, env, 100, num_intervals=1)
    monkeypatch.setattr(memory, "available_bytes", lambda device: memory.replay_bytes(agent, 5))
    with pytest.raises(MemoryError, match="6 replay buffers"):
        sweep(train, seeds=3, hyperparameters=dqn.Hyperparameters(learning_rate=np.array([1e-3, 1e-4])))


def test_the_estimate_counts_what_a_run_allocates(key):
    """Beside the bytes of the arrays themselves; no more, or a run that fits would be refused."""
    env = envs.make("gymnax:CartPole-v1")
    agent = ppo.make(env.spec, ppo.Config(num_envs=3, rollout_length=8, hidden_sizes=(8,)))
    parts = memory.estimate(agent, env, eval_episodes=5)
    learning = jax.eval_shape(lambda key: agent.init(key, agent.hyperparameters), key)
    assert parts["parameters and optimiser"] == sum(4 * x.size for x in jax.tree.leaves(learning))
    assert parts["the steps and batches of an iteration"] == 3 * 8 * 4 * 4
    # Four numbers and the time of the state, and the observation.
    assert parts["environments"] == 3 * 36 and parts["evaluations"] == 5 * 36
    replay = memory.estimate(AGENT, env)
    assert replay["the replay"] == AGENT.feed.buffer.nbytes
    assert replay["the steps and batches of an iteration"] == 2 * AGENT.feed.batch_size * 16 + 16


GB = 2**30
SIZES = [
    ({"num_envs": 10**8, "rollout_length": 1}, {}, r"needs at least 5.2 GB of memory \(3.6 GB for environments\)"),
    ({"hidden_sizes": (10**9, 10**9)}, {}, "of memory .* for parameters and optimiser.*use smaller layers"),
    ({"rollout_length": 10**9}, {}, "for the steps and batches of an iteration.*use a smaller rollout_length"),
    ({"hidden_sizes": (10**300,) * 2}, {}, r"a size is beyond 2\^63"),
    ({}, {"eval_episodes": 10**9}, "for evaluations.*use fewer eval_episodes"),
    ({}, {"seeds": range(10**9)}, r"1,000,000,000 seeds need at least .* TB .*use fewer seeds"),
]


@pytest.mark.parametrize(("config", "more", "words"), SIZES)
def test_sizes_that_cannot_be_are_refused_before_anything_is_made(config, more, words, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda device: GB)
    env = envs.make("gymnax:CartPole-v1")
    agent = ppo.make(env.spec, ppo.Config(**config))
    with pytest.raises(MemoryError, match=words):
        training.make_runner(agent, env, 10**12, **{"seeds": [0], **more})


def test_simulators_in_python_count_too(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda device: GB)
    env = envs.make("gymnasium:CartPole-v1")
    agent = ppo.make(env.spec, ppo.Config(num_envs=10**6))
    with pytest.raises(MemoryError, match=r"for environments\).*fewer num_envs"):
        training.make_runner(agent, env, 10**12, [0])

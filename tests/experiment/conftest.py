"""Tiny runs, trained once and shared by the tests of this folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import pytest

from jaxrl.experiment.cli import main

TINY_PPO = {
    "config.num_envs": "2",
    "config.rollout_length": "8",
    "config.num_minibatches": "2",
    "config.num_epochs": "1",
    "config.hidden_sizes": "8",
}
TINY_DQN = {
    "config.num_envs": "1",
    "config.hidden_sizes": "8",
    "config.buffer_size": "64",
    "config.batch_size": "8",
    "config.prefill": "16",
    "config.steps_per_update": "4",
    "config.updates_per_iteration": "1",
    "config.target_update_period": "2",
}
TINY_DDPG = TINY_DQN | {
    "env": "Pendulum-v1",
    "preset": "none",
    "config.target_update_period": "1",
    "config.policy_delay": "2",
    "config.exploration": "ornstein_uhlenbeck",
    "config.normalize_observation": "true",
    "config.prioritized": "true",
}
TINY_CROSSQ = TINY_DQN | {
    "env": "Pendulum-v1",
    "preset": "none",
    "config.target_update_period": "1",
    "config.critic_sizes": "8",
    "config.policy_delay": "4",
}
TINY_RECURRENT = TINY_PPO | {"config.actor_rnn": "gru", "config.critic_rnn": "lstm", "config.sequence_length": "4"}
PLAN = {"total-steps": "256", "num-intervals": "8", "num-evaluations": "2", "num-checkpoints": "4"}


Train = Callable[..., int]


def options(*groups: dict[str, object]) -> list[str]:
    """``{"a": "b"}`` as ``["--a", "b"]``; later groups go before earlier ones."""
    merged: dict[str, object] = {}
    for group in groups:
        merged |= group
    return [word for name, value in merged.items() for word in (f"--{name}", str(value))]


def _train(algorithm: str, out: Path, **more: object) -> int:
    tiny = {
        "ppo": TINY_PPO, "dqn": TINY_DQN, "ddpg": TINY_DDPG, "crossq": TINY_CROSSQ, "recurrent": TINY_RECURRENT,
    }[algorithm]  # fmt: skip
    algorithm = "ppo" if algorithm == "recurrent" else algorithm
    given = {name.replace("__", ".") if "__" in name else name.replace("_", "-"): value for name, value in more.items()}
    words = options({"env": "CartPole-v1", "num-seeds": 2}, PLAN, tiny, {"out": out}, given)
    return main(["train", algorithm, "--no-progress", *words])


@pytest.fixture(scope="session", autouse=True)
def jax_has_started() -> None:
    """The command line sets up JAX's devices, but only in a process that has not used JAX."""
    jax.devices()


@pytest.fixture(scope="session")
def train_tiny() -> Train:
    """``train_tiny("ppo", out, hp__clip=0.1)`` is ``jaxrl train ppo --hp.clip 0.1`` with tiny settings; its status."""
    return _train


@pytest.fixture(scope="session")
def ppo_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of PPO. Do not change it: copy it."""
    out = tmp_path_factory.mktemp("runs") / "ppo"
    assert _train("ppo", out) == 0
    return out


@pytest.fixture(scope="session")
def dqn_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Likewise of DQN."""
    out = tmp_path_factory.mktemp("runs") / "dqn"
    assert _train("dqn", out) == 0
    return out


@pytest.fixture(scope="session")
def ddpg_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Likewise of DDPG, with noise that is carried on, statistics and priorities."""
    out = tmp_path_factory.mktemp("runs") / "ddpg"
    assert _train("ddpg", out) == 0
    return out


@pytest.fixture(scope="session")
def crossq_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Likewise of CrossQ, with a learnt temperature and statistics of batches."""
    out = tmp_path_factory.mktemp("runs") / "crossq"
    assert _train("crossq", out) == 0
    return out


@pytest.fixture(scope="session")
def recurrent_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Likewise of PPO with memory."""
    out = tmp_path_factory.mktemp("runs") / "recurrent"
    assert _train("recurrent", out) == 0
    return out


@pytest.fixture
def copy_of_ppo(ppo_run: Path, tmp_path: Path) -> Path:
    """A finished run of PPO that may be changed."""
    return Path(shutil.copytree(ppo_run, tmp_path / "run"))

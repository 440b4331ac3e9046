"""Presets of the actor-critics on a replay buffer; they are taken by themselves."""

from __future__ import annotations

from typing import Any

from jaxrl.experiment.presets.preset import Preset

_PENDULUM_RATES = {"actor_learning_rate": 1e-3, "critic_learning_rate": 1e-3, "discount": 0.98, "tau": 0.005}
_PENDULUM: dict[str, Any] = {
    "num_envs": 1,
    "hidden_sizes": (64, 64),
    "buffer_size": 20_000,
    "batch_size": 256,
    "prefill": 1_000,
}
"""An update for each step, after a few episodes of random actions."""
_PENDULUM_CHANGES = "tuned here: smaller networks, a shorter random start, batches of 256, an update for each step"


def _pendulum(algorithm: str, source: str, **hyperparameters: Any) -> Preset:
    return Preset(
        name=f"{algorithm}/Pendulum-v1",
        algorithm=algorithm,
        env="Pendulum-v1",
        source=source,
        hyperparameters={**_PENDULUM_RATES, **hyperparameters},
        config=_PENDULUM,
        total_steps=20_000,
    )


PRESETS = [
    _pendulum("ddpg", f"RL Baselines3 Zoo, hyperparams/ddpg.yml, Pendulum-v0; {_PENDULUM_CHANGES}", noise_scale=0.1),
    _pendulum("td3", f"RL Baselines3 Zoo, hyperparams/td3.yml, Pendulum-v0; {_PENDULUM_CHANGES}", noise_scale=0.1),
    _pendulum(
        "sac",
        f"RL Baselines3 Zoo, hyperparams/sac.yml, Pendulum-v1; {_PENDULUM_CHANGES}",
        temperature_learning_rate=1e-3,
    ),
    _pendulum("tqc", "sac/Pendulum-v1", temperature_learning_rate=1e-3),
]

"""Presets of RL Baselines3 Zoo, for Stable-Baselines3 (Raffin et al. 2021, JMLR 22).

All algorithms make ``gradient_steps`` updates after each ``train_freq`` steps of one environment (-1: as many as
steps); those of values copy the target network after so many steps. What its files leave out is the default of
Stable-Baselines3 or its contributions.
"""

from __future__ import annotations

from typing import Any

from jaxrl.experiment.presets.preset import LOG_TEMPERATURE, UNCLIPPED, Preset
from jaxrl.ramps import Schedule, linear

_ZOO = "DLR-RM/rl-baselines3-zoo@22e3ff2"
COMMIT = f"{_ZOO}, DLR-RM/stable-baselines3@e05d2db"
_CONTRIB_COMMIT = f"{_ZOO}, Stable-Baselines-Team/stable-baselines3-contrib@0ca7fdd"


def _preset(
    name: str,
    env: str,
    *,
    n_timesteps: int,
    learning_rate: float | Schedule,
    buffer_size: int,
    learning_starts: int,
    batch_size: int,
    target_update_interval: int,
    train_freq: int,
    gradient_steps: int,
    exploration_fraction: float,
    exploration_final_eps: float,
    net_arch: tuple[int, ...],
    gamma: float = 0.99,
    n_quantiles: int | None = None,
    **more: Any,
) -> Preset:
    """A preset of values as the Zoo calls them; ``n_quantiles`` makes it one of QR-DQN."""
    algorithm, file = ("dqn", "dqn.yml") if n_quantiles is None else ("qr_dqn", "qrdqn.yml")
    updates = train_freq if gradient_steps == -1 else gradient_steps
    config: dict[str, Any] = {
        "num_envs": 1,
        "hidden_sizes": net_arch,
        "double_q": False,
        "target_update": "hard",
        # It is copied between two rounds of updates, so at most once a round.
        "target_update_period": max(updates, target_update_interval * updates // train_freq),
        "buffer_size": buffer_size,
        "batch_size": batch_size,
        "prefill": max(1, learning_starts),
        "steps_per_update": train_freq,
        "updates_per_iteration": updates,
    }
    if n_quantiles is None:
        config["loss"] = "huber"
    else:
        config |= {"num_quantiles": n_quantiles, "adam_epsilon": 0.01 / batch_size}
    return Preset(
        name=f"{algorithm}/zoo-{name}",
        algorithm=algorithm,
        env=env,
        source=f"RL Baselines3 Zoo, hyperparams/{file}, {'atari' if env == 'Atari' else env}",
        hyperparameters={
            "learning_rate": learning_rate,
            "discount": gamma,
            "epsilon": linear(1.0, exploration_final_eps, fraction=exploration_fraction),
            "max_grad_norm": 10.0 if n_quantiles is None else UNCLIPPED,
        },
        config=config,
        total_steps=n_timesteps,
        commit=COMMIT if n_quantiles is None else _CONTRIB_COMMIT,
        **more,
    )


def _continuous(
    algorithm: str,
    name: str,
    env: str,
    *,
    n_timesteps: int,
    learning_starts: int,
    learning_rate: float,
    batch_size: int = 256,
    buffer_size: int = 1_000_000,
    gamma: float = 0.99,
    net_arch: tuple[int, ...] = (256, 256),
    noise_std: float | None = None,
    entry: str,
    differs: tuple[str, ...] = (),
    changed: str = "",
    **config: Any,
) -> Preset:
    """A preset of DDPG or TD3 (with ``noise_std``), or of SAC and its kin, with Stable-Baselines3's defaults."""
    rates = {"actor_learning_rate": learning_rate, "critic_learning_rate": learning_rate}
    if noise_std is not None:
        hyperparameters = rates | {"noise_scale": noise_std}
        config["exploration"] = "gaussian"
    else:
        differs = (*differs, LOG_TEMPERATURE)
        hyperparameters = rates | {
            "temperature_learning_rate": learning_rate, "temperature": 1.0, "target_entropy": -1.0
        }  # fmt: skip
    return Preset(
        name=f"{algorithm}/zoo-{name}",
        algorithm=algorithm,
        env=env,
        source=f"RL Baselines3 Zoo, hyperparams/{algorithm}.yml, {entry}",
        hyperparameters={**hyperparameters, "discount": gamma, "tau": 0.005},
        config={
            "num_envs": 1,
            "hidden_sizes": net_arch,
            "activation": "relu",
            "buffer_size": buffer_size,
            "batch_size": batch_size,
            "prefill": learning_starts,
            "steps_per_update": 1,
            "updates_per_iteration": 1,
            **config,
        },
        total_steps=n_timesteps,
        commit=COMMIT if algorithm in ("ddpg", "td3", "sac") else _CONTRIB_COMMIT,
        differs=differs,
        changed=changed,
    )


_CARTPOLE: dict[str, Any] = {
    "n_timesteps": 50_000,
    "learning_rate": 2.3e-3,
    "batch_size": 64,
    "buffer_size": 100_000,
    "learning_starts": 1_000,
    "gamma": 0.99,
    "target_update_interval": 10,
    "train_freq": 256,
    "gradient_steps": 128,
    "exploration_fraction": 0.16,
    "exploration_final_eps": 0.04,
    "net_arch": (256, 256),
}
_MOUNTAINCAR: dict[str, Any] = {
    "n_timesteps": 120_000,
    "learning_rate": 4e-3,
    "batch_size": 128,
    "buffer_size": 10_000,
    "learning_starts": 1_000,
    "gamma": 0.98,
    "target_update_interval": 600,
    "train_freq": 16,
    "gradient_steps": 8,
    "exploration_fraction": 0.2,
    "exploration_final_eps": 0.07,
    "net_arch": (256, 256),
    # 37.5 rounds of 8 updates.
    "differs": ("the target network is copied between rounds there, at every second copy within one here",),
}
_ACROBOT: dict[str, Any] = {
    "n_timesteps": 100_000,
    "learning_rate": 6.3e-4,
    "batch_size": 128,
    "buffer_size": 50_000,
    "learning_starts": 0,
    "gamma": 0.99,
    "target_update_interval": 250,
    "train_freq": 4,
    "gradient_steps": -1,
    "exploration_fraction": 0.12,
    "exploration_final_eps": 0.1,
    "net_arch": (256, 256),
}
_LUNARLANDER_QR: dict[str, Any] = {
    "n_timesteps": 100_000,
    "learning_rate": linear(1.5e-3, 0.0, fraction=1.0),
    "batch_size": 128,
    "buffer_size": 100_000,
    "learning_starts": 10_000,
    "gamma": 0.995,
    "target_update_interval": 1,
    "train_freq": 256,
    "gradient_steps": -1,
    "exploration_fraction": 0.24,
    "exploration_final_eps": 0.18,
    "net_arch": (256, 256),
}
_ATARI: dict[str, Any] = {
    "n_timesteps": 10_000_000,
    "learning_rate": 1e-4,
    "batch_size": 32,
    "buffer_size": 100_000,
    "learning_starts": 100_000,
    "target_update_interval": 1_000,
    "train_freq": 4,
    "gradient_steps": 1,
    "exploration_fraction": 0.1,
    "exploration_final_eps": 0.01,
    "net_arch": (512,),
    "env_parameters": {"protocol": "classic"},
    "reward_clip": 1.0,
}
_ATARI_QR: dict[str, Any] = {
    **_ATARI,
    "learning_rate": 5e-5,
    "buffer_size": 1_000_000,
    "learning_starts": 50_000,
    "target_update_interval": 10_000,
    "exploration_fraction": 0.025,
}
_PENDULUM: dict[str, Any] = {
    "n_timesteps": 20_000,
    "learning_rate": 1e-3,
    "gamma": 0.98,
    "buffer_size": 200_000,
    "learning_starts": 10_000,
    "noise_std": 0.1,
    "net_arch": (400, 300),
    "entry": "Pendulum-v1",
    "differs": ("noise is added to the random actions at the start too there",),
    "changed": "2026-12-01",
}
_VERSION = ("HalfCheetah-v4 there",)

PRESETS = [
    _preset("cartpole", "CartPole-v1", **_CARTPOLE),
    _preset("mountaincar", "MountainCar-v0", **_MOUNTAINCAR),
    _preset("acrobot", "Acrobot-v1", **_ACROBOT),
    _preset("lunarlander", "LunarLander-v3", **_ACROBOT),
    _preset("atari", "Atari", **_ATARI, changed="2026-12-01"),
    _preset("cartpole", "CartPole-v1", **_CARTPOLE, n_quantiles=10),
    _preset("mountaincar", "MountainCar-v0", **_MOUNTAINCAR, n_quantiles=25),
    _preset("acrobot", "Acrobot-v1", **_ACROBOT, n_quantiles=25),
    _preset("lunarlander", "LunarLander-v3", **_LUNARLANDER_QR, n_quantiles=170),
    _preset("atari", "Atari", **_ATARI_QR, n_quantiles=200),
    _continuous("ddpg", "pendulum", "Pendulum-v1", **_PENDULUM),
    _continuous("td3", "pendulum", "Pendulum-v1", **_PENDULUM),
    _continuous(
        "sac", "pendulum", "Pendulum-v1",
        n_timesteps=20_000, learning_starts=100, learning_rate=1e-3, entry="Pendulum-v1",
    ),
    _continuous(
        "sac", "mujoco", "HalfCheetah-v5",
        n_timesteps=1_000_000, learning_starts=10_000, learning_rate=3e-4, entry="HalfCheetah-v4", differs=_VERSION,
    ),
    _continuous(
        "tqc", "mujoco", "HalfCheetah-v5", num_quantiles=25, drop_quantiles=2,
        n_timesteps=1_000_000, learning_starts=10_000, learning_rate=3e-4, entry="HalfCheetah-v4", differs=_VERSION,
    ),
    _continuous(
        "crossq", "mujoco", "HalfCheetah-v5", critic_sizes=(2048, 2048), policy_delay=3, adam_b1=0.5,
        n_timesteps=5_000_000, learning_starts=5_000, learning_rate=1e-3, entry="HalfCheetah-v4",
        differs=_VERSION,
    ),
    Preset(
        name="a2c/zoo-cartpole",
        algorithm="a2c",
        env="CartPole-v1",
        source="RL Baselines3 Zoo, hyperparams/a2c.yml, CartPole-v1",
        hyperparameters={
            "learning_rate": 7e-4,
            "discount": 0.99,
            "gae_lambda": 1.0,
            "entropy_coefficient": 0.0,
            # 0.5 there, of squares without the half.
            "value_coefficient": 1.0,
            "max_grad_norm": 0.5,
        },
        config={
            "num_envs": 8,
            "rollout_length": 5,
            "hidden_sizes": (64, 64),
            "activation": "tanh",
            "normalize_advantage": False,
            "optimizer": "rmsprop_torch",
            "adam_epsilon": 1e-5,
        },
        total_steps=500_000,
        commit=COMMIT,
    ),
]  # fmt: skip

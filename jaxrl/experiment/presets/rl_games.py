"""Presets of rl_games (github.com/Denys88/rl_games)."""

from __future__ import annotations

from jaxrl.experiment.presets.preset import TORCH_INIT, Preset

COMMIT = "Denys88/rl_games@262cf20"
STATISTICS = "running statistics begin with one item of mean 0 and variance 1 there, and add 1e-5 to a variance"
"""A difference of its presets of PPO."""

PRESETS = [
    Preset(
        name="ppo/rl_games-pong",
        algorithm="ppo",
        env="Pong",
        source="rl_games, rl_games/configs/atari/ppo_pong_envpool.yaml",
        hyperparameters={
            "learning_rate": 3e-4,
            "discount": 0.99,
            "gae_lambda": 0.95,
            "clip": 0.2,
            "entropy_coefficient": 0.01,
            "value_coefficient": 2.0,
            "max_grad_norm": 1.0,
            "target_kl": 0.01,
            "min_learning_rate": 1e-6,
            "max_learning_rate": 1e-2,
        },
        config={
            "num_envs": 64,
            "rollout_length": 128,
            "num_epochs": 4,
            # Of 2,048 transitions.
            "num_minibatches": 4,
            "torso": "conv",
            "convolutions": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),
            "hidden_sizes": (512,),
            "activation": "elu",
            "kernel_init": "orthogonal(1.41421356237)",
            "head_init": TORCH_INIT,
            "shared_torso": True,
            "adaptive_learning_rate": "epoch",
            "normalize_observation": True,
            "normalize_images": True,
            "observation_clip": 5.0,
            "normalize_value": True,
            "value_clip": 5.0,
            "advantage_scope": "rollout",
            "clip_value_loss": False,
            "adam_epsilon": 1e-8,
        },
        # 250 epochs.
        total_steps=250 * 64 * 128,
        env_parameters={"protocol": "classic"},
        reward_clip=1.0,
        commit=COMMIT,
        differs=(
            "the divergence by which the learning rate adapts is half the mean squared log-ratio there, the exact one "
            "here",
            "convolutions and the value's last layer begin as PyTorch's there, orthogonal here, as dense layers do in "
            "both",
            STATISTICS,
            "statistics of observations are updated in the first pass over a rollout there, between rollouts here",
        ),
        changed="2026-12-01",
    ),
    Preset(
        name="sac/rl_games-mujoco",
        algorithm="sac",
        env="HalfCheetah-v5",
        source="rl_games, rl_games/configs/mujoco/sac_halfcheetah.yaml and rl_games/algos_torch/sac_agent.py",
        hyperparameters={
            "actor_learning_rate": 3e-4,
            "critic_learning_rate": 3e-4,
            "temperature_learning_rate": 3e-4,
            "temperature": 1.0,
            "min_temperature": 0.01,
            "target_entropy": -1.0,
            "critic_max_grad_norm": 5.0,
            "discount": 0.99,
            "tau": 0.005,
        },
        config={
            "num_envs": 32,
            "hidden_sizes": (256, 256),
            "activation": "relu",
            "log_std_bounds": (-20.0, 2.0),
            "log_std_bounding": "tanh",
            "buffer_size": 1_000_000,
            "batch_size": 256,
            # 313 rounds of 32 steps there.
            "prefill": 10_016,
            "steps_per_update": 1,
            # An update for each step of its 32 environments, the actor at every second.
            "updates_per_iteration": 32,
            "policy_delay": 2,
        },
        total_steps=1_000_000,
        commit=COMMIT,
        differs=("the least temperature bounds what the actor's loss reads there, the learnt temperature itself here",),
        changed="2026-12-01",
    ),
]

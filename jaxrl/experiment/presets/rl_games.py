"""Presets of rl_games (github.com/Denys88/rl_games)."""

from __future__ import annotations

from jaxrl.experiment.presets.preset import Preset

PRESETS = [
    Preset(
        name="ppo/rl_games-pong",
        algorithm="ppo",
        env="Pong",
        source=(
            "rl_games, configs/atari/ppo_pong_envpool.yaml; a learning rate that adapts after each pass over the "
            "rollout, as there for discrete actions, but by the divergence itself and not half the squared log-ratio"
        ),
        hyperparameters={
            "learning_rate": 3e-4,
            "discount": 0.99,
            "gae_lambda": 0.95,
            "clip": 0.2,
            "entropy_coefficient": 0.01,
            "value_coefficient": 2.0,
            "max_grad_norm": 1.0,
            "target_kl": 0.01,
        },
        config={
            "num_envs": 64,
            "rollout_length": 128,
            "num_epochs": 4,
            # Of 2,048 transitions.
            "num_minibatches": 4,
            "hidden_sizes": (512,),
            "activation": "elu",
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
        # 500 epochs.
        total_steps=500 * 64 * 128,
        env_parameters={"protocol": "classic"},
        reward_clip=1.0,
    ),
    Preset(
        name="sac/rl_games-mujoco",
        algorithm="sac",
        env="HalfCheetah-v5",
        source=(
            "rl_games, configs/mujoco/sac_halfcheetah.yaml: an update for each step of its 32 environments, the actor "
            "at every second. There the least temperature bounds what the actor's loss reads, here the learnt "
            "temperature itself"
        ),
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
            "buffer_size": 1_000_000,
            "batch_size": 256,
            "prefill": 10_000,
            "steps_per_update": 1,
            "updates_per_iteration": 32,
            "policy_delay": 2,
        },
        total_steps=1_000_000,
    ),
]

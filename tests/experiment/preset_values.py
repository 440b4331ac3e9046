"""What the sources of presets say, typed from their files and not from ours, with what was converted as arithmetic.

Keys are fields of settings: hyper-parameters, configuration, parameters of the environment, and those of a run.
"""

from jaxrl.schedules import linear

NO_CLIPPING = 1e6
"""Sources that do not clip gradients."""
TORCH = "lecun_uniform(0.5773502691896258)"
"""``nn.Linear`` draws weights from U(-1/sqrt(in), 1/sqrt(in)), which has a variance of 1/3 in."""

# --- RLcycle@01e391b: configs/**.yaml ---
_RLCYCLE = {"num_envs": 1, "discount": 0.99, "tau": 0.005}
_RLCYCLE_DQN = {
    **_RLCYCLE, "target_update": "polyak", "double_q": False, "max_grad_norm": 10.0, "q_regularization": 0.0,
}  # fmt: skip
_RLCYCLE_ATARI = {
    **_RLCYCLE_DQN, "batch_size": 64, "buffer_size": 100_000, "prioritized": False, "prefill": 40_000, "n_step": 3,
    "steps_per_update": 4, "weight_decay": 0.0, "reward_clip": 1.0, "protocol": "classic",
    # Ours, where the source counts episodes.
    "total_steps": 2_000_000,
}  # fmt: skip
_RLCYCLE_CONTINUOUS = {
    **_RLCYCLE, "buffer_size": 1_000_000, "prioritized": False, "prefill": 64, "n_step": 1, "steps_per_update": 1,
    "critic_learning_rate": 0.001, "actor_learning_rate": 0.001, "num_critics": 2, "loss": "mse",
    # Gradients of squares without the half are twice ours.
    "actor_max_grad_norm": 10.0, "critic_max_grad_norm": 10.0 / 2, "total_steps": 300_000,
}  # fmt: skip

# --- spinningup@038665d: defaults of its functions ---
_SPINNINGUP = {
    "num_envs": 1, "hidden_sizes": (256, 256), "activation": "relu", "buffer_size": int(1e6), "discount": 0.99,
    "tau": 1 - 0.995, "actor_learning_rate": 1e-3, "critic_learning_rate": 1e-3, "batch_size": 100, "prefill": 1_000,
    "epsilon": linear(1.0, 0.0, steps=1, delay=10_000), "steps_per_update": 50, "updates_per_iteration": 50,
    "total_steps": 3_000_000, "adam_epsilon": 1e-8, "loss": "mse",
}  # fmt: skip
_SPINNINGUP_ON_POLICY = {
    # mpi_fork(4), 4,000 steps an epoch, 50 epochs.
    "num_envs": 4, "rollout_length": 4_000 // 4, "total_steps": 50 * 4_000, "hidden_sizes": (64, 64),
    "activation": "tanh", "initial_std": 0.6065306597126334, "discount": 0.99, "gae_lambda": 0.97,
    "critic_learning_rate": 1e-3, "normalize_advantage": True, "reward_to_go": True, "adam_epsilon": 1e-8,
    "kernel_init": TORCH, "head_init": TORCH,
}  # fmt: skip
_SPINNINGUP_FITTED = {**_SPINNINGUP_ON_POLICY, "value_iterations": 80, "value_minibatches": 1}
# tf.layers.dense.
_SPINNINGUP_TRPO = {
    **_SPINNINGUP_FITTED, "max_kl": 0.01, "damping": 0.1, "cg_iterations": 10, "kernel_init": "glorot_uniform",
    "head_init": "glorot_uniform",
}  # fmt: skip

# --- cleanrl@fe8d8a0: Args ---
_CLEANRL_CLASSIC = {
    "num_envs": 1, "total_steps": 500_000, "learning_rate": 2.5e-4, "buffer_size": 10_000, "discount": 0.99,
    "target_update": "hard", "target_update_period": 500 // 10, "batch_size": 128,
    "epsilon": linear(1.0, 0.05, fraction=0.5), "prefill": 10_000, "steps_per_update": 10, "hidden_sizes": (120, 84),
    "activation": "relu", "double_q": False, "n_step": 1, "max_grad_norm": NO_CLIPPING,
}  # fmt: skip
_CLEANRL_ATARI = {
    "num_envs": 1, "total_steps": 10_000_000, "buffer_size": 1_000_000, "discount": 0.99, "target_update": "hard",
    "batch_size": 32, "epsilon": linear(1.0, 0.01, fraction=0.1), "prefill": 80_000, "steps_per_update": 4,
    "hidden_sizes": (512,), "torso": "auto", "double_q": False, "n_step": 1, "max_grad_norm": NO_CLIPPING,
    "protocol": "classic", "reward_clip": 1.0,
}  # fmt: skip
_CLEANRL_MUJOCO = {
    "num_envs": 1, "total_steps": 1_000_000, "buffer_size": int(1e6), "discount": 0.99, "tau": 0.005,
    "batch_size": 256, "hidden_sizes": (256, 256), "activation": "relu", "steps_per_update": 1, "adam_epsilon": 1e-8,
}  # fmt: skip
_CLEANRL_DETERMINISTIC = {
    **_CLEANRL_MUJOCO, "actor_learning_rate": 3e-4, "critic_learning_rate": 3e-4, "exploration": "gaussian",
    "noise_scale": 0.1, "prefill": 25_000, "policy_delay": 2, "target_update_period": 2, "actor_value": "first",
}  # fmt: skip

# --- rl-baselines3-zoo@22e3ff2: hyperparams/*.yml; what they leave out by stable-baselines3@e05d2db ---
_ZOO_VALUES = {
    "num_envs": 1, "hidden_sizes": (256, 256), "activation": "relu", "double_q": False, "target_update": "hard",
    "n_step": 1,
}  # fmt: skip
_ZOO_DQN = {**_ZOO_VALUES, "loss": "huber", "max_grad_norm": 10.0, "adam_epsilon": 1e-8}
_ZOO_QR = {**_ZOO_VALUES, "max_grad_norm": NO_CLIPPING}
_ZOO_CARTPOLE = {
    "total_steps": 50_000, "learning_rate": 2.3e-3, "batch_size": 64, "buffer_size": 100_000, "prefill": 1_000,
    "discount": 0.99, "steps_per_update": 256, "updates_per_iteration": 128,
    # Every 10 steps, so before each round.
    "target_update_period": 128, "epsilon": linear(1.0, 0.04, fraction=0.16),
}  # fmt: skip
_ZOO_MOUNTAINCAR = {
    "total_steps": 120_000, "learning_rate": 4e-3, "batch_size": 128, "buffer_size": 10_000, "prefill": 1_000,
    "discount": 0.98, "steps_per_update": 16, "updates_per_iteration": 8, "target_update_period": 600 * 8 // 16,
    "epsilon": linear(1.0, 0.07, fraction=0.2),
}  # fmt: skip
_ZOO_ACROBOT = {
    # Learning starts at once; gradient_steps -1 are as many as train_freq.
    "total_steps": 100_000, "learning_rate": 6.3e-4, "batch_size": 128, "buffer_size": 50_000, "prefill": 1,
    "discount": 0.99, "steps_per_update": 4, "updates_per_iteration": 4, "target_update_period": 250,
    "epsilon": linear(1.0, 0.1, fraction=0.12),
}  # fmt: skip
_ZOO_ATARI = {
    "total_steps": 10_000_000, "batch_size": 32, "discount": 0.99, "steps_per_update": 4, "updates_per_iteration": 1,
    "hidden_sizes": (512,), "protocol": "classic", "reward_clip": 1.0,
}  # fmt: skip
_ZOO_CONTINUOUS = {
    "num_envs": 1, "activation": "relu", "tau": 0.005, "batch_size": 256, "steps_per_update": 1,
    "updates_per_iteration": 1, "adam_epsilon": 1e-8,
}  # fmt: skip
_ZOO_PENDULUM = {
    **_ZOO_CONTINUOUS, "total_steps": 20_000, "discount": 0.98, "buffer_size": 200_000, "prefill": 10_000,
    "exploration": "gaussian", "noise_scale": 0.1, "actor_learning_rate": 1e-3, "critic_learning_rate": 1e-3,
    "hidden_sizes": (400, 300), "actor_value": "first",
}  # fmt: skip
_ZOO_SAC = {
    **_ZOO_CONTINUOUS, "discount": 0.99, "buffer_size": 1_000_000, "hidden_sizes": (256, 256), "temperature": 1.0,
    "target_entropy": -1.0, "learn_temperature": True, "log_std_bounds": (-20.0, 2.0), "log_std_bounding": "clip",
}  # fmt: skip


def _rates(rate):
    return {"actor_learning_rate": rate, "critic_learning_rate": rate, "temperature_learning_rate": rate}


# --- dopamine@5873f54: dopamine/jax/agents/*/configs/*.gin ---
_DOPAMINE = {
    "num_envs": 1, "discount": 0.99, "prefill": 20_000, "steps_per_update": 4, "target_update_period": 8_000 // 4,
    "epsilon": linear(1.0, 0.01, steps=250_000, delay=20_000), "evaluation_epsilon": 0.001,
    "buffer_size": 1_000_000, "batch_size": 32, "total_steps": 200 * 250_000, "protocol": "machado",
    "reward_clip": 1.0, "double_q": False, "target_update": "hard", "max_grad_norm": NO_CLIPPING,
    # variance_scaling(1 / sqrt(3), "fan_in", "uniform"): the weights' gain is the root of the scale.
    "kernel_init": f"lecun_uniform({3**-0.25!r})",
}  # fmt: skip

# --- brax@0b96d05: notebooks/training.ipynb, brax/training/agents/sac/ ---
_BRAX = {
    "num_envs": 128, "hidden_sizes": (256, 256), "activation": "relu", "normalize_observation": True,
    "prefill": 8_192, "steps_per_update": 1, "temperature_learning_rate": 3e-4, "temperature": 1.0,
    "target_entropy": -0.5, "tau": 0.005,
}  # fmt: skip
_BRAX_NOTEBOOK = {
    **_BRAX, "actor_learning_rate": 6e-4, "critic_learning_rate": 6e-4, "discount": 0.997, "buffer_size": 1_048_576,
}  # fmt: skip

VALUES = {
    "dqn/rlcycle-pong": {
        **_RLCYCLE_ATARI, "priority_exponent": 0.4, "epsilon": linear(1.0, 0.01, steps=1_000_000),
        # Over 300,000 updates of 4 steps each, from the first on.
        "importance_exponent": linear(0.6, 1.0, steps=300_000 * 4, delay=40_000), "learning_rate": 0.0003,
        "adam_epsilon": 0.00000001, "loss": "huber", "hidden_sizes": (128, 128), "activation": "relu",
    },
    "rainbow/rlcycle-pong": {
        **_RLCYCLE_ATARI, "priority_exponent": 0.5, "epsilon": linear(1.0, 0.0, steps=100_000),
        "importance_exponent": linear(0.4, 1.0, steps=300_000 * 4, delay=40_000), "learning_rate": 0.0000625,
        "adam_epsilon": 0.00015, "num_atoms": 51, "v_min": -10.0, "v_max": 10.0, "hidden_sizes": (),
        "head_sizes": (512,), "noise": "factorised", "noise_sigma": 0.5, "dueling": True,
        "exploration": "epsilon_greedy",
    },
    "dqn/rlcycle-lunarlander": {
        **_RLCYCLE_DQN, "batch_size": 64, "buffer_size": 1_000_000, "prioritized": False,
        "epsilon": linear(1.0, 0.01, steps=100_000), "prefill": 10_000, "learning_rate": 0.00025, "n_step": 3,
        "steps_per_update": 1, "max_episode_steps": 300, "total_steps": 2_000 * 300, "dueling": True,
        "hidden_sizes": (512,), "head_sizes": (512,), "loss": "huber",
    },
    "dqn/rlcycle-lunarlander-per": {
        **_RLCYCLE_DQN, "batch_size": 32, "buffer_size": 10_000, "prioritized": True, "priority_exponent": 0.4,
        "importance_exponent": linear(0.6, 1.0, steps=10_000 * 4, delay=10_000),
        "epsilon": linear(1.0, 0.1, steps=10_000), "prefill": 10_000, "learning_rate": 0.00025, "n_step": 5,
        "steps_per_update": 4, "max_episode_steps": 300, "total_steps": 2_000 * 300, "hidden_sizes": (128, 128),
        "loss": "huber",
    },
    "ddpg/rlcycle-lillicrap2015": {
        **_RLCYCLE_CONTINUOUS, "batch_size": 64, "epsilon": linear(1.0, 0.0, steps=1, delay=1_000),
        "exploration": "ornstein_uhlenbeck", "noise_theta": 0.15, "noise_scale": 0.3, "hidden_sizes": (400, 300),
        "action_layers": (1,), "actor_value": "first",
    },
    "ddpg/rlcycle-fujimoto2018": {
        **_RLCYCLE_CONTINUOUS, "batch_size": 100, "epsilon": linear(1.0, 0.0, steps=1, delay=10_000),
        "exploration": "gaussian", "noise_scale": 0.1, "hidden_sizes": (400, 300), "action_layers": (0, 1),
        "actor_value": "first",
    },
    "sac/rlcycle-haarnoja2019": {
        **_RLCYCLE_CONTINUOUS, "batch_size": 64, "epsilon": linear(1.0, 0.0, steps=1, delay=10_000),
        # log_alpha begins at 0.
        "temperature": 1.0, "temperature_learning_rate": 0.0003, "target_entropy": -1.0, "hidden_sizes": (256, 256),
        "action_layers": (1,), "log_std_bounds": (-20.0, 2.0), "log_std_bounding": "clip", "output_bound": 0.003,
        "actor_value": "minimum",
    },
    "dqn/lightning-cartpole": {
        # Epsilon falls with the updates, which begin after the warm start.
        "batch_size": 16, "learning_rate": 1e-2, "discount": 0.99, "target_update": "hard",
        "target_update_period": 10, "buffer_size": 1_000, "prefill": 1_000,
        "epsilon": linear(1.0, 0.01, steps=1_000, delay=1_000), "hidden_sizes": (128,), "activation": "relu",
        "loss": "mse", "max_episode_steps": 200, "replacement": False, "num_envs": 1, "double_q": False,
        "steps_per_update": 1, "max_grad_norm": NO_CLIPPING, "total_steps": 1_000 + 150 * 13,
    },
    "dqn/bolts-pong": {
        "learning_rate": 1e-4, "batch_size": 32, "target_update": "hard", "target_update_period": 1_000,
        "buffer_size": 100_000, "prefill": 10_000, "epsilon": linear(1.0, 0.02, steps=150_000, delay=10_000),
        "steps_per_update": 1, "n_step": 1, "reward_clip": None, "discount": 0.99, "loss": "mse", "num_envs": 1,
        "hidden_sizes": (512,), "double_q": False, "replacement": False, "max_grad_norm": NO_CLIPPING,
        "protocol": "classic", "noop_max": 0, "episodic_life": False, "total_steps": 500_000,
    },
    "dqn/cleanrl-classic-control": {**_CLEANRL_CLASSIC, "loss": "mse", "adam_epsilon": 1e-8},
    "c51/cleanrl-classic-control": {
        **_CLEANRL_CLASSIC, "num_atoms": 101, "v_min": -100.0, "v_max": 100.0, "adam_epsilon": 0.01 / 128,
    },
    "dqn/cleanrl-atari": {
        **_CLEANRL_ATARI, "learning_rate": 1e-4, "target_update_period": 1_000 // 4, "loss": "mse",
        "adam_epsilon": 1e-8,
    },
    "c51/cleanrl-atari": {
        **_CLEANRL_ATARI, "learning_rate": 2.5e-4, "target_update_period": 10_000 // 4, "num_atoms": 51,
        "v_min": -10.0, "v_max": 10.0, "adam_epsilon": 0.01 / 32,
    },
    "ddpg/cleanrl-mujoco": {**_CLEANRL_DETERMINISTIC, "num_critics": 1, "target_smoothing": False},
    "td3/cleanrl-mujoco": {
        **_CLEANRL_DETERMINISTIC, "num_critics": 2, "target_smoothing": True, "smoothing_scale": 0.2,
        "smoothing_clip": 0.5,
    },
    "sac/cleanrl-mujoco": {
        **_CLEANRL_MUJOCO, "actor_learning_rate": 3e-4, "critic_learning_rate": 1e-3,
        "temperature_learning_rate": 1e-3, "temperature": 1.0, "target_entropy": -1.0, "prefill": 5_000,
        "log_std_bounds": (-5.0, 2.0), "log_std_bounding": "tanh", "target_update_period": 1, "policy_delay": 1,
        "actor_value": "minimum",
    },
    "sac_discrete/cleanrl-atari": {
        "num_envs": 1, "total_steps": 5_000_000, "buffer_size": int(1e6), "discount": 0.99, "tau": 1.0,
        "batch_size": 64, "prefill": 20_000, "actor_learning_rate": 3e-4, "critic_learning_rate": 3e-4,
        "temperature_learning_rate": 3e-4, "steps_per_update": 4, "target_update_period": 8_000 // 4,
        "temperature": 1.0, "target_entropy": 0.89, "hidden_sizes": (512,), "adam_epsilon": 1e-4,
        "protocol": "classic", "reward_clip": 1.0,
    },
    "dqn/zoo-cartpole": {**_ZOO_DQN, **_ZOO_CARTPOLE},
    "dqn/zoo-mountaincar": {**_ZOO_DQN, **_ZOO_MOUNTAINCAR},
    "dqn/zoo-acrobot": {**_ZOO_DQN, **_ZOO_ACROBOT},
    "dqn/zoo-lunarlander": {**_ZOO_DQN, **_ZOO_ACROBOT, "reward_clip": None},
    "dqn/zoo-atari": {
        **_ZOO_DQN, **_ZOO_ATARI, "learning_rate": 1e-4, "buffer_size": 100_000, "prefill": 100_000,
        "target_update_period": 1_000 // 4, "epsilon": linear(1.0, 0.01, fraction=0.1),
    },
    "qr_dqn/zoo-cartpole": {**_ZOO_QR, **_ZOO_CARTPOLE, "num_quantiles": 10, "adam_epsilon": 0.01 / 64},
    "qr_dqn/zoo-mountaincar": {**_ZOO_QR, **_ZOO_MOUNTAINCAR, "num_quantiles": 25, "adam_epsilon": 0.01 / 128},
    "qr_dqn/zoo-acrobot": {**_ZOO_QR, **_ZOO_ACROBOT, "num_quantiles": 25, "adam_epsilon": 0.01 / 128},
    "qr_dqn/zoo-lunarlander": {
        **_ZOO_QR, "total_steps": 100_000, "learning_rate": linear(1.5e-3, 0.0, fraction=1.0), "batch_size": 128,
        "buffer_size": 100_000, "prefill": 10_000, "discount": 0.995, "steps_per_update": 256,
        "updates_per_iteration": 256, "target_update_period": 256, "epsilon": linear(1.0, 0.18, fraction=0.24),
        "num_quantiles": 170, "adam_epsilon": 0.01 / 128,
    },
    "qr_dqn/zoo-atari": {
        **_ZOO_QR, **_ZOO_ATARI, "learning_rate": 5e-5, "buffer_size": 1_000_000, "prefill": 50_000,
        "target_update_period": 10_000 // 4, "epsilon": linear(1.0, 0.01, fraction=0.025), "num_quantiles": 200,
        "adam_epsilon": 0.01 / 32,
    },
    "ddpg/zoo-pendulum": {**_ZOO_PENDULUM, "num_critics": 1, "policy_delay": 1, "target_smoothing": False},
    "td3/zoo-pendulum": {
        **_ZOO_PENDULUM, "num_critics": 2, "policy_delay": 2, "target_update_period": 2, "target_smoothing": True,
        "smoothing_scale": 0.2, "smoothing_clip": 0.5,
    },
    "sac/zoo-pendulum": {**_ZOO_SAC, **_rates(1e-3), "total_steps": 20_000, "prefill": 100},
    "sac/zoo-mujoco": {**_ZOO_SAC, **_rates(3e-4), "total_steps": 1_000_000, "prefill": 10_000},
    "tqc/zoo-mujoco": {
        **_ZOO_SAC, **_rates(3e-4), "total_steps": 1_000_000, "prefill": 10_000, "num_quantiles": 25,
        "drop_quantiles": 2, "num_critics": 2, "actor_value": "mean",
    },
    "crossq/zoo-mujoco": {
        **_ZOO_SAC, **_rates(1e-3), "total_steps": 5_000_000, "prefill": 5_000, "critic_sizes": (2048, 2048),
        "policy_delay": 3, "adam_b1": 0.5, "target_network": False,
    },
    "dqn/dopamine-atari": {
        **_DOPAMINE, "learning_rate": 6.25e-5, "adam_epsilon": 1.5e-4, "n_step": 1, "loss": "mse",
        "hidden_sizes": (512,), "kernel_init": "glorot_uniform",
    },
    "rainbow/dopamine-atari": {
        # priorities=jnp.sqrt(loss), loss_weights=1 / jnp.sqrt(probs).
        **_DOPAMINE, "learning_rate": 0.0000625, "adam_epsilon": 0.00015, "n_step": 3, "prioritized": True,
        "distributional": True, "dueling": False, "noise": "none", "priority_exponent": 0.5,
        "importance_exponent": 0.5, "num_atoms": 51, "v_min": -10.0, "v_max": 10.0, "hidden_sizes": (512,),
    },
    "iqn/dopamine-atari": {
        **_DOPAMINE, "learning_rate": 0.00005, "adam_epsilon": 0.0003125, "n_step": 3, "prioritized": False,
        "kappa": 1.0, "policy_samples": 32, "online_samples": 64, "target_samples": 64, "num_cosines": 64,
        "hidden_sizes": (), "head_sizes": (512,),
    },
    "qr_dqn/dopamine-atari": {
        # Weights of importance are computed, and only logged.
        **_DOPAMINE, "learning_rate": 0.00005, "adam_epsilon": 0.0003125, "n_step": 3, "prioritized": True,
        "kappa": 1.0, "num_quantiles": 200, "priority_exponent": 0.5, "importance_exponent": 0.0,
        "hidden_sizes": (512,),
    },
    # purejaxql@47af6d7: purejaxql/config/alg/*.yaml.
    "pqn/paper-cartpole": {
        "total_steps": 500_000, "num_envs": 32, "rollout_length": 64, "epsilon": linear(1.0, 0.2, fraction=0.2),
        "num_minibatches": 16, "num_epochs": 4, "hidden_sizes": (256, 256), "layer_norm": True,
        "learning_rate": linear(0.0001, 0.0, fraction=1.0), "max_grad_norm": 10.0, "reward_scale": 0.1,
        "discount": 0.99, "q_lambda": 0.95,
        # nn.Dense(...) without an initialiser.
        "kernel_init": "lecun_normal",
    },
    "pqn/paper-minatar": {
        "total_steps": 10_000_000, "num_envs": 128, "rollout_length": 32, "epsilon": linear(1.0, 0.05, fraction=0.1),
        "num_minibatches": 32, "num_epochs": 2, "learning_rate": linear(0.0005, 0.0, fraction=1.0),
        "max_grad_norm": 10.0, "q_lambda": 0.65, "discount": 0.99, "hidden_sizes": (128,), "layer_norm": True,
        "torso": "minatar_cnn", "reward_scale": 1.0, "kernel_init": "kaiming_normal",
    },
    # rl_games@262cf20: rl_games/configs/**.yaml.
    "ppo/rl_games-pong": {
        "num_envs": 64, "rollout_length": 128, "num_minibatches": 64 * 128 // 2_048, "num_epochs": 4,
        "learning_rate": 3e-4, "discount": 0.99, "gae_lambda": 0.95, "clip": 0.2, "value_coefficient": 2.0,
        "max_grad_norm": 1.0, "entropy_coefficient": 0.01, "clip_value_loss": False, "total_steps": 250 * 64 * 128,
        "reward_clip": 1.0, "adaptive_learning_rate": "epoch", "target_kl": 0.01, "min_learning_rate": 1e-6,
        "max_learning_rate": 1e-2, "normalize_value": True, "shared_torso": True, "advantage_scope": "rollout",
        "normalize_observation": True, "normalize_images": True, "observation_clip": 5.0, "value_clip": 5.0,
        "torso": "conv", "convolutions": ((32, 8, 4), (64, 4, 2), (64, 3, 1)), "hidden_sizes": (512,),
        "activation": "elu", "kernel_init": "orthogonal(1.41421356237)", "head_init": TORCH, "adam_epsilon": 1e-8,
        "protocol": "classic",
    },
    "ppo/rl_games": {
        # Ours are the task, its steps and the bounds' loss.
        "num_envs": 64, "rollout_length": 256, "num_minibatches": 64 * 256 // 2_048, "num_epochs": 5,
        "learning_rate": 5e-4, "discount": 0.99, "gae_lambda": 0.95, "clip": 0.2, "target_kl": 0.008,
        "entropy_coefficient": 0.0, "value_coefficient": 4.0, "max_grad_norm": 1.0, "clip_value_loss": False,
        "adaptive_learning_rate": "minibatch", "kl_reference": "last_epoch", "bootstrap": "current_value",
        "kernel_init": "kaiming_normal", "head_init": TORCH, "normalize_observation": True, "observation_clip": 5.0,
        "normalize_value": True, "value_clip": 5.0, "advantage_scope": "rollout", "smooth_clamp": True,
        "shared_torso": True, "hidden_sizes": (128, 64, 32), "activation": "elu", "initial_std": 1.0,
        "adam_epsilon": 1e-8, "bound_loss": "bound", "bound_coefficient": 1e-4, "total_steps": 500_000,
    },
    "sac/rl_games-mujoco": {
        "num_envs": 32, "updates_per_iteration": 32, "steps_per_update": 1, "policy_delay": 2,
        "critic_max_grad_norm": 5.0, "min_temperature": 0.01, "tau": 5e-3, "discount": 0.99, "temperature": 1.0,
        "temperature_learning_rate": 3e-4, "actor_learning_rate": 3e-4, "critic_learning_rate": 3e-4,
        "target_entropy": -1.0, "batch_size": 256, "buffer_size": 1_000_000,
        # ceil(10,000 / 32) rounds.
        "prefill": 313 * 32, "total_steps": 1_000_000, "hidden_sizes": (256, 256), "activation": "relu",
        "log_std_bounds": (-20.0, 2.0), "log_std_bounding": "tanh", "normalize_observation": False,
    },
    "ddpg/spinningup-mujoco": {
        **_SPINNINGUP, "noise_scale": 0.1, "exploration": "gaussian", "num_critics": 1, "policy_delay": 1,
    },
    "td3/spinningup-mujoco": {
        **_SPINNINGUP, "noise_scale": 0.1, "exploration": "gaussian", "num_critics": 2, "smoothing_scale": 0.2,
        "smoothing_clip": 0.5, "policy_delay": 2, "target_update_period": 2, "actor_value": "first",
    },
    "sac/spinningup-mujoco": {
        **_SPINNINGUP, "temperature": 0.2, "learn_temperature": False, "log_std_bounds": (-20.0, 2.0),
        "log_std_bounding": "clip", "actor_value": "minimum",
    },
    # spinningup@07bb739: pi_loss of q1_pi, v_backup of min_q_pi, log_std by tanh, ep_len updates at an episode's end.
    "sac/spinningup-2018": {
        **_SPINNINGUP, "hidden_sizes": (400, 300), "temperature": 0.2, "learn_temperature": False,
        "state_value": True, "state_value_target": "minimum", "actor_value": "first",
        "log_std_bounds": (-20.0, 2.0), "log_std_bounding": "tanh", "steps_per_update": 1_000,
        "updates_per_iteration": 1_000,
    },
    "vpg/spinningup": {**_SPINNINGUP_FITTED, "learning_rate": 3e-4},
    "trpo/spinningup": {**_SPINNINGUP_TRPO, "backtrack_iterations": 10, "backtrack_factor": 0.8},
    "npg/spinningup": _SPINNINGUP_TRPO,
    "ppo/spinningup": {
        **_SPINNINGUP_ON_POLICY, "learning_rate": 3e-4, "clip": 0.2, "target_kl": 0.01, "entropy_coefficient": 0.0,
        "num_epochs": 80, "critic_epochs": 80, "num_minibatches": 1, "separate_optimizers": True, "kl_stop": "k1",
        "clip_value_loss": False, "max_grad_norm": NO_CLIPPING, "critic_max_grad_norm": NO_CLIPPING,
    },
    "sac/brax-hopper": {
        **_BRAX_NOTEBOOK, "total_steps": 6_553_600, "reward_scale": 30.0, "batch_size": 512,
        "updates_per_iteration": 64,
    },
    "sac/brax-walker2d": {
        **_BRAX_NOTEBOOK, "total_steps": 7_864_320, "reward_scale": 5.0, "batch_size": 128,
        "updates_per_iteration": 32,
    },
    # mujoco_playground@d5e6b47: brax_sac_config.
    "sac/playground-dm_control": {
        **_BRAX, "actor_learning_rate": 1e-3, "critic_learning_rate": 1e-3, "discount": 0.99, "batch_size": 512,
        "updates_per_iteration": 8, "buffer_size": 1_048_576 * 4, "critic_normalization": "layer",
        "actor_normalization": "none", "total_steps": 5_000_000, "reward_scale": 1.0,
    },
    # ray@0a6d1f2: rllib/tuned_examples/ppo/cartpole-ppo.yaml; ray@00655e6: rllib/algorithms/ppo/ppo.py.
    "ppo/rllib": {
        "learning_rate": 0.0003, "discount": 0.99, "gae_lambda": 1.0, "clip": 0.3, "kl_coefficient": 0.2,
        "target_kl": 0.01, "value_loss_bound": 10.0, "entropy_coefficient": 0.0,
        # Of squares without the half.
        "value_coefficient": 0.01 * 2, "max_grad_norm": NO_CLIPPING, "num_epochs": 6,
        # train_batch_size 4,000, to the next multiple of sgd_minibatch_size 128 times 8 environments.
        "num_envs": 8, "rollout_length": 4_096 // 8, "num_minibatches": 4_096 // 128, "kl_penalty": True,
        "clip_value_loss": False, "bound_value_loss": True, "advantage_scope": "rollout",
        "normalize_observation": True, "observation_clip": None, "shared_torso": True, "hidden_sizes": (32,),
        "activation": "identity", "adam_epsilon": 1e-8, "total_steps": 100_000,
    },
    "ppo/cleanrl-classic-control": {
        "total_steps": 500_000, "learning_rate": linear(2.5e-4, 0.0, fraction=1.0), "num_envs": 4,
        "rollout_length": 128, "discount": 0.99, "gae_lambda": 0.95, "num_minibatches": 4, "num_epochs": 4,
        "normalize_advantage": True, "advantage_scope": "minibatch", "clip": 0.2, "clip_value_loss": True,
        "entropy_coefficient": 0.01, "value_coefficient": 0.5, "max_grad_norm": 0.5, "kl_stop": "none",
        "hidden_sizes": (64, 64), "activation": "tanh", "shared_torso": False, "adam_epsilon": 1e-5,
    },
    "a2c/zoo-cartpole": {
        # th.optim.RMSprop with alpha=0.99, eps=rms_prop_eps.
        "num_envs": 8, "total_steps": 500_000, "rollout_length": 5, "learning_rate": 7e-4, "discount": 0.99,
        "gae_lambda": 1.0, "entropy_coefficient": 0.0, "value_coefficient": 0.5 * 2, "max_grad_norm": 0.5,
        "optimizer": "rmsprop_torch", "adam_epsilon": 1e-5, "normalize_advantage": False, "hidden_sizes": (64, 64),
        "activation": "tanh",
    },
    "ppo/zoo-cartpole": {
        "num_envs": 8, "total_steps": 100_000, "rollout_length": 32, "num_minibatches": 8 * 32 // 256,
        "gae_lambda": 0.8, "discount": 0.98, "num_epochs": 20, "entropy_coefficient": 0.0,
        "learning_rate": linear(0.001, 0.0, fraction=1.0), "clip": linear(0.2, 1e-5, fraction=1.0),
        # Of squares without the half.
        "value_coefficient": 0.5 * 2, "max_grad_norm": 0.5, "clip_value_loss": False, "hidden_sizes": (64, 64),
        "activation": "tanh", "adam_epsilon": 1e-5,
    },
}  # fmt: skip

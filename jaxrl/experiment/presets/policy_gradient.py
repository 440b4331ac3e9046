"""Presets of the policy-gradient family; they are taken by themselves.

Those beside PPO's were chosen by what the sources do on tasks of this size, and are not yet tuned.
"""

from __future__ import annotations

from typing import Any

from jaxrl.experiment.presets.preset import Preset
from jaxrl.ramps import linear

_FITTED: dict[str, Any] = {
    "num_envs": 4,
    "rollout_length": 256,
    "hidden_sizes": (64, 64),
    "activation": "tanh",
    "reward_to_go": False,
    "value_iterations": 10,
    "value_minibatches": 8,
}
_TRUST_REGION = {"discount": 0.99, "gae_lambda": 0.98, "critic_learning_rate": 1e-3, "max_kl": 0.01, "damping": 0.01}
_PPO_MUJOCO = "CleanRL, cleanrl/ppo_continuous_action.py"
_PPO_MUJOCO_HYPERPARAMETERS = {
    "learning_rate": linear(3e-4, 0.0, fraction=1.0),
    "discount": 0.99,
    "gae_lambda": 0.95,
    "clip": 0.2,
    "entropy_coefficient": 0.0,
    "value_coefficient": 0.5,
    "max_grad_norm": 0.5,
}
_PPO_MUJOCO_CONFIG: dict[str, Any] = {
    "num_envs": 4,
    "num_epochs": 10,
    "hidden_sizes": (64, 64),
    "activation": "tanh",
    "normalize_observation": True,
    "normalize_reward": True,
}


def _cartpole(algorithm: str, total_steps: int, source: str, hyperparameters: Any, config: Any) -> Preset:
    return Preset(f"{algorithm}/CartPole-v1", algorithm, "CartPole-v1", source, hyperparameters, config, total_steps)


PRESETS = [
    Preset(
        name="ppo/CartPole-v1",
        algorithm="ppo",
        env="CartPole-v1",
        source="CleanRL, ppo.py (Huang et al. 2022, The 37 implementation details of PPO)",
        hyperparameters={
            "learning_rate": linear(2.5e-4, 0.0, fraction=1.0),
            "discount": 0.99,
            "gae_lambda": 0.95,
            "clip": 0.2,
            "entropy_coefficient": 0.01,
            "value_coefficient": 0.5,
            "max_grad_norm": 0.5,
        },
        config={
            "num_envs": 4,
            "rollout_length": 128,
            "num_epochs": 4,
            "num_minibatches": 4,
            "hidden_sizes": (64, 64),
            "activation": "tanh",
        },
        total_steps=500_000,
    ),
    Preset(
        name="ppo/Pendulum-v1",
        algorithm="ppo",
        env="Pendulum-v1",
        source=(
            "RL Baselines3 Zoo, hyperparams/ppo.yml, Pendulum-v1; tuned here: learning rate annealed, batches of 128, "
            "reward scaled, no state-dependent exploration"
        ),
        hyperparameters={
            "learning_rate": linear(1e-3, 0.0, fraction=1.0),
            "discount": 0.9,
            "gae_lambda": 0.95,
            "clip": 0.2,
            "entropy_coefficient": 0.0,
        },
        config={
            "num_envs": 4,
            "rollout_length": 1024,
            "num_epochs": 10,
            "num_minibatches": 32,
            "clip_value_loss": False,
        },
        total_steps=400_000,
        reward_scale=0.1,
    ),
    _cartpole(
        "trpo",
        100_000,
        "after RL Baselines3 Zoo, hyperparams/trpo.yml, CartPole-v1; chosen here: sizes of batches, damping",
        _TRUST_REGION,
        _FITTED,
    ),
    _cartpole("npg", 200_000, "as trpo/CartPole-v1, more damped", {**_TRUST_REGION, "damping": 0.1}, _FITTED),
    _cartpole(
        "vpg",
        400_000,
        "chosen here, after Spinning Up's defaults",
        {
            "learning_rate": linear(5e-3, 0.0, fraction=1.0),
            "critic_learning_rate": 1e-3,
            "discount": 0.99,
            "gae_lambda": 0.97,
        },
        _FITTED,
    ),
    _cartpole(
        "a2c",
        500_000,
        "after RL Baselines3 Zoo, hyperparams/a2c.yml, CartPole-v1; chosen here: an annealed learning rate, longer "
        "rollouts, RMSProp's epsilon under the root",
        {"learning_rate": linear(1e-3, 0.0, fraction=1.0), "entropy_coefficient": 0.0},
        {"num_envs": 8, "rollout_length": 16},
    ),
    _cartpole(
        "a3c",
        500_000,
        "as a2c/CartPole-v1",
        {"learning_rate": linear(1e-3, 0.0, fraction=1.0), "entropy_coefficient": 0.0, "max_grad_norm": 0.5},
        {"num_workers": 8, "num_envs": 8, "rollout_length": 32},
    ),
    _cartpole(
        "impala",
        1_000_000,
        "after RLlib, tuned_examples/impala/cartpole-impala.yaml; chosen here: batches, an annealed learning rate, a "
        "bound of the gradient, no entropy",
        {"learning_rate": linear(3e-3, 0.0, fraction=1.0), "entropy_coefficient": 0.0, "max_grad_norm": 0.5},
        {"num_envs": 16, "rollout_length": 32, "hidden_sizes": (64, 64), "activation": "tanh"},
    ),
    _cartpole(
        "appo",
        500_000,
        "after RLlib, tuned_examples/appo/cartpole_appo.py; chosen here: as for impala/CartPole-v1",
        {"learning_rate": linear(3e-3, 0.0, fraction=1.0), "entropy_coefficient": 0.0, "max_grad_norm": 0.5},
        {"num_envs": 16, "rollout_length": 32, "hidden_sizes": (64, 64), "activation": "tanh"},
    ),
    Preset(
        name="rnd/DeepSea-bsuite",
        algorithm="rnd",
        env="DeepSea-bsuite",
        source=(
            "after Burda et al. 2018 (arXiv 1810.12894), appendix; chosen here for 16 x 16: fewer environments, dense "
            "layers, larger learning rates, PPO's discount and entropy"
        ),
        hyperparameters={
            "learning_rate": 1e-3,
            "discount": 0.99,
            "extrinsic_coefficient": 2.0,
            "intrinsic_coefficient": 1.0,
            "intrinsic_discount": 0.99,
            "predictor_learning_rate": 1e-3,
            "predictor_share": 1.0,
        },
        config={"num_envs": 16, "rollout_length": 128, "num_epochs": 4, "num_minibatches": 4},
        total_steps=200_000,
    ),
    Preset(
        name="trpo/Pendulum-v1",
        algorithm="trpo",
        env="Pendulum-v1",
        source=(
            "after RL Baselines3 Zoo, hyperparams/trpo.yml, Pendulum-v1, and SB3-Contrib's defaults; chosen here: "
            "rollouts half as long, the reward scaled, a smaller deviation at the start instead of state-dependent "
            "exploration"
        ),
        hyperparameters={
            "discount": 0.9,
            "gae_lambda": 0.95,
            "critic_learning_rate": 1e-3,
            "max_kl": 0.01,
            "damping": 0.1,
        },
        config={
            **_FITTED,
            "rollout_length": 256,
            "cg_iterations": 15,
            "value_iterations": 15,
            "initial_std": 0.5,
        },
        total_steps=100_000,
        reward_scale=0.1,
    ),
    Preset(
        name="ppo/InvertedPendulum-v5",
        algorithm="ppo",
        env="InvertedPendulum-v5",
        source=(f"{_PPO_MUJOCO}, with the rollouts of Spinning Up's exercise 1.2, whose 20 epochs are of 4,000 steps"),
        hyperparameters=_PPO_MUJOCO_HYPERPARAMETERS,
        config={**_PPO_MUJOCO_CONFIG, "rollout_length": 1_000, "num_minibatches": 50},
        total_steps=80_000,
    ),
    Preset(
        name="ppo/Hopper-v5",
        algorithm="ppo",
        env="Hopper-v5",
        source=f"{_PPO_MUJOCO}; four environments and a quarter of the rollout's length where it has one",
        hyperparameters=_PPO_MUJOCO_HYPERPARAMETERS,
        config={**_PPO_MUJOCO_CONFIG, "rollout_length": 512, "num_minibatches": 32},
        total_steps=1_000_000,
    ),
    Preset(
        name="trpo/Hopper-v5",
        algorithm="trpo",
        env="Hopper-v5",
        source="RL Baselines3 Zoo, hyperparams/trpo.yml, Hopper-v4; four environments where it has two",
        hyperparameters={
            "discount": 0.99,
            "gae_lambda": 0.95,
            "critic_learning_rate": 1e-3,
            "max_kl": 0.01,
            "damping": 0.1,
        },
        config={
            **_FITTED,
            "rollout_length": 512,
            "cg_iterations": 25,
            "value_iterations": 20,
            "value_minibatches": 16,
            "normalize_observation": True,
            "normalize_reward": True,
        },
        total_steps=1_000_000,
    ),
    Preset(
        name="ppo/MinAtar",
        algorithm="ppo",
        env="MinAtar",
        source="purejaxrl (Lu et al. 2022), examples/brax_minatar.ipynb: dense layers, no convolutions",
        hyperparameters={
            "learning_rate": linear(5e-3, 0.0, fraction=1.0),
            "discount": 0.99,
            "gae_lambda": 0.95,
            "clip": 0.2,
            "entropy_coefficient": 0.01,
            "value_coefficient": 0.5,
            "max_grad_norm": 0.5,
        },
        config={
            "num_envs": 64,
            "rollout_length": 128,
            "num_epochs": 4,
            "num_minibatches": 8,
            "torso": "mlp",
            "hidden_sizes": (64, 64),
            "activation": "relu",
        },
        total_steps=10_000_000,
    ),
]

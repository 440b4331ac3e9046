"""Presets of Dopamine (Castro et al. 2018, arXiv 1812.06110), its JAX agents on Atari with sticky actions.

``update_period`` is 4 steps, and the target network is copied every 8,000 steps, so after 2,000 updates. (Its
TensorFlow agent of DQN takes RMSProp, its JAX agent Adam.)
"""

from __future__ import annotations

from typing import Any

from jaxrl.experiment.presets.preset import UNCLIPPED, Preset
from jaxrl.ramps import linear

COMMIT = "google/dopamine@5873f54"
_DIFFERS = (
    "convolutions are padded there, so that the last has 11 x 11 positions instead of 7 x 7",
    "the head's weights begin like the torso's there",
)
_SCALED_INIT = "lecun_uniform(0.7598356856515925)"
"""Its ``variance_scaling(1 / sqrt(3), "fan_in", "uniform")``, as a gain of the weights: 3 ** -0.25."""
_HYPERPARAMETERS = {
    "discount": 0.99,
    # It begins to fall when learning begins.
    "epsilon": linear(1.0, 0.01, steps=250_000, delay=20_000),
    "evaluation_epsilon": 0.001,
    "max_grad_norm": UNCLIPPED,
}
_CONFIG = {
    "num_envs": 1,
    "hidden_sizes": (512,),
    "double_q": False,
    "target_update": "hard",
    "target_update_period": 2_000,
    "buffer_size": 1_000_000,
    "batch_size": 32,
    "prefill": 20_000,
    "steps_per_update": 4,
}
_ATARI: dict[str, Any] = {
    "env": "Atari",
    "total_steps": 200 * 250_000,
    "env_parameters": {"protocol": "machado"},
    "reward_clip": 1.0,
    "commit": COMMIT,
    "changed": "2026-12-01",
}

PRESETS = [
    Preset(
        name="dqn/dopamine-atari",
        algorithm="dqn",
        source="Dopamine, dopamine/jax/agents/dqn/configs/dqn.gin",
        hyperparameters={**_HYPERPARAMETERS, "learning_rate": 6.25e-5},
        config={**_CONFIG, "kernel_init": "glorot_uniform", "loss": "mse", "n_step": 1, "adam_epsilon": 1.5e-4},
        differs=(
            *_DIFFERS,
            "the loss is the whole square there, so that Adam's epsilon counts for half as much",
        ),
        **_ATARI,
    ),
    Preset(
        name="rainbow/dopamine-atari",
        algorithm="rainbow",
        source="Dopamine, dopamine/jax/agents/rainbow/configs/rainbow.gin",
        # Both exponents are 1/2 in its code.
        hyperparameters={
            **_HYPERPARAMETERS,
            "learning_rate": 6.25e-5,
            "priority_exponent": 0.5,
            "importance_exponent": 0.5,
        },
        config={
            **_CONFIG,
            "kernel_init": _SCALED_INIT,
            "dueling": False,
            "noise": "none",
            "n_step": 3,
            "prioritized": True,
            "num_atoms": 51,
            "v_min": -10.0,
            "v_max": 10.0,
            "adam_epsilon": 1.5e-4,
        },
        differs=(
            *_DIFFERS,
            "priorities are of the cross-entropy there, of the divergence here, which is less by the target's entropy",
        ),
        **_ATARI,
    ),
    Preset(
        name="iqn/dopamine-atari",
        algorithm="iqn",
        source="Dopamine, dopamine/jax/agents/implicit_quantile/configs/implicit_quantile.gin",
        hyperparameters={**_HYPERPARAMETERS, "learning_rate": 5e-5, "kappa": 1.0},
        config={
            **_CONFIG,
            # The embedding of a quantile is multiplied with the features of the convolutions.
            "hidden_sizes": (),
            "head_sizes": (512,),
            "n_step": 3,
            "kernel_init": _SCALED_INIT,
            "policy_samples": 32,
            "online_samples": 64,
            "target_samples": 64,
            "num_cosines": 64,
            "adam_epsilon": 3.125e-4,
        },
        differs=(*_DIFFERS, "the 64 cosines are numbered from 1 there, from 0 here"),
        **_ATARI,
    ),
    Preset(
        name="qr_dqn/dopamine-atari",
        algorithm="qr_dqn",
        source="Dopamine, dopamine/jax/agents/quantile/configs/quantile.gin",
        hyperparameters={
            **_HYPERPARAMETERS,
            "learning_rate": 5e-5,
            "kappa": 1.0,
            "priority_exponent": 0.5,
            # Its code computes weights, but only logs them.
            "importance_exponent": 0.0,
        },
        config={
            **_CONFIG,
            "n_step": 3,
            "prioritized": True,
            "kernel_init": _SCALED_INIT,
            "num_quantiles": 200,
            "adam_epsilon": 3.125e-4,
        },
        differs=(*_DIFFERS, "priorities are of the loss there, of the difference of means here"),
        **_ATARI,
    ),
]

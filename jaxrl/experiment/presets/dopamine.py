"""Presets of Dopamine (Castro et al. 2018, arXiv 1812.06110), its JAX agents on Atari with sticky actions.

``update_period`` is 4 steps, and the target network is copied every 8,000 steps, so after 2,000 updates. Not held: the
convolutions are padded there.
"""

from __future__ import annotations

from typing import Any

from jaxrl.experiment.presets.preset import UNCLIPPED, Preset
from jaxrl.ramps import linear

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
}

PRESETS = [
    Preset(
        name="dqn/dopamine-atari",
        algorithm="dqn",
        source=(
            "Dopamine, jax/agents/dqn/configs/dqn.gin (Adam; its TensorFlow agent takes RMSProp, which is not held); "
            "its loss is twice ours, so Adam's epsilon counts for half as much"
        ),
        hyperparameters={**_HYPERPARAMETERS, "learning_rate": 6.25e-5},
        config={**_CONFIG, "loss": "mse", "n_step": 1, "adam_epsilon": 1.5e-4},
        **_ATARI,
    ),
    Preset(
        name="rainbow/dopamine-atari",
        algorithm="rainbow",
        source=(
            "Dopamine, jax/agents/rainbow/configs/rainbow.gin: distributional, prioritised and of three steps, without "
            "double, dueling and noise; priorities there are of the cross-entropy, here of the divergence, which is "
            "less by the target's entropy"
        ),
        # Both exponents are 1/2 in its code.
        hyperparameters={
            **_HYPERPARAMETERS,
            "learning_rate": 6.25e-5,
            "priority_exponent": 0.5,
            "importance_exponent": 0.5,
        },
        config={
            **_CONFIG,
            "dueling": False,
            "noise": "none",
            "n_step": 3,
            "prioritized": True,
            "num_atoms": 51,
            "v_min": -10.0,
            "v_max": 10.0,
            "adam_epsilon": 1.5e-4,
        },
        **_ATARI,
    ),
    Preset(
        name="iqn/dopamine-atari",
        algorithm="iqn",
        source=(
            "Dopamine, jax/agents/implicit_quantile/configs/implicit_quantile.gin; its cosines are numbered from 1, as "
            "many as ours"
        ),
        hyperparameters={**_HYPERPARAMETERS, "learning_rate": 5e-5, "kappa": 1.0},
        config={
            **_CONFIG,
            # The embedding of a quantile is multiplied with the features of the convolutions.
            "hidden_sizes": (),
            "head_sizes": (512,),
            "n_step": 3,
            "policy_samples": 32,
            "online_samples": 64,
            "target_samples": 64,
            "num_cosines": 64,
            "adam_epsilon": 3.125e-4,
        },
        **_ATARI,
    ),
    Preset(
        name="qr_dqn/dopamine-atari",
        algorithm="qr_dqn",
        source=(
            "Dopamine, jax/agents/quantile/configs/quantile.gin; priorities there are of the loss, here of the means' "
            "difference"
        ),
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
            "num_quantiles": 200,
            "adam_epsilon": 3.125e-4,
        },
        **_ATARI,
    ),
]

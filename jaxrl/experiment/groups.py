"""The order in which the help shows the options of an algorithm: what people tune first, then subject after subject."""

from __future__ import annotations

from collections.abc import Iterable

FIRST = "Tuned first"
OTHERS = "Others"

GROUPS: dict[str, str] = {
    FIRST: """
        learning_rate actor_learning_rate critic_learning_rate discount gae_lambda q_lambda trace_lambda clip max_kl
        entropy_coefficient epsilon temperature noise_scale tau num_envs rollout_length num_epochs num_minibatches
        buffer_size batch_size prefill steps_per_update updates_per_iteration n_step hidden_sizes normalize_observation
        """,
    "Rollout": "num_workers policy_period replay_slots replays",
    "Replay": """
        replacement prioritized priority_exponent importance_exponent priority_epsilon min_n_step frame_stack
        """,
    "Exploration and entropy": """
        exploration evaluation_epsilon noise noise_sigma noise_theta learn_temperature target_entropy
        temperature_learning_rate min_temperature max_temperature
        """,
    "Targets": """
        bootstrap target_network target_update target_update_period target_period double_q munchausen_scale
        entropy_temperature log_policy_clip num_critics subset_size state_value state_value_target target_smoothing
        smoothing_scale smoothing_clip clip_rho clip_c clip_policy_rho reward_to_go
        """,
    "Distribution of returns": """
        distributional num_atoms v_min v_max num_quantiles drop_quantiles policy_samples online_samples target_samples
        num_cosines kappa value_head num_bins
        """,
    "Loss": """
        loss q_regularization value_coefficient clip_value_loss bound_value_loss value_loss_bound smooth_clamp surrogate
        clip_target normalize_advantage advantage_scope advantage_momentum actor_value policy_delay bound_loss
        bound_coefficient auxiliary_coefficient
        """,
    "Divergence from the last policy": """
        target_kl kl_penalty kl_coefficient kl_stop kl_reference adaptive_learning_rate min_learning_rate
        max_learning_rate
        """,
    "Trust region": "damping cg_iterations backtrack_iterations backtrack_factor",
    "Optimiser": """
        optimizer adam_epsilon adam_b1 max_grad_norm actor_max_grad_norm critic_max_grad_norm
        weight_decay critic_weight_decay separate_optimizers critic_epochs critic_minibatches value_iterations
        value_minibatches microbatch_size axis_name
        """,
    "Network": """
        torso activation kernel_init head_sizes critic_sizes shared_torso dueling action_layers layer_norm
        actor_normalization critic_normalization dropout d2rl output_bound convolutions coordinates pooling
        """,
    "Memory": """
        actor_rnn critic_rnn rnn_size rnn_layers sequence_length rnn_before_mlp rnn_layer_norm rnn_concat_input
        rnn_concat_output rnn_reset
        """,
    "Policy": """
        continuous head_init mean_activation state_dependent_std initial_std min_std std_parametrization std_activation
        log_std_bounds log_std_bounding
        """,
    "Normalisation": "normalize_images observation_clip normalize_reward normalize_value value_clip",
    "Curiosity": """
        intrinsic_coefficient extrinsic_coefficient intrinsic_discount intrinsic_episodic predictor_learning_rate
        predictor_share predictor_sizes target_sizes embedding_size
        """,
}
"""Names of hyper-parameters and of fields of configurations, whatever the algorithm, by subject."""

RUN_GROUPS: dict[str, str] = {
    "Run": "env total_steps seed num_seeds seeds preset grid out resume",
    "Reward that is learned from": "reward_shift reward_scale reward_clip reward_log",
    "Reports and logging": "num_intervals num_evaluations eval_episodes num_checkpoints stop_at_return wandb progress",
}
"""Options of ``train`` and ``sweep``, by subject."""


def grouped(names: Iterable[str], groups: dict[str, str] = GROUPS) -> dict[str, list[str]]:
    """The names in the order of the groups, by title, without empty groups; unknown ones come last, as ``OTHERS``."""
    names = list(names)
    found = {title: [name for name in listed.split() if name in names] for title, listed in groups.items()}
    known = {name for listed in found.values() for name in listed}
    found[OTHERS] = [name for name in names if name not in known]
    return {title: listed for title, listed in found.items() if listed}

"""Mutants of targets, returns and losses."""

from __future__ import annotations

from mutant import Mutant

RETURNS, VALUE, V_TRACE = "jaxrl/losses/returns.py", "jaxrl/losses/value.py", "jaxrl/losses/v_trace.py"
GRADIENT, REGION = "jaxrl/losses/policy_gradient.py", "jaxrl/losses/trust_region.py"
DISTRIBUTIONAL, CRITICS = "jaxrl/losses/distributional.py", "jaxrl/losses/actor_critic.py"


def tests_of(file: str) -> str:
    """The tests that mirror a file of losses."""
    return file.replace("jaxrl/losses/", "tests/losses/test_")


LIKELY = {
    "n_step": "test_n_step_return_by_hand", "n_step_beyond": "test_n_step_return_is_the_loop",
    "gae": "test_gae_by_hand",
    "lambda_returns": "test_lambda_returns_are_the_definition", "vtrace": "test_vtrace_against_a_loop",
    "surrogate": "test_clipped_surrogate_by_hand", "smooth": "test_the_smooth_clamp_against_rl_games",
    "kl_direction": "test_the_expectation_of_approximate_kl_is_the_kl", "adapt": "test_adapting_to_a_divergence",
    "normalize_variance": "test_normalize_is_numpys_standard_score",
    "normalize_own": "test_shards_have_the_mean_and_the_deviation_of_the_whole",
    "masked_mean": "test_masked_mean_by_hand",
    "masked_mean_own": "test_the_mean_of_the_shards_of_a_mean_is_that_of_the_whole",
    "natural_step": "test_the_natural_step_has_the_divergence_it_may_have",
    "backtrack": "test_backtracking_takes_the_first_step_that_will_do",
    "backtrack_one": "test_the_old_parameters_are_kept_if_no_step_will_do",
    "projection": "test_the_support_may_be_uneven_and_of_another_size",
    "categorical_terminal": "test_categorical_target_by_hand", "categorical_kl": "test_kl_is_the_definition",
    "midpoint": "test_midpoint_taus", "quantile": "test_quantile_huber_is_the_loop", "huber": "test_huber_by_hand",
    "double_q": "test_double_q_learning_values_the_action_that_the_other_network_prefers",
    "soft_value": "test_soft_values_are_stable",
    "munchausen_clip": "test_the_munchausen_bonus_is_clipped_in_units_of_q",
    "munchausen_hard": "test_munchausen_by_hand", "clipped_value": "test_clipped_value_loss_by_hand",
    "two_hot": "test_two_hot_values_come_back",
    "subset": "test_the_minimum_of_a_subset_is_that_of_one_pair_for_the_whole_batch",
    "drop": "test_truncation_leaves_out_the_largest_of_the_mixture", "soft_target": "test_target_by_hand",
    "temperature": "test_the_temperature_rises_where_the_entropy_is_too_low",
}  # fmt: skip
"""Test that likely notices a mutant first, by the beginning of the mutant's name."""


def mutant(name: str, file: str, old: str, new: str, kind: str) -> Mutant:
    """A mutant that the tests of its own file must catch."""
    first = LIKELY[max((prefix for prefix in LIKELY if name.startswith(prefix)), key=len)]
    return Mutant(f"losses/{name}", file, old, new, kind, f"{tests_of(file)}::{first} {tests_of(file)}")


MUTANTS = [
    # Returns.
    mutant("n_step_gamma", RETURNS, "discount=discount**count", "discount=jnp.broadcast_to(discount, count.shape)",
           "discount"),
    mutant("n_step_gamma_n", RETURNS, "discount=discount**count", "discount=jnp.broadcast_to(discount**n, count.shape)",
           "discount"),
    mutant("n_step_ended_step_dropped", RETURNS, "jnp.cumsum(ended, axis=1) - ended == 0",
           "jnp.cumsum(ended, axis=1) == 0", "window"),
    mutant("n_step_through_truncation", RETURNS, "ended = (terminated | truncated).astype(jnp.int32)",
           "ended = terminated.astype(jnp.int32)", "end"),
    mutant("n_step_terminated_beyond_window", RETURNS, "terminated=jnp.any(taken & terminated, axis=1)",
           "terminated=jnp.any(terminated, axis=1)", "mask"),
    mutant("n_step_exponent", RETURNS, "** steps, axis=1)", "** (steps + 1), axis=1)", "weight"),
    mutant("n_step_beyond_length", RETURNS, "steps < jnp.maximum(length, 1)[:, None]", "steps <= length[:, None]",
           "window"),
    mutant("gae_leaks_over_truncation", RETURNS,
           "decay = jnp.where(terminated | truncated, 0.0, discount * gae_lambda)",
           "decay = jnp.where(terminated, 0.0, discount * gae_lambda)", "end"),
    mutant("gae_time_limit_is_failure", RETURNS,
           "delta = reward + discount * jnp.where(terminated, 0.0, next_value) - value",
           "delta = reward + discount * jnp.where(terminated | truncated, 0.0, next_value) - value", "end"),
    mutant("gae_trace_without_gamma", RETURNS,
           "decay = jnp.where(terminated | truncated, 0.0, discount * gae_lambda)",
           "decay = jnp.where(terminated | truncated, 0.0, gae_lambda)", "discount"),
    mutant("lambda_returns_last_step", RETURNS, "0.0, lambda_).at[-1].set(0.0)", "0.0, lambda_)", "window"),
    mutant("lambda_returns_weight_at_ends", RETURNS, "discount * (1.0 - trace) * jnp.where",
           "discount * (1.0 - lambda_) * jnp.where", "weight"),
    mutant("lambda_returns_leak", RETURNS, "trace = jnp.where(terminated | truncated, 0.0, lambda_)",
           "trace = jnp.where(terminated, 0.0, lambda_)", "end"),
    # V-trace.
    mutant("vtrace_leaks_over_truncation", V_TRACE, "trace = jnp.where(ended, 0.0,",
           "trace = jnp.where(terminated, 0.0,", "end"),
    mutant("vtrace_advantage_leaks", V_TRACE, "next_value + jnp.where(ended, 0.0, later)",
           "next_value + jnp.where(terminated, 0.0, later)", "end"),
    mutant("vtrace_advantage_by_value", V_TRACE, "(reward + discount * next_target - value)",
           "(reward + discount * next_value - value)", "formula"),
    mutant("vtrace_advantage_clip", V_TRACE, "advantage = jnp.minimum(clip_policy_rho, ratio)",
           "advantage = jnp.minimum(clip_rho, ratio)", "weight"),
    mutant("vtrace_trace_clip", V_TRACE, "trace_lambda * jnp.minimum(clip_c, ratio)",
           "trace_lambda * jnp.minimum(clip_rho, ratio)", "weight"),
    mutant("vtrace_shift", V_TRACE, "jnp.concatenate([correction[1:], jnp.zeros_like(correction[:1])])", "correction",
           "window"),
    # Policy gradients.
    mutant("surrogate_maximum", GRADIENT,
           "return -jnp.minimum(ratio * advantage, jnp.clip(ratio, 1.0 - clip, 1.0 + clip) * advantage)",
           "return -jnp.clip(ratio, 1.0 - clip, 1.0 + clip) * advantage", "formula"),
    mutant("smooth_slope", GRADIENT, "jax.nn.sigmoid(4.0 *", "jax.nn.sigmoid(2.0 *", "formula"),
    mutant("kl_direction", GRADIENT, "jnp.expm1(log_ratio) - log_ratio", "jnp.expm1(-log_ratio) + log_ratio", "sign"),
    mutant("adapt_below", GRADIENT, "kl < 0.5 * target", "kl < target", "formula"),
    mutant("adapt_unbounded", GRADIENT, "return jnp.clip(adapted, 1e-8, 1e8)", "return adapted", "precision"),
    mutant("normalize_variance_unmasked", GRADIENT, "variance = across(masked_mean((x - mean) ** 2, mask, axis_name))",
           "variance = across(masked_mean((x - mean) ** 2, None, axis_name))", "mask"),
    mutant("normalize_own_deviation", GRADIENT, "variance = across(masked_mean((x - mean) ** 2, mask, axis_name))",
           "variance = masked_mean((x - mean) ** 2, mask, axis_name)", "axis"),
    mutant("masked_mean_over_all", GRADIENT, "/ jnp.where(count > 0, count, 1)", "/ x.size", "mean"),
    mutant("masked_mean_own_count", GRADIENT, "count = jax.lax.pmean(count, axis_name)", "pass", "mean"),
    # Trust region.
    mutant("natural_step_half", REGION, "jnp.sqrt(2.0 * max_kl", "jnp.sqrt(max_kl", "formula"),
    mutant("backtrack_one_more", REGION, "(j < max_steps)", "(j <= max_steps)", "window"),
    mutant("backtrack_first_factor", REGION, "jnp.asarray(factor, params.dtype) ** j",
           "jnp.asarray(factor, params.dtype) ** (j + 1)", "weight"),
    # Distributions of returns.
    mutant("projection_even_grid", DISTRIBUTIONAL, "(1.0 / jnp.diff(support))", "(1.0 / (support[1] - support[0]))",
           "formula"),
    mutant("categorical_terminal", DISTRIBUTIONAL, "    discount = jnp.where(terminated, 0.0, discount)\n",
           "    discount = jnp.broadcast_to(discount, reward.shape)\n", "end"),
    mutant("categorical_kl_without_entropy", DISTRIBUTIONAL,
           "jnp.maximum(categorical_cross_entropy(logits, target) - entropy, 0.0)",
           "jnp.maximum(categorical_cross_entropy(logits, target), 0.0)", "formula"),
    mutant("midpoint_taus_ends", DISTRIBUTIONAL, "jnp.float32) + 0.5) / n", "jnp.float32) + 1.0) / n", "window"),
    mutant("quantile_axes", DISTRIBUTIONAL, "slope), axis=2), axis=1)", "slope), axis=1), axis=1)", "axis"),
    mutant("quantile_tau_of_target", DISTRIBUTIONAL, "taus[..., None] - (error < 0)",
           "taus[..., None, :] - (error < 0)", "axis"),
    mutant("quantile_not_divided", DISTRIBUTIONAL, "return jnp.sum(jnp.mean(weight * slope",
           "return jnp.sum(jnp.mean(kappa * weight * slope", "weight"),
    # Values.
    mutant("huber_delta", VALUE, "0.5 * quadratic**2 + delta * (absolute - quadratic)",
           "0.5 * quadratic**2 + (absolute - quadratic)", "weight"),
    mutant("double_q_swapped", VALUE, "select(next_q, jnp.argmax(next_q_selector, axis=-1))",
           "select(next_q_selector, jnp.argmax(next_q, axis=-1))", "target"),
    mutant("soft_value_overflows", VALUE,
           "highest[..., 0] + temperature * jax.nn.logsumexp((q - highest) / temperature, axis=-1)",
           "temperature * jax.nn.logsumexp(q / temperature, axis=-1)", "precision"),
    mutant("munchausen_clip_in_nats", VALUE, "alpha * jnp.clip(log_policy, clip, 0.0)",
           "alpha * temperature * jnp.clip(log_policy / temperature, clip, 0.0)", "formula"),
    mutant("munchausen_hard_bootstrap", VALUE, "soft_value(next_q, temperature), discount)",
           "jnp.max(next_q, axis=-1), discount)", "formula"),
    mutant("clipped_value_minimum", VALUE, "0.5 * jnp.maximum((value - target)", "0.5 * jnp.minimum((value - target)",
           "sign"),
    mutant("two_hot_raw_target", VALUE, "two_hot(symlog(target), support)", "two_hot(target, support)", "formula"),
    # Actor-critics.
    mutant("subset_of_first", CRITICS, "values[jax.random.permutation(key, values.shape[0])[:size]]", "values[:size]",
           "key"),
    mutant("drop_in_all", CRITICS, "critics * (atoms - drop))", "critics * atoms - drop)", "window"),
    mutant("drop_smallest", CRITICS, "-jax.lax.top_k(-mixture, ", "jax.lax.top_k(mixture, ", "sign"),
    mutant("soft_target_entropy_at_end", CRITICS,
           "return column(reward) + column(jnp.where(terminated, 0.0, discount)) * soft",
           "return column(reward) - temperature * column(discount * jnp.asarray(log_prob)) + "
           "column(jnp.where(terminated, 0.0, discount)) * next_value", "end"),
    mutant("temperature_loss_of_log", CRITICS, "-jnp.exp(log_temperature) * (log_prob", "-log_temperature * (log_prob",
           "formula"),
]  # fmt: skip

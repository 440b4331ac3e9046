"""Mutants of normalisers, schedules, counters, optimisers, exploration and random numbers."""

from __future__ import annotations

from mutant import Mutant

NORMALIZATION, OPTIMIZERS = "jaxrl/normalization.py", "jaxrl/optimizers.py"
CONTINUOUS, DISCRETE = "jaxrl/exploration/continuous.py", "jaxrl/exploration/discrete.py"
MIRRORS = {
    NORMALIZATION: "tests/test_normalization.py", OPTIMIZERS: "tests/test_optimizers.py",
    CONTINUOUS: "tests/exploration/test_continuous.py", DISCRETE: "tests/exploration/test_discrete.py",
    "jaxrl/ramps.py": "tests/test_schedules.py", "jaxrl/counters.py": "tests/test_counters.py",
    "jaxrl/random.py": "tests/test_random.py", "jaxrl/observations.py": "tests/test_observations.py",
    "jaxrl/collectives.py": "tests/test_collectives.py",
}  # fmt: skip


def mutant(name: str, file: str, old: str, new: str, kind: str) -> Mutant:
    """A mutant that the tests of its own file must catch."""
    return Mutant(f"scalars/{name}", file, old, new, kind, MIRRORS[file])


MUTANTS = [
    # Normalisation.
    mutant("variance_of_distance", NORMALIZATION, "batch_variance + (1 - weight) * distance**2",
           "batch_variance + distance**2", "formula"),
    mutant("count_twice", NORMALIZATION, "statistics.count.add(new), new.astype",
           "statistics.count.add(2 * new), new.astype",
           "statistics"),
    mutant("count_of_padding", NORMALIZATION, "new = jnp.sum(mask, dtype=jnp.uint32)",
           "new = jnp.uint32(mask.size)", "mean"),
    mutant("variance_of_padding", NORMALIZATION, "_sum(lambda x: (x - batch_mean) ** 2, x, mask)",
           "_sum(lambda x: (x - batch_mean) ** 2, x, None)", "mask"),
    mutant("variance_of_own_shard", NORMALIZATION,
           "batch_variance = across(_sum(lambda x: (x - batch_mean) ** 2, x, mask)) / divisor",
           "batch_variance = _sum(lambda x: (x - batch_mean) ** 2, x, mask) / divisor", "axis"),
    mutant("variance_about_the_running_mean", NORMALIZATION, "lambda x: (x - batch_mean) ** 2",
           "lambda x: (x - mean) ** 2", "statistics"),
    mutant("moving_average_from_zero", NORMALIZATION,
           "jnp.where(statistics.count.as_float() > 0, jnp.where(count > 0, weight, 0.0), share)",
           "jnp.where(count > 0, weight, 0.0)", "statistics"),
    mutant("moving_average_of_nothing", NORMALIZATION, "jnp.where(count > 0, weight, 0.0), share)", "weight, share)",
           "mask"),
    mutant("divided_by_the_variance", NORMALIZATION, "jax.lax.rsqrt(variance + EPSILON)", "1 / (variance + EPSILON)",
           "weight"),
    mutant("undone_beyond_the_bound", NORMALIZATION, "mean + bounded(x) * jnp.sqrt", "mean + x * jnp.sqrt",
           "precision"),
    mutant("sums_across_episodes", NORMALIZATION, "return jnp.where(ended, 0.0, total), total", "return total, total",
           "end"),
    mutant("sums_after_the_reset", NORMALIZATION, "return jnp.where(ended, 0.0, total), total",
           "return (jnp.where(ended, 0.0, total),) * 2", "observation"),
    mutant("bytes_by_one", NORMALIZATION, "255.0**2 if", "255.0 if", "weight"),
    # Optimisers.
    mutant("each_element_clipped", OPTIMIZERS, "jax.tree.map(lambda g: g * scale, gradients)",
           "jax.tree.map(lambda g: jnp.clip(g, -max_grad_norm, max_grad_norm), gradients)", "formula"),
    mutant("norm_after_clipping", OPTIMIZERS, "return Optimized(params, opt_state, norm)",
           "return Optimized(params, opt_state, optax.global_norm(gradients))", "statistics"),
    mutant("part_clipped_by_all", OPTIMIZERS, "_clip_scale(optax.global_norm(alone(side)), max_grad_norm[side])",
           "_clip_scale(norm, max_grad_norm[side])", "mask"),
    mutant("parts_swapped", OPTIMIZERS, "jnp.where(own, pair[1], pair[0])", "jnp.where(own, pair[0], pair[1])",
           "target"),
    mutant("decay_of_the_update", OPTIMIZERS, "lambda g, p: g + weight_decay * p", "lambda g, p: g - weight_decay * p",
           "sign"),
    mutant("small_gradients_grow", OPTIMIZERS, "jnp.minimum(1.0, bound / jnp.maximum(norm, 1e-12))",
           "bound / jnp.maximum(norm, 1e-12)", "precision"),
    # Schedules and counters.
    mutant("schedule_of_another_clock", "jaxrl/ramps.py", "fraction if self.fraction else steps",
           "steps if self.fraction else fraction", "formula"),
    mutant("delay_shortens_the_ramp", "jaxrl/ramps.py", "Schedule((delay, delay + length)", "Schedule((delay, length)",
           "window"),
    mutant("carry_of_nothing", "jaxrl/counters.py", "(low < self.low)", "(low <= self.low)", "window"),
    mutant("carry_lost", "jaxrl/counters.py", "self.high + (low < self.low).astype(jnp.uint32)", "self.high",
           "precision"),
    # Exploration.
    mutant("one_noise_for_all_dimensions", CONTINUOUS, "action + scale * jax.random.normal(key, action.shape)",
           "action + scale * jax.random.normal(key, (*action.shape[:-1], 1))", "axis"),
    mutant("one_noise_for_all_environments", CONTINUOUS, "action + scale * jax.random.normal(key, action.shape)",
           "action + scale * jax.random.normal(key, action.shape[-1:])", "axis"),
    mutant("smoothing_unclipped", CONTINUOUS, "jnp.clip(scale * jax.random.normal(key, action.shape), -clip, clip)",
           "scale * jax.random.normal(key, action.shape)", "formula"),
    mutant("ou_leaves", CONTINUOUS, "noise - theta * noise +", "noise + theta * noise +", "sign"),
    mutant("choice_and_action_share_a_key", CONTINUOUS, "jax.random.uniform(choice_key, action.shape[:1])",
           "jax.random.uniform(action_key, action.shape[:1])", "key"),
    mutant("one_choice_for_all_environments", CONTINUOUS, "jax.random.uniform(choice_key, action.shape[:1])",
           "jax.random.uniform(choice_key, (1,))", "axis"),
    mutant("greedy_and_random_share_a_key", DISCRETE, "jax.random.uniform(choice_key, best.shape)",
           "jax.random.uniform(action_key, best.shape)", "key"),
    mutant("random_action_forbidden", DISCRETE, "uniform_action(action_key, q.shape, allowed)",
           "uniform_action(action_key, q.shape)", "mask"),
    mutant("ladder_one_short", DISCRETE, "max(num_envs - 1, 1)", "num_envs", "window"),
    mutant("temperature_of_actions", DISCRETE, "jnp.expand_dims(temperature, -1)", "temperature", "axis"),
    # Random numbers.
    mutant("epochs_in_one_order", "jaxrl/random.py", "(jax.random.split(key, num_epochs))",
           "(jnp.stack([key] * num_epochs))", "key"),
    mutant("forbidden_drawn", "jaxrl/random.py", "jnp.where(allowed, 0.0, -jnp.inf)", "jnp.where(allowed, 0.0, -1.0)",
           "mask"),
    mutant("order_of_few_bits", "jaxrl/random.py", "jnp.uint32) >> width << width)", "jnp.uint32) >> 31 << width)",
           "precision"),
    # Parts of observations.
    mutant("actor_sees_the_privileged", "jaxrl/observations.py", "Side(*without(space, *hidden, PRIVILEGED))",
           "Side(*without(space, *hidden))", "mask"),
    mutant("critic_sees_the_target", "jaxrl/observations.py", "hidden = ACTION_MASK, AUXILIARY",
           "hidden = (ACTION_MASK,)", "mask"),
    mutant("any_part_allows", "jaxrl/observations.py", "part | ~jnp.any(part, axis=-1, keepdims=True)",
           "part | ~jnp.any(allowed, axis=-1, keepdims=True)", "axis"),
    mutant("mask_normalised", "jaxrl/observations.py", "name not in (ACTION_MASK, AUXILIARY)]",
           "name not in (AUXILIARY,)]", "statistics"),
    # Devices.
    mutant("gradients_summed_over_devices", "jaxrl/collectives.py",
           'jax.lax.pcast(x, axis_name, to="varying")', "x", "mean"),
]  # fmt: skip

"""Mutants of networks, policies' distributions and ensembles."""

from __future__ import annotations

from mutant import Mutant


def mutant(name: str, module: str, old: str, new: str, kind: str, tests: str = "") -> Mutant:
    """A mutant of a module of ``jaxrl.networks``; by default the tests of the same name must catch it."""
    file, mirror = f"jaxrl/networks/{module}.py", f"tests/networks/test_{module}.py"
    return Mutant(f"networks/{name}", file, old, new, kind, tests or mirror)


MUTANTS = [
    # Distributions.
    mutant("kl_the_other_way", "distributions", "return _expectation(p, p - q)", "return _expectation(q, q - p)",
           "sign"),
    mutant("nan_gradient_of_the_impossible", "distributions", "probs * jnp.where(probs > 0, x, 0.0)",
           "jnp.where(probs > 0, probs * x, 0.0)", "gradient"),
    mutant("gaussian_noise_shared", "distributions",
           "return self.mean + jnp.exp(self.log_std) * jax.random.normal(seed, self.mean.shape)",
           "return self.mean + jnp.exp(self.log_std) * jax.random.normal(seed, (*self.mean.shape[:-1], 1))", "axis"),
    mutant("gaussian_entropy_of_one_dimension", "distributions",
           "log_std = jnp.broadcast_to(self.log_std, self.mean.shape)", "log_std = self.log_std", "axis"),
    mutant("gaussian_kl_of_deviations", "distributions", "ratio = jnp.exp(2 * (self.log_std - other.log_std))",
           "ratio = jnp.exp(self.log_std - other.log_std)", "formula"),
    mutant("squashed_density_uncorrected", "distributions",
           "_standard_log_prob(z, self.log_std) - _log_tanh_slope(u)", "_standard_log_prob(z, self.log_std)",
           "formula"),
    mutant("squashed_density_of_an_action", "distributions", ".log_prob(u) - _log_tanh_slope(u)",
           ".log_prob(u) + _log_tanh_slope(u)", "sign"),
    mutant("squashed_slope_underflows", "distributions",
           "jnp.sum(2.0 * (math.log(2.0) - u - jax.nn.softplus(-2.0 * u)), axis=-1)",
           "jnp.sum(jnp.log(1.0 - jnp.tanh(u) ** 2 + 1e-6), axis=-1)", "precision"),
    mutant("squashed_entropy_of_the_gaussian", "distributions",
           "gaussian.entropy() + jnp.sum(weights * _log_tanh_slope(u), axis=0)", "gaussian.entropy()", "formula"),
    mutant("multi_categorical_mean", "distributions", "return jnp.sum(Categorical(self.logits).entropy(), axis=-1)",
           "return jnp.mean(Categorical(self.logits).entropy(), axis=-1)", "mean",
           "tests/networks/test_distributions.py::test_independent_choices_add_up"),
    mutant("beta_not_stretched", "distributions", "return jnp.sum(each - math.log(2), axis=-1)",
           "return jnp.sum(each, axis=-1)", "formula"),
    mutant("parts_share_a_key", "distributions", "part.sample(seed=next(seeds))", "part.sample(seed=seed)", "key",
           "tests/networks/test_distributions.py::test_parts_of_a_product_are_drawn_apart"),
    # Policies.
    mutant("mask_of_the_third_part", "policies", "            start += choices\n", "            start = choices\n",
           "mask"),
    mutant("missing_choices_possible", "policies", "largest - size), -jnp.inf)", "largest - size), 0.0)", "mask"),
    mutant("mask_ignored", "policies", "return logits if mask is None else jnp.where(mask, logits, -jnp.inf)",
           "return logits", "mask"),
    mutant("deviation_bounds_by_half", "policies", "low + 0.5 * (high - low) * (jnp.tanh(log_std) + 1.0)",
           "low + (high - low) * jnp.tanh(log_std)", "formula", "tests/networks/test_actor_critic.py"),
    # Noisy layers.
    mutant("noise_shared_by_rows", "noisy", "(batch_size if self.per_row else 1, size)", "(1, size)", "key"),
    mutant("noise_without_sign", "noisy", "return jnp.sign(x) * jnp.sqrt(jnp.abs(x))", "return jnp.sqrt(jnp.abs(x))",
           "sign"),
    mutant("noise_of_the_bias", "noisy", "((x * e_in) @ kernel_sigma + bias_sigma) * e_out",
           "((x * e_in) @ kernel_sigma) * e_out + bias_sigma", "formula"),
    mutant("deviation_of_inputs", "noisy", "self.sigma / math.sqrt(inputs)", "self.sigma / inputs", "weight"),
    mutant("layers_share_a_key", "heads",
           "return iter(jnp.split(noise.draw(x.shape[0], sum(layers)), edges, axis=1))",
           "return iter([noise.draw(x.shape[0], n) for n in layers])", "key",
           "tests/networks/test_noisy.py tests/networks/test_heads.py"),
    # Heads.
    mutant("dueling_over_the_batch", "heads", "jnp.mean(advantage, axis=action_axis, keepdims=True, where=allowed)",
           "jnp.mean(advantage, axis=0, keepdims=True, where=allowed)", "axis"),
    mutant("dueling_over_atoms", "heads", "action_axis = -1 if self.outputs == 1 else -2", "action_axis = -1", "axis"),
    mutant("dueling_of_forbidden", "heads", "keepdims=True, where=allowed)", "keepdims=True)", "mask"),
    mutant("dueling_by_maximum", "heads", "value + advantage - jnp.mean(advantage,",
           "value + advantage - jnp.max(advantage, initial=-1e9,", "formula"),
    mutant("cosines_from_one", "heads", "jnp.arange(self.num_cosines)", "jnp.arange(1, self.num_cosines + 1)",
           "window"),
    # Recurrent cells.
    mutant("reset_one_step_late", "recurrent", "((inputs, begins), resetting)",
           "((inputs, jnp.roll(begins, 1, axis=0)), resetting)", "state"),
    mutant("reset_one_step_early", "recurrent", "((inputs, begins), resetting)",
           "((inputs, jnp.roll(begins, -1, axis=0)), resetting)", "state"),
    mutant("gru_update_inverted", "recurrent", "h = (1 - z) * n + z * h", "h = z * n + (1 - z) * h", "sign"),
    mutant("forget_bias_of_another_gate", "recurrent", ".at[size : 2 * size].set(1.0)", ".at[:size].set(1.0)",
           "window"),
    mutant("layers_share_a_state", "recurrent", "self.layer_norm and last)(y, state, begins)",
           "self.layer_norm and last)(y, before[0], begins)", "state"),
    mutant("gates_alike", "recurrent", "for k in jax.random.split(key, gates)]", "for k in [key] * gates]", "key"),
    # Several networks, and normalisation.
    mutant("members_alike", "ensemble", 'split_rngs={"params": True,', 'split_rngs={"params": False,', "key",
           "tests/networks/test_ensemble.py"),
    mutant("members_share_dropout", "ensemble", '"dropout": True}', '"dropout": False}', "key",
           "tests/networks/test_actor_critic.py"),
    mutant("renorm_differentiated", "batch_renorm",
           "jax.lax.stop_gradient((jnp.where(warm, r, 1.0), jnp.where(warm, d, 0.0)))",
           "(jnp.where(warm, r, 1.0), jnp.where(warm, d, 0.0))", "gradient"),
    mutant("renorm_warm_one_late", "batch_renorm", "warm = steps.value >= self.warmup_steps",
           "warm = steps.value > self.warmup_steps", "window"),
    mutant("renorm_momentum_swapped", "batch_renorm",
           "self.momentum * old + (1.0 - self.momentum) * jax.lax.stop_gradient(new)",
           "(1.0 - self.momentum) * old + self.momentum * jax.lax.stop_gradient(new)", "weight"),
    mutant("renorm_evaluates_by_the_batch", "batch_renorm", "        if not train:\n", "        if False:\n",
           "statistics"),
    mutant("renorm_after_the_layer", "actor_critic", "x = nn.Dense(size)(renormalize(x))",
           "x = renormalize(nn.Dense(size)(x))", "formula"),
    mutant("bytes_divided_by_256", "torsos", "(1 / 255 if", "(1 / 256 if", "precision"),
]  # fmt: skip

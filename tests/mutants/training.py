"""Mutants of the training loops, on compiled environments and on the host."""

from __future__ import annotations

from mutant import Mutant

ITERATIONS, COLLECT, TRAIN = (f"jaxrl/training/{name}.py" for name in ("iterations", "collect", "train"))
HOST, PROGRAMS = "jaxrl/training/host_train.py", "jaxrl/training/host_programs.py"
EVALUATION, METRICS, SWEEP = (f"jaxrl/training/{name}.py" for name in ("evaluation", "metrics", "sweep"))
ITERATION_TESTS, COLLECT_TESTS = "tests/training/test_iterations.py", "tests/training/test_collect.py"
EVALUATION_TESTS, METRIC_TESTS = "tests/training/test_evaluation.py", "tests/training/test_metrics.py"
TRAIN_TESTS, HOST_TESTS = "tests/training/test_train.py", "tests/training/test_host_train.py"
LOOP_TESTS = "tests/training/test_host_loop.py"


def mutant(name: str, file: str, old: str, new: str, kind: str, tests: str) -> Mutant:
    """A mutant of this part."""
    return Mutant(f"training/{name}", file, old, new, kind, tests)


MUTANTS = [
    # Iterations.
    mutant("sample_and_update_share_a_key", ITERATIONS, "agent.update(agent_state, batch, update_key, hp)",
           "agent.update(agent_state, batch, sample_key, hp)", "key", ITERATION_TESTS),
    mutant("collect_and_update_share_a_key", ITERATIONS, "key_for(state.key, Purpose.UPDATE, counter), hp, episodes)",
           "collect_key, hp, episodes)", "key", ITERATION_TESTS),
    mutant("prefill_with_one_key", ITERATIONS, "step_actors(agent, env, actors, jax.random.fold_in(key, i), choose)",
           "step_actors(agent, env, actors, key, choose)", "key", ITERATION_TESTS),
    mutant("prefill_rounded_down", ITERATIONS, "-(-agent.feed.prefill // agent.feed.num_envs)",
           "agent.feed.prefill // agent.feed.num_envs", "window", ITERATION_TESTS),
    mutant("prefill_not_observed", ITERATIONS,
           "agent.feed.buffer.add(buffer, transition), observe(agent, agent_state, transition, hp)), None",
           "agent.feed.buffer.add(buffer, transition), agent_state), None", "statistics", ITERATION_TESTS),
    mutant("observed_twice", ITERATIONS, "        agent_state = observe(agent, agent_state, transition, hp)\n",
           "        agent_state = observe(agent, agent_state, transition, hp)\n"
           "        agent_state = observe(agent, agent_state, transition, hp)\n", "statistics", ITERATION_TESTS),
    mutant("never_observed", ITERATIONS, "        agent_state = observe(agent, agent_state, transition, hp)\n", "",
           "statistics", ITERATION_TESTS),
    mutant("only_the_last_priorities", ITERATIONS, "        if several:\n", "        if False:\n", "state",
           ITERATION_TESTS),
    mutant("priorities_set_after_adding", ITERATIONS, "    replay = set_pending(feed, state.buffer, hp)\n",
           "    replay = state.buffer\n", "state", ITERATION_TESTS),
    mutant("metrics_of_the_last_update", ITERATIONS, "jax.tree.map(lambda x: jnp.mean(x, axis=0), metrics)",
           "jax.tree.map(lambda x: x[-1], metrics)", "mean", ITERATION_TESTS),
    mutant("updates_from_one_key", ITERATIONS, "keys = step_keys(key, feed.updates_per_iteration)",
           "keys = jnp.stack([key] * feed.updates_per_iteration)", "key", ITERATION_TESTS),
    mutant("update_with_the_key_of_collecting", ITERATIONS,
           "agent_state, info = agent.update(state.agent, rollout, update_key",
           "agent_state, info = agent.update(state.agent, rollout, collect_key", "key", ITERATION_TESTS),
    # Collection.
    mutant("carry_after_the_rollout", COLLECT, "Rollout(transitions, extras, actors.carry)",
           "Rollout(transitions, extras, after.carry)", "state", ITERATION_TESTS),
    mutant("carry_through_truncation", COLLECT,
           "carry = reset_carry(agent, carry, timestep.terminated | timestep.truncated)",
           "carry = reset_carry(agent, carry, timestep.terminated)", "end", COLLECT_TESTS),
    mutant("transition_to_the_reset", COLLECT, "timestep.truncated, timestep.next_observation\n",
           "timestep.truncated, timestep.observation\n", "observation", COLLECT_TESTS),
    mutant("acting_and_environment_share_a_key", COLLECT, "return keys[0], keys[1:]", "return keys[0], keys[:-1]",
           "key", COLLECT_TESTS),
    mutant("environments_start_alike", COLLECT, "reset_rows(env, jax.random.split(key, num_envs))",
           "reset_rows(env, jnp.stack([key] * num_envs))", "key", COLLECT_TESTS),
    mutant("explores_never", COLLECT, "agent.act(policy, observation, carry, key, hp, True)",
           "agent.act(policy, observation, carry, key, hp, False)", "formula", COLLECT_TESTS),
    mutant("truncated_episodes_not_reported", COLLECT,
           "        ended = timestep.terminated | timestep.truncated\n        stats",
           "        ended = timestep.terminated\n        stats", "end", ITERATION_TESTS),
    mutant("random_actions_forbidden", COLLECT, "if mask is not None and isinstance(space, spaces.Discrete):",
           "if False:", "mask", COLLECT_TESTS),
    mutant("carry_never_fresh", COLLECT, "if not agent.reset_carry or not", "if agent.reset_carry or not", "state",
           COLLECT_TESTS),
    mutant("count_beyond_32_bits", "jaxrl/training/keys.py", "(counter.high << 8) | int(purpose)", "int(purpose)",
           "key",
           "tests/training/test_keys.py"),
    mutant("purpose_meets_count", "jaxrl/training/keys.py", "(counter.high << 8) | int(purpose)",
           "counter.high + int(purpose)", "key", "tests/training/test_keys.py"),
    # Reports.
    mutant("mean_over_all_steps", METRICS, "self.count + masked(1.0)", "self.count + jnp.size(ended)", "mean",
           METRIC_TESTS),
    mutant("lowest_of_running_returns", METRICS, "jnp.min(jnp.where(ended, returns, jnp.inf))", "jnp.min(returns)",
           "mask", METRIC_TESTS),
    mutant("losses_by_episodes", METRICS, "x / jnp.maximum(iterations, 1.0), losses)",
           "x / jnp.maximum(episodes.count, 1.0), losses)", "mean", METRIC_TESTS),
    mutant("some_finite", METRICS, "jnp.stack([jnp.all(jnp.isfinite(x)) for x in leaves])",
           "jnp.stack([jnp.any(jnp.isfinite(x)) for x in leaves])", "formula", METRIC_TESTS),
    mutant("truncated_episodes_not_counted", METRICS, "timestep.terminated | timestep.truncated,",
           "timestep.terminated,", "end", METRIC_TESTS),
    # Evaluation.
    mutant("evaluation_beyond_the_end", EVALUATION,
           'returns = jnp.where(alive, timestep.info["episode_return"], returns)',
           'returns = timestep.info["episode_return"]', "mask", EVALUATION_TESTS),
    mutant("evaluation_through_truncation", EVALUATION, "alive &= ~(timestep.terminated | timestep.truncated)",
           "alive &= ~timestep.terminated", "end", EVALUATION_TESTS),
    mutant("evaluation_explores", EVALUATION, "act_key, hp, not deterministic)", "act_key, hp, deterministic)", "sign",
           EVALUATION_TESTS),
    mutant("evaluation_of_one_step_more", EVALUATION, "(t < limit)", "(t <= limit)", "window", EVALUATION_TESTS),
    mutant("evaluation_without_memory", EVALUATION, "action, carry, _ = agent.act(", "action, _, _ = agent.act(",
           "state",
           EVALUATION_TESTS),
    mutant("evaluation_of_the_acting_policy", TRAIN, "policy = self.agent.evaluated(state.agent)",
           "policy = self.agent.policy(state.agent)", "target", EVALUATION_TESTS),
    mutant("evaluation_with_one_key", EVALUATION, "jax.random.fold_in(step_key, t)", "step_key", "key",
           EVALUATION_TESTS),
    # Runs.
    mutant("block_of_one_count", TRAIN, "one(state, start.add(offset), sums)", "one(state, start, sums)", "key",
           f"{TRAIN_TESTS}::test_more_iterations_than_a_block_of_random_numbers"),
    mutant("clock_without_the_prefill", TRAIN, "return float(self.prefill_steps) + iteration.as_float() *",
           "return iteration.as_float() *", "formula", ITERATION_TESTS),
    mutant("last_iteration_cut", TRAIN, "-(-(self.total_steps - self.prefill_steps) // self.steps_per_iteration)",
           "(self.total_steps - self.prefill_steps) // self.steps_per_iteration", "window",
           f"{TRAIN_TESTS}::test_steps_are_counted_exactly"),
    mutant("seeds_repeated", SWEEP, "lane_seeds = jnp.tile(seeds, repeats)", "lane_seeds = jnp.repeat(seeds, repeats)",
           "axis", f"{TRAIN_TESTS}::test_sweep_is_one_program_and_its_lanes_are_the_single_runs"),
    # The host.
    mutant("host_successor_is_the_next_shown", HOST, "t.terminated, t.truncated, t.next_observation), step.valid",
           "t.terminated, t.truncated, t.observation), step.valid", "observation", LOOP_TESTS),
    mutant("host_dummy_step_learned", HOST, "t.next_observation), step.valid", "t.next_observation), None", "mask",
           LOOP_TESTS),
    mutant("host_carry_after_a_dummy_step", HOST, "fresh = fresh | ~step.valid", "fresh = fresh & step.valid", "mask",
           LOOP_TESTS),
    mutant("host_carry_after_the_rollout", HOST,
           '"update", state.agent, self._arrays.over_time(records), state.carry,',
           '"update", state.agent, self._arrays.over_time(records), carry,', "state", LOOP_TESTS),
    mutant("host_evaluation_beyond_the_end", HOST,
           'returns = xp.where(alive, timestep.info["episode_return"], returns)',
           'returns = timestep.info["episode_return"]', "mask", LOOP_TESTS),
    mutant("host_evaluation_of_the_acting_policy", PROGRAMS, "policy = self.agent.evaluated(agent_state)",
           "policy = self.agent.policy(agent_state)", "target", LOOP_TESTS),
    mutant("host_restart_goes_on", HOST, "        if self.agent.interrupt is not None:\n", "        if False:\n",
           "state",
           f"{HOST_TESTS}::test_a_restored_state_has_no_sums_of_the_rewards_of_broken_off_episodes"),
    mutant("host_restart_of_the_same_episodes", HOST, "np.random.SeedSequence([s, iteration]).generate_state(1)[0] % 2",
           "np.random.SeedSequence([s]).generate_state(1)[0] % 2", "key", LOOP_TESTS),
    mutant("host_evaluation_seeds_of_training", HOST, "np.random.SeedSequence([seed, iteration, 1])",
           "np.random.SeedSequence([seed, iteration])", "key", LOOP_TESTS),
    mutant("host_collect_and_update_share_a_key", PROGRAMS,
           "            key = key_for(key, Purpose.UPDATE, iteration)\n            agent_state, info",
           "            key = key_for(key, Purpose.COLLECT, iteration)\n            agent_state, info", "key",
           LOOP_TESTS),
    mutant("host_clock_one_short", PROGRAMS,
           "return resolve(hp, steps, steps / float(", "return resolve(hp, steps - 1, steps / float(", "formula",
           LOOP_TESTS),
    mutant("lost_life_reported", "jaxrl/training/host_arrays.py",
           'ended = t.info.get("episode_ended", t.terminated | t.truncated)', "ended = t.terminated | t.truncated",
           "end",
           f"{HOST_TESTS}::test_a_lost_life_is_no_end_of_an_episode"),
]  # fmt: skip

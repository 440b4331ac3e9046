"""Mutants of environments' wrappers and adapters."""

from __future__ import annotations

from mutant import Mutant

WRAPPERS, FRAMES = "jaxrl/envs/wrappers.py", "jaxrl/envs/frame_wrappers.py"
ACTIONS, GATE = "jaxrl/envs/actions.py", "jaxrl/envs/gate.py"
ACTION_TESTS, GATE_TESTS = "tests/envs/test_actions.py", "tests/envs/test_gate.py"
ENVIRONMENT, HOST = "jaxrl/envs/environment.py", "jaxrl/envs/host.py"
GYMNAX, GYMNASIUM = "jaxrl/envs/gymnax_adapter.py", "jaxrl/envs/gymnasium_adapter.py"
WRAPPER_TESTS, FRAME_TESTS = "tests/envs/test_wrappers.py", "tests/envs/test_frame_wrappers.py"
AGENTS = (
    "tests/training/test_agents.py::test_rows_are_the_agents_of_one_environment_after_those_of_another"
)
GYMNASIUM_TESTS = " ".join(
    f"tests/envs/test_gymnasium_adapter.py::{name}"
    for name in (
        "test_same_step_reset", "test_next_step_reset_marks_the_dummy_step",
        "test_both_modes_give_the_same_transitions", "test_a_termination_at_the_time_limit_is_no_truncation",
        "test_as_stepped_by_hand", "test_a_dummy_step_follows_either_end_of_a_vector_environment",
    )
)  # fmt: skip


def mutant(name: str, file: str, old: str, new: str, kind: str, tests: str) -> Mutant:
    """A mutant of this part."""
    return Mutant(f"envs/{name}", file, old, new, kind, tests)


MUTANTS = [
    # Wrappers.
    mutant("limit_one_late", WRAPPERS, "(steps >= max_episode_steps)", "(steps > max_episode_steps)", "window",
           WRAPPER_TESTS),
    mutant("termination_at_the_limit", WRAPPERS, "((steps >= max_episode_steps) & ~timestep.terminated)",
           "(steps >= max_episode_steps)", "end", WRAPPER_TESTS),
    mutant("limit_forgets_the_inner_one", WRAPPERS, "truncated = timestep.truncated | (", "truncated = (", "end",
           WRAPPER_TESTS),
    mutant("longer_of_two_limits", WRAPPERS, "min(max_episode_steps, env.max_episode_steps or max_episode_steps)",
           "max(max_episode_steps, env.max_episode_steps or max_episode_steps)", "sign", WRAPPER_TESTS),
    mutant("reset_observation_as_the_next", WRAPPERS,
           "return choose(done, new_state, state), timestep._replace(observation=observation)",
           "return choose(done, new_state, state), timestep._replace(observation=observation, "
           "next_observation=observation)", "observation", WRAPPER_TESTS),
    mutant("no_reset_after_truncation", WRAPPERS, "done = timestep.terminated | timestep.truncated",
           "done = timestep.terminated", "end", WRAPPER_TESTS),
    mutant("step_and_reset_share_a_key", WRAPPERS, "env.reset(reset_key)\n        done",
           "env.reset(step_key)\n        done", "key", WRAPPER_TESTS),
    mutant("state_of_the_old_episode", WRAPPERS, "return choose(done, new_state, state), timestep._replace(obs",
           "return state, timestep._replace(obs", "state", WRAPPER_TESTS),
    mutant("statistics_of_the_transformed", WRAPPERS,
           "    env = episode_statistics(rescale_action(checked(env)))\n    if reward_transform is not None:\n"
           "        env = transform_reward(env, reward_transform)\n",
           "    env = rescale_action(checked(env))\n    if reward_transform is not None:\n"
           "        env = transform_reward(env, reward_transform)\n    env = episode_statistics(env)\n", "statistics",
           WRAPPER_TESTS),
    mutant("length_one_short", WRAPPERS, '"episode_return": total, "episode_length": length}',
           '"episode_return": total, "episode_length": state.episode_length}', "window", WRAPPER_TESTS),
    mutant("flattened_successor", WRAPPERS, "next_observation=flatten(timestep.next_observation)",
           "next_observation=flatten(timestep.observation)", "observation", WRAPPER_TESTS),
    mutant("selected_successor", WRAPPERS, "next_observation=timestep.next_observation[..., chosen]",
           "next_observation=timestep.observation[..., chosen]", "observation", WRAPPER_TESTS),
    mutant("bounds_not_centred", ACTIONS, "xp.clip(center + action * half_range, low, high)",
           "xp.clip(action * half_range, low, high)", "formula", WRAPPER_TESTS),
    mutant("actions_beyond_bounds", ACTIONS, "xp.clip(center + action * half_range, low, high)",
           "center + action * half_range", "precision", WRAPPER_TESTS),
    mutant("one_bound_ignored", ACTIONS, "low, high = _float32_inside(space)",
           "low, high = (np.where(bounded, x, y) for x, y in zip(_float32_inside(space), (-np.inf, np.inf)))",
           "mask", ACTION_TESTS),
    mutant("bound_rounded_outwards", ACTIONS, "np.where(low < space.low, np.nextafter(low, np.float32(np.inf)), low)",
           "low", "precision", ACTION_TESTS),
    mutant("last_integer_left_out", ACTIONS, "half_count = (last + 1) / 2", "half_count = last / 2", "window",
           ACTION_TESTS),
    mutant("integers_stored_as_the_space_has_them", "jaxrl/algorithms/off_policy.py",
           "jax_spaces.shapes(jax_spaces.canonical(spec.action_space))", "jax_spaces.shapes(spec.action_space)",
           "precision", ACTION_TESTS),
    # The gate.
    mutant("floats_become_integers", GATE,
           'return kind in "biuf" if np.dtype(target).kind == "f" else kind in "biu"', "return True", "precision",
           GATE_TESTS),
    mutant("integers_wrap", GATE, 'return np.dtype(target).kind in "iub" and not np.can_cast(dtype, target, "safe")',
           "return False", "precision", GATE_TESTS),
    mutant("later_shapes_taken", GATE, "if array is not None and array.shape == self.known and",
           "if array is not None and self.known and", "axis", GATE_TESTS),
    mutant("bounds_never_looked_at", GATE, "FIRST = 2\n", "FIRST = 0\n", "window", GATE_TESTS),
    mutant("stopping_is_an_environment_failing", GYMNASIUM,
           'except Exception as error:\n                raise gate.failed("step", error) from error',
           'except BaseException as error:\n                raise gate.failed("step", error) from error', "end",
           GATE_TESTS),
    # Frames.
    mutant("oldest_number_for_oldest_frame", FRAMES, "state.frames[..., channels:]", "state.frames[..., 1:]", "window",
           FRAME_TESTS),
    mutant("newest_frame_first", FRAMES, "jnp.concatenate([before, observation], axis=-1)",
           "jnp.concatenate([observation, before], axis=-1)", "axis", FRAME_TESTS),
    mutant("skip_of_the_last_reward", FRAMES, "new._replace(reward=last.reward + new.reward)", "new", "formula",
           FRAME_TESTS),
    mutant("skip_into_the_next_episode", FRAMES, "ended = last.terminated | last.truncated\n",
           "ended = last.truncated\n",
           "end", FRAME_TESTS),
    mutant("skip_through_truncation", FRAMES, "ended = last.terminated | last.truncated\n", "ended = last.terminated\n",
           "end", FRAME_TESTS),
    mutant("skip_shares_a_key", FRAMES, "first.next_observation), keys[1:])", "first.next_observation), keys[:-1])",
           "key", FRAME_TESTS),
    mutant("chosen_action_sticks", FRAMES, "return WithAction(inner, action), timestep",
           "return WithAction(inner, state.action), timestep", "state", FRAME_TESTS),
    mutant("sticky_and_step_share_a_key", FRAMES, "key, sticky_key = jax.random.split(key)", "sticky_key = key", "key",
           FRAME_TESTS),
    mutant("no_op_from_zero", FRAMES, "jax.random.randint(count_key, (), 1, most + 1)",
           "jax.random.randint(count_key, (), 0, most)", "window", FRAME_TESTS),
    mutant("no_op_beyond_the_end", FRAMES,
           "ended = timestep.terminated | timestep.truncated\n            return choose(",
           "ended = timestep.truncated\n            return choose(", "end", FRAME_TESTS),
    # Several agents, and the host.
    mutant("agents_of_other_environments", ENVIRONMENT, "return keys[:: env.num_agents]",
           "return keys[: keys.shape[0] // env.num_agents]", "axis", AGENTS),
    mutant("ends_tiled", ENVIRONMENT, "jax.numpy.repeat(x, env.num_agents, axis=0)",
           "jax.numpy.tile(x, (env.num_agents, *[1] * (x.ndim - 1)))", "axis",
           "tests/envs/test_environment.py"),
    mutant("truncation_as_termination", ENVIRONMENT, "truncated=jax.numpy.asarray(truncated, bool),",
           "truncated=jax.numpy.asarray(False, bool),", "end", "tests/envs/test_environment.py"),
    mutant("sums_go_on", HOST, "np.where(ended, np.float32(0), returns)", "returns", "state",
           "tests/envs/test_host.py"),
    mutant("dummy_steps_counted", HOST, "np.where(valid, lengths, self._lengths)", "lengths", "mask",
           "tests/envs/test_host.py"),
    # Adapters.
    mutant("gymnax_limit_of_the_state_before", GYMNAX, "env.is_truncated(new_state, params)",
           "env.is_truncated(state, params)", "window",
           "tests/envs/test_gymnax_adapter.py::test_the_time_limit_of_gymnax_truncates"),
    mutant("gymnax_limit_terminates", GYMNAX, "max_steps_in_episode=limit + 1)", "max_steps_in_episode=limit)", "end",
           "tests/envs/test_gymnax_adapter.py::test_the_time_limit_is_separated_from_the_termination"),
    mutant("gymnax_both_ends", GYMNAX, "jnp.asarray(truncated, bool) & ~terminated", "jnp.asarray(truncated, bool)",
           "end", "tests/envs/test_gymnax_adapter.py::test_the_time_limit_is_separated_from_the_termination"),
    mutant("gymnasium_first_observation_as_final", GYMNASIUM,
           "next_observation = self._with_final(observation, infos, ended)", "next_observation = observation",
           "observation", GYMNASIUM_TESTS),
    mutant("gymnasium_dummy_after_truncation", GYMNASIUM, "        self._ended = ended\n",
           "        self._ended = terminated\n", "mask", GYMNASIUM_TESTS),
    mutant("gymnasium_both_ends", GYMNASIUM, "            truncated &= ~terminated\n            for",
           "            for", "end", GYMNASIUM_TESTS),
    mutant("gymnasium_both_ends_of_vectors", GYMNASIUM,
           "            truncated &= ~terminated\n        # In next-step", "            pass\n        # In next-step",
           "end", GATE_TESTS),
    mutant("info_mask_ignored", "jaxrl/envs/info_masks.py", "np.ravel(info[ACTION_MASK]) != 0 if",
           "np.ones(self._choices, bool) if", "mask",
           "tests/envs/test_gymnasium_adapter.py::test_a_mask_that_is_told_in_info_is_observed"),
]  # fmt: skip

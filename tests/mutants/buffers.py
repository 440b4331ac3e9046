"""Mutants of replay buffers and the sum-tree."""

from __future__ import annotations

from mutant import Mutant

REPLAY, RING, STORAGE = "jaxrl/buffers/replay.py", "jaxrl/buffers/ring.py", "jaxrl/buffers/storage.py"
FRAMES, TREE, BUFFER = "jaxrl/buffers/frames.py", "jaxrl/buffers/sum_tree.py", "jaxrl/buffers/buffer.py"
N_STEP, PRIORITIZED = "tests/buffers/test_n_step.py", "tests/buffers/test_prioritized.py"
FRAME_TESTS = " ".join(
    f"tests/buffers/test_frames.py::test_{test}"
    for test in (
        "stacks_do_not_reach_across_an_interruption", "nothing_is_given_up_while_episodes_are_long",
        "every_transition_comes_back_bit_for_bit",
    )
)  # fmt: skip


SEVERAL = f"{N_STEP}::test_three_steps_by_hand {N_STEP}::test_n_steps_by_brute_force"
RANGE = f"{N_STEP}::test_a_range_of_steps_is_drawn_evenly_for_each_transition"
INTERRUPTED = f"{N_STEP}::test_steps_are_not_added_up_across_an_interruption"


def prioritized(*tests: str) -> str:
    """Tests of prioritised replay: those that likely notice, then all."""
    return " ".join([*(f"{PRIORITIZED}::test_{test}" for test in tests), PRIORITIZED])


def tree(*tests: str) -> str:
    """Tests of the sum-tree, likewise."""
    file = "tests/buffers/test_sum_tree.py"
    return " ".join([*(f"{file}::test_{test}" for test in tests), file])


def mutant(name: str, file: str, old: str, new: str, kind: str, tests: str) -> Mutant:
    """A mutant of this part."""
    return Mutant(f"buffers/{name}", file, old, new, kind, tests)


MUTANTS = [
    # N steps.
    mutant("successor_of_the_window", REPLAY, "storage.read(state, places, at_last(window))",
           "storage.read(state, places, window[:, -1])", "observation", SEVERAL),
    mutant("truncated_anywhere", REPLAY, "truncated=at_last(truncated))", "truncated=jnp.any(truncated, axis=1))",
           "end", SEVERAL),
    mutant("steps_are_n", REPLAY, "return Sample(transitions, places, weights, n.last + 1)",
           "return Sample(transitions, places, weights, jnp.full_like(places, most))", "discount", SEVERAL),
    mutant("length_and_place_share_a_key", REPLAY, "(key, None) if fewest == most else tuple(jax.random.split(key))",
           "(key, None) if fewest == most else (key, key)", "key", RANGE),
    mutant("longest_never_drawn", REPLAY, "jnp.asarray(most - fewest + 1)", "jnp.asarray(most - fewest)", "window",
           RANGE),
    mutant("newest_window_not_cut", REPLAY, "n_step_return(reward, terminated, truncated, hp.discount, held)",
           "n_step_return(reward, terminated, truncated, hp.discount)", "mask", SEVERAL),
    # Priorities.
    mutant("alpha_left_out", REPLAY, "jnp.maximum(priorities, priority_epsilon) ** hp.priority_exponent",
           "jnp.maximum(priorities, priority_epsilon)", "weight",
           prioritized("priorities_are_those_of_a_table", "items_are_drawn_in_proportion_to_priority_to_the_alpha")),
    mutant("alpha_for_beta", REPLAY, "** -hp.importance_exponent", "** -hp.priority_exponent", "weight",
           prioritized("weights_by_hand")),
    mutant("weights_not_normalised", REPLAY, "weights / jnp.max(weights), n_steps", "weights, n_steps", "weight",
           prioritized("weights_by_hand")),
    mutant("weights_not_inverted", REPLAY, "** -hp.importance_exponent", "** hp.importance_exponent", "sign",
           prioritized("weights_by_hand")),
    mutant("largest_forgets", REPLAY, "jnp.maximum(state.largest, jnp.max(jnp.where(held, values, 0.0)))",
           "jnp.max(jnp.where(held, values, 0.0))", "state",
           prioritized("new_items_have_the_largest_priority_that_was_ever_set")),
    mutant("largest_of_what_is_not_held", REPLAY, "jnp.max(jnp.where(held, values, 0.0))", "jnp.max(values)", "mask",
           prioritized("indices_of_nothing_change_nothing")),
    mutant("new_items_have_priority_one", REPLAY, "jnp.broadcast_to(state.largest, (num_envs,))",
           "jnp.ones((num_envs,))", "formula",
           prioritized("new_items_have_the_largest_priority_that_was_ever_set")),
    mutant("priorities_of_what_is_not_held", REPLAY,
           "sum_tree.set(state.tree, jnp.where(held, indices, sum_tree.LARGEST), values)",
           "sum_tree.set(state.tree, indices, values)", "mask",
           prioritized("indices_of_nothing_change_nothing")),
    mutant("priority_not_finite", REPLAY, "    values = jnp.where(jnp.isfinite(values), values, state.largest)\n",
           "    pass\n", "precision",
           prioritized("a_priority_that_is_not_finite_is_taken_for_the_largest")),
    # Rings.
    mutant("following_one_fewer", RING, "(ring.position[env] - step - 1) % steps + 1",
           "(ring.position[env] - step - 1) % steps", "window", f"tests/buffers/test_ring.py {N_STEP}"),
    mutant("window_of_another_environment", RING, "return window * num_envs + env[:, None], jnp.minimum(held, n)",
           "return places[:, None] + jnp.arange(n), jnp.minimum(held, n)", "axis",
           f"tests/buffers/test_ring.py {N_STEP}"),
    mutant("held_by_one_more", RING, "% steps < ring.filled[env])", "% steps <= ring.filled[env])", "window",
           "tests/buffers/test_ring.py"),
    mutant("newest_before_the_first", RING, "(ring.position - 1) % steps, steps)", "ring.position - 1, steps)",
           "window",
           "tests/buffers/test_ring.py"),
    mutant("environment_at_a_border", RING, 'side="right"', 'side="left"', "window",
           "tests/buffers/test_replay.py::test_exactly_the_last_items_are_drawn_uniformly"),
    mutant("oldest_at_the_position", RING, "step = (step + (ring.position - ring.filled)[env]) % steps",
           "step = (step + ring.position[env]) % steps", "window", FRAME_TESTS),
    mutant("distinct_rest_left_out", RING, "begin = part * size + jnp.minimum(part, rest)", "begin = part * size",
           "window", "tests/buffers/test_ring.py"),
    mutant("distinct_turns_by_its_draw", RING, "uniform_below(turn_key, 1, bound)", "uniform_below(part_key, 1, bound)",
           "key", "tests/buffers/test_ring.py"),
    mutant("distinct_never_turned", RING, "return (number + uniform_below(turn_key, 1, bound)) % bound",
           "return number",
           "formula", "tests/buffers/test_ring.py"),
    # Storages.
    mutant("successor_is_an_observation", STORAGE, "take(state, last).next_observation",
           "take(state, last).observation",
           "observation", SEVERAL),
    mutant("interrupted_is_terminated", STORAGE,
           "transitions._replace(truncated=jnp.ones_like(transitions.truncated))",
           "transitions._replace(terminated=jnp.ones_like(transitions.terminated))", "end", INTERRUPTED),
    mutant("frame_after_next", FRAMES, "rows(last).frame - frame_stack + 2 + modulus",
           "rows(last).frame - frame_stack + 1 + modulus", "observation", FRAME_TESTS),
    mutant("frames_written_over", FRAMES, "(span > length)", "(span > length + 1)", "window", FRAME_TESTS),
    mutant("stack_across_a_truncation", FRAMES, "ended = transitions.terminated | transitions.truncated",
           "ended = transitions.terminated", "end", FRAME_TESTS),
    mutant("fresh_by_a_dummy_step", FRAMES, "jnp.where(real, ended, state.fresh)", "ended", "mask", FRAME_TESTS),
    mutant("stack_across_an_interruption", FRAMES, "fresh=jnp.ones_like(state.fresh)", "fresh=state.fresh", "state",
           FRAME_TESTS),
    # The sum-tree, and loaders.
    mutant("empty_items_found", TREE, "jnp.sum(ends <= mass[:, None], axis=1", "jnp.sum(ends < mass[:, None], axis=1",
           "sign",
           tree("a_mass_at_a_border_finds_the_item_that_begins_there", "an_item_of_value_zero_is_never_found")),
    mutant("mass_beyond_the_end", TREE, "jnp.nextafter(ends[:, -1], 0.0)", "ends[:, -1]", "precision",
           tree("the_only_item_is_always_found", "an_item_of_value_zero_is_never_found")),
    mutant("not_stratified", TREE, "(jnp.arange(batch_size) + uniforms) / batch_size * total(tree)",
           "uniforms * total(tree)", "formula",
           tree("stratified_draws_one_item_from_each_equal_share")),
    mutant("least_of_empty_items", TREE, "jnp.min(items, where=items > 0, initial=jnp.inf)", "jnp.min(items)", "mask",
           "tests/buffers/test_sum_tree.py::test_extremes_are_of_what_is_not_zero"),
    mutant("every_batch_alike", BUFFER, "sample(state(), jax.random.fold_in(key, i), batch_size, hp)",
           "sample(state(), key, batch_size, hp)", "key",
           "tests/buffers/test_replay.py::test_batches_see_what_is_added_meanwhile"),
]  # fmt: skip

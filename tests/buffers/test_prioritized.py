import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxrl.buffers import prioritized_replay, sum_tree, uniform_replay
from jaxrl.types import Transition

ID = jax.ShapeDtypeStruct((), np.int32)
"""The tests' item: a number that tells it from all others. Zero is never stored."""


class Exponents(NamedTuple):
    priority_exponent: float = 0.6
    importance_exponent: float = 0.4
    discount: float = 0.9


def _fill(buffer, steps, first=1, state=None):
    """Add ``first``, ``first + 1``, ..."""
    num_envs = buffer.init().storage.ring.position.shape[0]
    ids = np.arange(first, first + steps * num_envs, dtype=np.int32).reshape(steps, num_envs)
    add, state = jax.jit(buffer.add), buffer.init() if state is None else state
    for x in ids:
        state = add(state, x)
    return state


def _set(buffer, state, indices, priorities, hp=Exponents()):
    return jax.jit(buffer.set_priorities)(state, jnp.array(indices), jnp.array(priorities, jnp.float32), hp)


def _sample(buffer, state, key, n, hp=Exponents()):
    return jax.jit(buffer.sample, static_argnums=2)(state, key, n, hp)


def _values(buffer, state):
    """``p^alpha`` of every place, zero where nothing is held."""
    return np.asarray(sum_tree.get(state.tree, jnp.arange(buffer.capacity)))


def _assert_equal(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


# --- Which are drawn


def test_items_are_drawn_in_proportion_to_priority_to_the_alpha(key):
    buffer = prioritized_replay(ID, 8)
    priorities = np.array([0.01, 0.1, 0.5, 1, 2, 5, 20])
    state = _set(buffer, _fill(buffer, 7), np.arange(7), priorities)
    share = priorities**0.6 / np.sum(priorities**0.6)
    # Samples of one are independent.
    one = lambda key: buffer.sample(state, key, 1, Exponents()).transitions
    drawn = np.ravel(jax.jit(jax.vmap(one))(jax.random.split(key, 20_000)))
    counts = np.bincount(drawn, minlength=8)
    assert counts[0] == 0
    assert stats.chisquare(counts[1:], 20_000 * share).pvalue > 1e-3
    # A stratified batch has of each what it should have, or one more or less at either border of its share.
    counts = np.bincount(_sample(buffer, state, key, 1000).transitions, minlength=8)
    assert np.all(np.abs(counts[1:] - 1000 * share) <= 2)


def test_a_priority_exponent_of_zero_is_uniform_with_weights_of_one(key):
    buffer, hp = prioritized_replay(ID, 6, 2), Exponents(priority_exponent=0.0)
    state = _set(buffer, _fill(buffer, 2), [0, 1, 2], [0.0, 100.0, 3.0], hp)
    state = _fill(buffer, 1, first=5, state=state)
    np.testing.assert_array_equal(_values(buffer, state), np.ones(6))
    sample = _sample(buffer, state, key, 600, hp)
    assert np.all(np.abs(np.bincount(sample.transitions)[1:] - 100) <= 2)
    np.testing.assert_allclose(sample.weights, np.ones(600), rtol=1e-6)
    np.testing.assert_array_equal(sample.steps, np.ones(600))


def test_what_is_not_held_is_never_drawn(rng, key):
    buffer = prioritized_replay(ID, 12, 3)
    state, add = buffer.init(), jax.jit(buffer.add)
    held = set()
    for t, valid in enumerate([[True, False, False], [True, False, True]]):
        ids = 1 + 3 * t + np.arange(3, dtype=np.int32)
        state = add(state, ids, np.array(valid))
        held |= set(ids[valid].tolist())
    assert held == {1, 4, 6}
    assert set(np.asarray(_sample(buffer, state, key, 256).transitions).tolist()) == held
    assert buffer.size(state) == 3


def test_samples_depend_on_the_key_alone(key):
    buffer = prioritized_replay(ID, 50)
    state = _fill(buffer, 50)
    one, again, other = (_sample(buffer, state, k, 32).transitions for k in (key, key, jax.random.key(1)))
    np.testing.assert_array_equal(one, again)
    assert np.any(one != other)


# --- Priorities


def test_new_items_have_the_largest_priority_that_was_ever_set():
    buffer, hp = prioritized_replay(ID, 5), Exponents(priority_exponent=0.5)
    state = _fill(buffer, 2)
    np.testing.assert_array_equal(_values(buffer, state), [1, 1, 0, 0, 0])
    state = _set(buffer, state, [0, 1], [0.25, 0.01], hp)
    state = _fill(buffer, 1, state=state)
    np.testing.assert_allclose(_values(buffer, state), [0.5, 0.1, 1, 0, 0], rtol=1e-6)
    state = _fill(buffer, 1, state=_set(buffer, state, [1, 2], [16, 9], hp))
    np.testing.assert_allclose(_values(buffer, state), [0.5, 4, 3, 4, 0], rtol=1e-6)
    # Not the largest that is held.
    state = _fill(buffer, 1, state=_set(buffer, state, [1, 3], [1, 1], hp))
    np.testing.assert_allclose(_values(buffer, state), [0.5, 1, 3, 1, 4], rtol=1e-6)


def test_an_item_that_is_written_over_loses_its_priority():
    buffer = prioritized_replay(ID, 3)
    state = _set(buffer, _fill(buffer, 3), [0, 1, 2], [0.01, 0.02, 0.03])
    state = _fill(buffer, 2, state=state)
    np.testing.assert_allclose(_values(buffer, state), [1, 1, 0.03**0.6], rtol=1e-6)


@pytest.mark.parametrize("epsilon", [1e-6, 0.01])
@pytest.mark.parametrize("priority", [0.0, -3.0])
def test_a_priority_of_zero_is_lifted(key, epsilon, priority):
    buffer = prioritized_replay(ID, 3, priority_epsilon=epsilon)
    state = _set(buffer, _fill(buffer, 3), [0, 1, 2], [priority] * 3)
    np.testing.assert_allclose(_values(buffer, state), [epsilon**0.6] * 3, rtol=1e-5)
    assert np.all(np.abs(np.bincount(_sample(buffer, state, key, 300).transitions)[1:] - 100) <= 2)


@pytest.mark.parametrize("priority", [np.nan, np.inf, -np.nan])
def test_a_priority_that_is_not_finite_is_taken_for_the_largest(key, priority):
    buffer = prioritized_replay(ID, 4)
    state = _set(buffer, _fill(buffer, 3), [0, 1, 2], [7.0, 0.5, priority])
    np.testing.assert_allclose(_values(buffer, state)[:2], np.array([7.0, 0.5]) ** 0.6, rtol=1e-6)
    # That was the largest before this batch.
    assert _values(buffer, state)[2] == 1
    np.testing.assert_allclose(state.largest, 7**0.6, rtol=1e-6)
    assert set(np.asarray(_sample(buffer, state, key, 64).transitions).tolist()) == {1, 2, 3}


@pytest.mark.parametrize(
    "indices",
    [[-1, -1], [5, -2**31], [7, 15], [2**31 - 1, 2**30], [3, 4]],
    ids=["nothing pending", "out of range", "in the tree's padding", "far out of range", "not held yet"],
)
def test_indices_of_nothing_change_nothing(indices):
    buffer = prioritized_replay(ID, 5)
    state = _fill(buffer, 3)
    _assert_equal(_set(buffer, state, indices, [50.0, 60.0]), state)
    # And do not keep others from being set.
    after = _set(buffer, state, [indices[0], 1, indices[1]], [50.0, 0.5, 60.0])
    np.testing.assert_allclose(_values(buffer, after), [1, 0.5**0.6, 1, 0, 0], rtol=1e-6)
    assert after.largest == 1


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("num_envs", [1, 3])
def test_priorities_are_those_of_a_table(rng, num_envs, masked):
    """Adding and setting at random, with duplicates and indices of nothing, beside NumPy."""
    steps, hp = 5, Exponents()
    buffer = prioritized_replay(ID, steps * num_envs, num_envs)
    places = buffer.capacity
    state, add, set_ = buffer.init(), jax.jit(buffer.add), jax.jit(buffer.set_priorities)
    table, largest, position = np.zeros(places), 1.0, np.zeros(num_envs, int)
    for _ in range(40):
        indices = rng.integers(-2, places + 2, 6).astype(np.int32)
        priorities = rng.gamma(0.5, size=6).astype(np.float32)
        priorities[rng.random(6) < 0.2] = 0
        state = set_(state, indices, priorities, hp)
        held = {i for i in range(places) if table[i] > 0}
        for i, p in zip(indices, priorities, strict=True):
            if i in held:
                table[i] = max(p, 1e-6) ** 0.6
                largest = max(largest, table[i])
        valid = rng.random(num_envs) < 0.7 if masked else np.ones(num_envs, bool)
        state = add(state, np.ones(num_envs, np.int32), *((valid,) if masked else ()))
        for env in np.flatnonzero(valid):
            table[position[env] * num_envs + env] = largest
            position[env] = (position[env] + 1) % steps
        np.testing.assert_allclose(_values(buffer, state), table, rtol=1e-5)
        np.testing.assert_allclose(sum_tree.total(state.tree), table.sum(), rtol=1e-5)
        assert buffer.size(state) == np.count_nonzero(table)


# --- Weights


@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0])
def test_weights_by_numpy(key, beta):
    # Half full: N is the number held, not the capacity.
    buffer, hp = prioritized_replay(ID, 20, 2), Exponents(importance_exponent=beta)
    priorities = np.linspace(0.1, 3, 10)
    state = _set(buffer, _fill(buffer, 5), np.arange(10), priorities)
    probability = priorities**0.6 / np.sum(priorities**0.6)
    for n in (4, 64):
        sample = _sample(buffer, state, key, n, hp)
        np.testing.assert_array_equal(sample.transitions, 1 + np.asarray(sample.indices))
        weights = (10 * probability[sample.indices]) ** -beta
        np.testing.assert_allclose(sample.weights, weights / weights.max(), rtol=1e-5)
        np.testing.assert_allclose(np.max(sample.weights), 1, rtol=1e-6)


def test_weights_by_hand(key):
    # Probabilities 1/8, 1/8, 1/4, 1/2; N p = 1/2, 1/2, 1, 2; to the power -1: 2, 2, 1, 1/2.
    buffer, hp = prioritized_replay(ID, 4), Exponents(1.0, 1.0)
    state = _set(buffer, _fill(buffer, 4), [0, 1, 2, 3], [1, 1, 2, 4], hp)
    sample = _sample(buffer, state, key, 8, hp)
    np.testing.assert_array_equal(sample.indices, [0, 1, 2, 2, 3, 3, 3, 3])
    np.testing.assert_allclose(sample.weights, [1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25], rtol=1e-6)


# --- As a pytree


def _loop(buffer, key, hp, steps=12):
    """Set the pending priorities, add and sample, as training does; the samples of all steps."""

    def step(carry, i):
        state, indices, priorities = carry
        state = buffer.set_priorities(state, indices, priorities, hp)
        state = buffer.add(state, i * 2 + jnp.arange(1, 3))
        sample = buffer.sample(state, jax.random.fold_in(key, i), 4, hp)
        priorities = (sample.transitions % 7).astype(jnp.float32)
        return (state, sample.indices, priorities), sample

    start = buffer.init(), jnp.full((4,), -1, jnp.int32), jnp.zeros((4,))
    return jax.lax.scan(step, start, jnp.arange(steps))


def _lane(tree, i):
    return jax.tree.map(lambda x: x[i], tree)


def test_vmapped_seeds_are_single_runs(key):
    buffer = prioritized_replay(ID, 10, 2)
    run = lambda key: _loop(buffer, key, Exponents())
    keys = jax.random.split(key, 3)
    lanes, single = jax.jit(jax.vmap(run))(keys), jax.jit(run)
    for i in range(3):
        _assert_equal(single(keys[i]), _lane(lanes, i))


def test_exponents_are_leaves_that_compile_once_and_vmap(key):
    buffer = prioritized_replay(ID, 10, 2)
    traces = []

    def run(hp):
        traces.append(hp)
        return _loop(buffer, key, hp)

    grid = Exponents(jnp.array([0.0, 0.5, 1.0]), jnp.array([1.0, 0.4, 0.7]), jnp.full(3, 0.9))
    lanes = jax.jit(jax.vmap(run))(grid)
    single = jax.jit(run)
    for i in range(3):
        (state, *_), samples = single(_lane(grid, i))
        (lane_state, *_), lane_samples = _lane(lanes, i)
        np.testing.assert_array_equal(samples.indices, lane_samples.indices)
        np.testing.assert_allclose(samples.weights, lane_samples.weights, rtol=1e-6)
        np.testing.assert_allclose(_values(buffer, state), _values(buffer, lane_state), rtol=1e-6)
    assert len(traces) == 2
    assert np.any(lanes[1].indices[0] != lanes[1].indices[2])


def test_a_state_taken_apart_and_put_together_goes_on_bit_for_bit(key):
    buffer = prioritized_replay(ID, 6, 2)
    state = _set(buffer, _fill(buffer, 4), [0, 3, 5], [0.1, 7.0, 0.0])
    leaves, tree = jax.tree.flatten(state)
    restored = tree.unflatten([jnp.asarray(np.array(x)) for x in leaves])

    def go_on(state):
        drawn = _sample(buffer, state, key, 8)
        state = _set(buffer, state, drawn.indices, np.arange(8))
        state = _fill(buffer, 2, first=100, state=state)
        return state, drawn, _sample(buffer, state, key, 8)

    _assert_equal(go_on(restored), go_on(state))


# --- Memory


def _transition(frame, dtype=np.uint8):
    observation, flag = jax.ShapeDtypeStruct(frame, dtype), jax.ShapeDtypeStruct((), bool)
    scalar, action = jax.ShapeDtypeStruct((), np.float32), jax.ShapeDtypeStruct((), np.int8)
    return Transition(observation, action, scalar, flag, flag, observation)


@pytest.mark.parametrize("replay", [uniform_replay, prioritized_replay])
@pytest.mark.parametrize(
    ("example", "capacity", "num_envs", "frame_stack"),
    [
        (ID, 1, 1, 0),
        (ID, 300, 7, 0),
        (_transition((4,), np.float32), 33, 2, 0),
        (_transition((40, 40, 2)), 9, 1, 0),
        (_transition((40, 40, 2)), 9, 3, 2),
        (_transition((5, 3, 4)), 600, 2, 4),
    ],
)
def test_nbytes_is_the_memory_of_the_state(replay, example, capacity, num_envs, frame_stack):
    buffer = replay(example, capacity, num_envs, frame_stack=frame_stack)
    assert buffer.nbytes == sum(x.nbytes for x in jax.tree.leaves(buffer.init()))
    assert capacity <= buffer.capacity < capacity + num_envs
    assert buffer.prioritized == (replay is prioritized_replay)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"capacity": 0}, "capacity=0"),
        ({"num_envs": 0}, "num_envs=0"),
        ({"priority_epsilon": 0.0}, "priority_epsilon=0.0"),
        ({"priority_epsilon": -1.0}, "priority_epsilon=-1.0"),
        ({"capacity": 2**30}, f"capacity={2**30}"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        prioritized_replay(**({"example": ID, "capacity": 8} | arguments))


@pytest.mark.parametrize(
    ("frame_stack", "n_step", "num_envs", "masked", "lanes"),
    [(0, 1, 1, False, None), (0, 3, 4, True, None), (4, 3, 1, False, 3), (4, 1, 4, True, None)],
    ids=["plain", "n-step, masked", "frames, n-step, vmapped", "frames, masked"],
)
def test_a_loop_writes_tree_rows_and_frames_in_place(frame_stack, n_step, num_envs, masked, lanes):
    """The compiled loop of set, add and sample goes through no large array, and holds none twice."""
    example, capacity = _transition((20, 20, 4)), 1_000_000
    buffer = prioritized_replay(example, capacity, num_envs, n_step=n_step, frame_stack=frame_stack)
    valid = (jnp.arange(num_envs) % 2 == 0,) if masked else ()

    def body(carry, i):
        state, indices, priorities = carry
        item = jax.tree.map(lambda s: jnp.full((num_envs, *s.shape), i).astype(s.dtype), example)
        state = buffer.set_priorities(state, indices, priorities, Exponents())
        state = buffer.add(state, item, *valid)
        drawn = buffer.sample(state, jax.random.fold_in(jax.random.key(0), i), 8, Exponents())
        images = drawn.transitions.observation, drawn.transitions.next_observation
        priorities = drawn.weights + sum(jnp.mean(x, axis=(1, 2, 3)) for x in images)
        return (state, drawn.indices, priorities), drawn.transitions.reward

    run = lambda state: jax.lax.scan(body, (state, jnp.full((8,), -1), jnp.zeros((8,))), jnp.arange(100))
    state = jax.eval_shape(buffer.init)
    if lanes is not None:
        run = jax.vmap(run)
        state = jax.tree.map(lambda s: jax.ShapeDtypeStruct((lanes, *s.shape), s.dtype), state)
    compiled = jax.jit(run, donate_argnums=0).lower(state).compile()

    large = {str(n) for leaf in jax.tree.leaves(state) for n in leaf.shape if n > capacity // 32}
    assert str(capacity) in large
    pattern = re.compile(rf"= \S*\b({'|'.join(large)})\b\S* ([\w-]+)\(")
    operations = {match[2] for line in compiled.as_text().splitlines() if (match := pattern.search(line))}
    assert "parameter" in operations
    assert not operations & {"copy", "copy-start", "select", "concatenate", "transpose", "convert"}
    # The leaves of the tree alone are 4 MB.
    assert compiled.memory_analysis().temp_size_in_bytes < 1_000_000

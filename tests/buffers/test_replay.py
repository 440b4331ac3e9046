import re
from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxrl.buffers import batches
from jaxrl.buffers.replay import uniform_replay
from jaxrl.types import Transition

ID = jax.ShapeDtypeStruct((), np.int32)
"""The tests' item: a number that tells it from all others. Zero is never stored."""


def _transition(frame=(4,), dtype=np.float32):
    observation, flag = jax.ShapeDtypeStruct(frame, dtype), jax.ShapeDtypeStruct((), bool)
    scalar, action = jax.ShapeDtypeStruct((), np.float32), jax.ShapeDtypeStruct((), np.int8)
    return Transition(observation, action, scalar, flag, flag, observation)


def _sample(buffer, state, key, n):
    return jax.jit(buffer.sample, static_argnums=2)(state, key, n, None)


def _draw(buffer, state, key, n=4096):
    return np.asarray(_sample(buffer, state, key, n).transitions)


def _fill(buffer, num_envs, steps, valid=None):
    """Add 1, 2, 3 ... and keep the same in NumPy: a deque for each environment."""
    rings = [deque(maxlen=buffer.capacity // num_envs) for _ in range(num_envs)]
    add, state = jax.jit(buffer.add), buffer.init()
    for t in range(steps):
        ids = 1 + t * num_envs + np.arange(num_envs, dtype=np.int32)
        state = add(state, ids) if valid is None else add(state, ids, valid[t])
        for b in range(num_envs):
            if valid is None or valid[t, b]:
                rings[b].append(int(ids[b]))
    return state, sorted(i for ring in rings for i in ring)


def _assert_uniform(drawn, items):
    """Exactly these items are drawn, at frequencies that a chi-squared test finds uniform."""
    values, counts = np.unique(drawn, return_counts=True)
    np.testing.assert_array_equal(values, items)
    assert len(items) == 1 or stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("steps", [1, 3, 5, 6, 13])
@pytest.mark.parametrize("num_envs", [1, 3])
def test_exactly_the_last_items_are_drawn_uniformly(key, num_envs, steps):
    buffer = uniform_replay(ID, 5 * num_envs, num_envs)
    state, items = _fill(buffer, num_envs, steps)
    assert items == list(range(max(0, steps - 5) * num_envs + 1, steps * num_envs + 1))
    assert buffer.size(state) == len(items)
    _assert_uniform(_draw(buffer, state, key), items)


def test_a_batch_without_replacement_holds_nothing_twice(key):
    buffer = uniform_replay(ID, 12, 3, replacement=False)
    state, items = _fill(buffer, 3, 9)
    assert sorted(_draw(buffer, state, key, 12)) == items
    sample = jax.jit(jax.vmap(lambda key: buffer.sample(state, key, 5, None).transitions))
    drawn = np.asarray(sample(jax.random.split(key, 2_000)))
    assert all(len(set(row)) == 5 for row in drawn.tolist())
    assert sorted(set(drawn.ravel().tolist())) == items


def test_batches_see_what_is_added_meanwhile(key):
    buffer = uniform_replay(ID, 8)
    add, state = jax.jit(buffer.add), buffer.init()
    state = add(state, np.full(1, 1, np.int32))
    samples = batches(buffer, lambda: state, key, 64)
    assert set(np.asarray(next(samples).transitions).tolist()) == {1}
    state = add(state, np.full(1, 2, np.int32))
    first, second = (np.asarray(next(samples).transitions) for _ in range(2))
    assert set(first.tolist()) == set(second.tolist()) == {1, 2}
    assert np.any(first != second)


@pytest.mark.parametrize("steps", [3, 8, 40])
@pytest.mark.parametrize("num_envs", [1, 4])
def test_steps_that_are_not_valid_are_never_stored_and_destroy_nothing(rng, key, num_envs, steps):
    buffer = uniform_replay(ID, 6 * num_envs, num_envs)
    # From an environment whose steps are all valid to one that makes few.
    valid = rng.random((steps, num_envs)) < np.linspace(1.0, 0.3, num_envs)
    valid[-1] = False
    state, items = _fill(buffer, num_envs, steps, valid)
    assert buffer.size(state) == len(items)
    _assert_uniform(_draw(buffer, state, key), items)


def test_an_environment_that_stored_nothing_is_never_drawn(key):
    buffer = uniform_replay(ID, 12, 3)
    state, items = _fill(buffer, 3, 2, np.array([[True, False, True], [True, False, False]]))
    assert items == [1, 3, 4]
    _assert_uniform(_draw(buffer, state, key), items)


def test_an_all_valid_mask_is_no_mask(key):
    buffer = uniform_replay(ID, 6, 2)
    plain, _ = _fill(buffer, 2, 5)
    masked, _ = _fill(buffer, 2, 5, np.ones((5, 2), bool))
    jax.tree.map(np.testing.assert_array_equal, plain, masked)


def test_whole_transitions_come_back_with_their_dtypes(rng, key):
    example = {"frame": _transition((40, 40), np.uint8), "vector": _transition((3,), np.float16)}
    items = jax.tree.map(lambda s: rng.integers(0, 2, (8, 2, *s.shape)).astype(s.dtype), example)
    items = items | {"id": np.arange(16, dtype=np.int32).reshape(8, 2)}
    buffer = uniform_replay(example | {"id": ID}, 8, 2)
    state = jax.jit(lambda items: jax.lax.scan(lambda s, x: (buffer.add(s, x), None), buffer.init(), items)[0])(items)
    sample = _sample(buffer, state, key, 64)
    drawn = sample.transitions
    for got, want in zip(jax.tree.leaves(drawn), jax.tree.leaves(items), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want.reshape(16, *want.shape[2:])[drawn["id"]])
    assert {x.dtype for x in jax.tree.leaves(state) if x.ndim > 2} == {np.dtype(np.uint8)}


def test_a_sample_says_where_its_items_lie_and_weighs_them_alike(key):
    buffer = uniform_replay(ID, 9, 3)
    state, _ = _fill(buffer, 3, 3)
    sample = _sample(buffer, state, key, 200)
    places = {}
    for place, item in zip(np.asarray(sample.indices), np.asarray(sample.transitions), strict=True):
        assert 0 <= place < buffer.capacity
        assert places.setdefault(int(place), int(item)) == item
    assert len(set(places.values())) == len(places) == 9
    np.testing.assert_array_equal(sample.weights, np.ones(200))


def test_samples_depend_on_the_key_alone(key):
    buffer = uniform_replay(ID, 50)
    state, _ = _fill(buffer, 1, 50)
    one, again, other = (_draw(buffer, state, k, 32) for k in (key, key, jax.random.key(1)))
    np.testing.assert_array_equal(one, again)
    assert np.any(one != other)


def test_priorities_mean_nothing_to_uniform_replay(key):
    buffer = uniform_replay(ID, 4)
    state, _ = _fill(buffer, 1, 2)
    after = buffer.set_priorities(state, jnp.array([0]), jnp.array([9.0]), None)
    jax.tree.map(np.testing.assert_array_equal, state, after)


def test_an_interruption_truncates_the_newest_transition_of_each_environment(key):
    buffer = uniform_replay(_transition(), 6, 2)
    state, add = buffer.init(), jax.jit(buffer.add)
    item = lambda i: Transition(*(jnp.full((2, *s.shape), i, s.dtype) for s in _transition()))
    for i in range(5):
        if i in (0, 4):
            state = buffer.interrupt(state)
        state = add(state, item(i)._replace(terminated=jnp.zeros(2, bool), truncated=jnp.zeros(2, bool)))
    drawn = _sample(buffer, state, key, 64).transitions
    np.testing.assert_array_equal(np.unique(drawn.action), [2, 3, 4])
    np.testing.assert_array_equal(drawn.truncated, drawn.action == 3)
    np.testing.assert_array_equal(drawn.reward, drawn.action)


def test_an_item_that_is_no_transition_knows_no_interruption():
    buffer = uniform_replay(ID, 4)
    state, _ = _fill(buffer, 1, 2)
    jax.tree.map(np.testing.assert_array_equal, buffer.interrupt(state), state)


def test_capacity_is_rounded_up_to_whole_steps_and_memory_is_counted():
    buffer = uniform_replay(_transition(), 10, 4)
    assert buffer.capacity == 12
    # A cache line each, and where each of 4 rings stands: two numbers.
    assert buffer.nbytes == 12 * 64 + 4 * 8
    frames = uniform_replay(_transition((84, 84), np.uint8), 10)
    state = frames.init()
    assert frames.nbytes == 10 * (2 * 84 * 84 + 4 * 4) + 8 == sum(x.nbytes for x in jax.tree.leaves(state))
    assert not any(np.any(x) for x in jax.tree.leaves(state))
    assert frames.size(state) == 0


@pytest.mark.parametrize(
    ("capacity", "num_envs", "message"),
    [(0, 1, "capacity=0"), (-3, 1, "capacity=-3"), (2**30, 1, "2^30"), (8, 0, "num_envs=0")],
)
def test_numbers_out_of_range_are_refused(capacity, num_envs, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        uniform_replay(ID, capacity, num_envs)


def test_a_vmapped_buffer_is_the_single_one(rng, key):
    buffer = uniform_replay(ID, 6, 2)
    valid = rng.random((3, 9, 2)) < 0.6
    singles = [_fill(buffer, 2, 9, v)[0] for v in valid]
    ids = 1 + np.arange(18, dtype=np.int32).reshape(9, 2)

    def run(valid):
        return jax.lax.scan(lambda s, x: (buffer.add(s, *x), None), buffer.init(), (ids, valid))[0]

    lanes = jax.jit(jax.vmap(run))(valid)
    drawn = jax.jit(jax.vmap(lambda s: buffer.sample(s, key, 16, None).transitions))(lanes)
    for i, single in enumerate(singles):
        jax.tree.map(np.testing.assert_array_equal, single, jax.tree.map(lambda x, i=i: x[i], lanes))
        np.testing.assert_array_equal(drawn[i], _draw(buffer, single, key, 16))


@pytest.mark.parametrize(
    ("example", "num_envs", "masked", "lanes"),
    [
        (_transition(), 1, False, None),
        (_transition(), 4, False, None),
        (_transition(), 4, True, None),
        (_transition(), 4, True, 3),
        (_transition((40, 40), np.uint8), 4, True, None),
        (_transition((40, 40), np.uint8), 1, False, 3),
    ],
    ids=["one environment", "four", "masked", "masked, vmapped", "images, masked", "images, vmapped"],
)
def test_a_loop_writes_the_buffer_in_place(example, num_envs, masked, lanes):
    """The compiled loop of add and sample holds no second buffer and copies none, at any capacity."""

    def temporary_bytes(capacity):
        buffer = uniform_replay(example, capacity, num_envs)
        item = jax.tree.map(lambda s: jnp.ones((num_envs, *s.shape), s.dtype), example)
        valid = (jnp.arange(num_envs) % 2 == 0,) if masked else ()

        def body(i, carry):
            state, total = carry
            state = buffer.add(state, item, *valid)
            drawn = buffer.sample(state, jax.random.fold_in(jax.random.key(0), i), 8, None).transitions
            return state, total + jnp.sum(drawn.reward) + jnp.sum(drawn.observation)

        run = lambda state, total, n: jax.lax.fori_loop(0, n, body, (state, total))
        state, total = jax.eval_shape(lambda: (buffer.init(), jnp.zeros(())))
        if lanes is not None:
            run = jax.vmap(run, (0, 0, None))
            state, total = jax.tree.map(lambda s: jax.ShapeDtypeStruct((lanes, *s.shape), s.dtype), (state, total))
        compiled = jax.jit(run, donate_argnums=0).lower(state, total, jax.ShapeDtypeStruct((), np.int32)).compile()
        copies = [line for line in compiled.as_text().splitlines() if re.search(rf"= \S*\b{capacity}\b\S* copy", line)]
        assert not copies
        return compiled.memory_analysis().temp_size_in_bytes

    small, large = temporary_bytes(2_000), temporary_bytes(1_000_000)
    assert small == large < 1_000_000

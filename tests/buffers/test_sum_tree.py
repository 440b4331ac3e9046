import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from jaxrl.buffers import sum_tree
from jaxrl.buffers.sum_tree import FAN_OUT, LARGEST

set_, find, total = jax.jit(sum_tree.set), jax.jit(sum_tree.find), jax.jit(sum_tree.total)
stratified = jax.jit(sum_tree.stratified)

CAPACITIES = [1, FAN_OUT - 1, FAN_OUT, FAN_OUT + 1, FAN_OUT**2 + FAN_OUT + 2]
BATCH = 6
LENGTH = FAN_OUT**2 + 3
"""Items of a tree of three levels."""

integers = st.integers(0, 1000)
"""Values whose sums float32 holds exactly, in any order."""
floats = st.one_of(st.just(0.0), st.floats(-12, 12).map(lambda x: 10.0**x))


def _tree(values):
    values = np.asarray(values, np.float32)
    return set_(sum_tree.init(len(values)), np.arange(len(values), dtype=np.int32), values)


def _leaves(tree, capacity):
    return np.asarray(tree.levels[-1])[:capacity]


def _find(tree, masses):
    return np.asarray(find(tree, np.asarray(masses, np.float32)))


def _assert_sums_of_children(tree):
    """Every parent is the sum of its children, bit for bit."""
    levels = [np.asarray(level) for level in tree.levels]
    for parents, children in zip(levels[:-1], levels[1:], strict=True):
        sums = children.reshape(-1, FAN_OUT).sum(axis=1)
        np.testing.assert_array_equal(parents[: len(sums)], sums)
        assert not parents[len(sums) :].any()
    assert total(tree) == levels[0].sum()


# --- Setting


@pytest.mark.parametrize("capacity", CAPACITIES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_after_any_sets_every_parent_is_the_sum_of_its_children(capacity, data):
    # Beyond the items on both sides.
    beyond = [-(2**31), -LARGEST, -capacity, -1, capacity + FAN_OUT, LARGEST - 1, LARGEST, 2**31 - 1]
    index = st.one_of(st.integers(0, capacity - 1), st.sampled_from(beyond))
    batch = st.lists(st.tuples(index, integers), min_size=BATCH, max_size=BATCH)
    tree, expected = sum_tree.init(capacity), np.zeros(capacity, np.float32)
    for sets in data.draw(st.lists(batch, min_size=1, max_size=8)):
        indices, values = (np.array(x) for x in zip(*sets, strict=True))
        tree = set_(tree, indices.astype(np.int32), values.astype(np.float32))
        for i, value in sets:
            if 0 <= i < capacity:
                expected[i] = value  # of duplicates the last
        np.testing.assert_array_equal(_leaves(tree, capacity), expected)
        _assert_sums_of_children(tree)
        assert total(tree) == expected.sum()


def test_the_levels_are_wide_enough_for_their_children_and_no_wider():
    widths = lambda capacity: [level.size for level in sum_tree.init(capacity).levels]
    assert widths(1) == widths(FAN_OUT) == [FAN_OUT]
    assert widths(FAN_OUT + 1) == [FAN_OUT, 2 * FAN_OUT]
    assert widths(FAN_OUT**2) == [FAN_OUT, FAN_OUT**2]
    assert widths(FAN_OUT**2 + 1) == [FAN_OUT, 2 * FAN_OUT, (FAN_OUT + 1) * FAN_OUT]


@pytest.mark.parametrize("capacity", [0, -1, LARGEST + 1])
def test_a_capacity_out_of_range_is_refused(capacity):
    with pytest.raises(ValueError, match=re.escape(f"capacity={capacity}")):
        sum_tree.init(capacity)


@pytest.mark.parametrize("indices", [[-1], [LARGEST], [LARGEST, -LARGEST]])
def test_the_index_of_no_item_is_none_in_the_fullest_tree(monkeypatch, indices):
    # The largest capacity that there may be, made small.
    small = FAN_OUT**3 // 4
    monkeypatch.setattr(sum_tree, "LARGEST", small)
    set_ = jax.jit(lambda *x: sum_tree.set(*x))
    tree = set_(sum_tree.init(small), jnp.arange(small), jnp.ones(small))
    after = set_(tree, np.clip(indices, -small, small).astype(np.int32), np.full(len(indices), 7.0))
    jax.tree.map(np.testing.assert_array_equal, after, tree)


def test_values_of_integers_and_reads_of_single_items():
    tree = set_(sum_tree.init(5), jnp.array([4, 0]), jnp.array([3, 2]))
    np.testing.assert_array_equal(sum_tree.get(tree, jnp.arange(5)), [2, 0, 0, 0, 3])
    tree = set_(tree, jnp.array([4]), jnp.array([0.5]))
    np.testing.assert_array_equal(sum_tree.get(tree, jnp.array([4, 0, 4])), [0.5, 2, 0.5])
    assert total(tree) == 2.5


# --- Finding


def test_find_by_hand():
    # Shares [0, 2), [2, 5), [5, 6) of the items 1, 3 and 4; the others have none.
    tree = _tree([0, 2, 0, 3, 1, 0])
    below = np.nextafter(np.float32([2, 5, 6]), np.float32(0))
    np.testing.assert_array_equal(_find(tree, [0, 1, below[0]]), [1, 1, 1])
    np.testing.assert_array_equal(_find(tree, [2, 3, below[1]]), [3, 3, 3])
    np.testing.assert_array_equal(_find(tree, [5, 5.5, below[2]]), [4, 4, 4])
    np.testing.assert_array_equal(_find(tree, [6, 7, np.inf]), [4, 4, 4])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.just(0), integers), min_size=LENGTH, max_size=LENGTH))
def test_a_mass_at_a_border_finds_the_item_that_begins_there(values):
    ends = np.cumsum(values)
    assume(ends[-1] > 0)
    tree = _tree(values)
    inside = np.concatenate([ends, ends - 0.5, ends - 1])
    inside = np.where((inside >= 0) & (inside < ends[-1]), inside, 0)
    np.testing.assert_array_equal(_find(tree, inside), np.searchsorted(ends, inside, side="right"))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(floats, min_size=LENGTH, max_size=LENGTH),
    st.lists(st.floats(0, 1), min_size=BATCH, max_size=BATCH),
    st.sampled_from([slice(0, 0), slice(0, FAN_OUT + 1), slice(5, -5), slice(-FAN_OUT - 4, None), slice(1, None, 2)]),
)
def test_an_item_of_value_zero_is_never_found(values, fractions, zeros):
    values = np.array(values, np.float32)
    values[zeros] = 0
    assume(values.any())
    tree = _tree(values)
    whole = np.float32(total(tree))
    masses = np.concatenate([np.float32(fractions) * whole, np.float32([1, 1 + 2**-23, 2, np.inf]) * whole])
    found = _find(tree, masses)
    assert np.all(values[found] > 0)
    # And it is the right one, but for the rounding of the totals.
    after = np.cumsum(values.astype(np.float64))
    before, slack = after - values, 1e-6 * after[-1]
    inside = masses <= whole
    assert np.all(masses[inside] >= before[found[inside]] - slack)
    assert np.all(masses[inside] <= after[found[inside]] + slack)


@pytest.mark.parametrize("only", [0, 1, FAN_OUT - 1, FAN_OUT, LENGTH // 2, LENGTH - 1])
def test_the_only_item_is_always_found(only):
    values = np.zeros(LENGTH)
    values[only] = 0.1
    tree = _tree(values)
    masses = np.concatenate([np.linspace(0, 0.1, 20), [0.2, 1e30, np.inf]])
    np.testing.assert_array_equal(_find(tree, masses), np.full(23, only))


# --- Sampling


def test_stratified_draws_one_item_from_each_equal_share():
    tree = _tree([1, 1, 2, 4])
    share = lambda place: np.asarray(stratified(tree, jnp.full((8,), place))).tolist()
    assert share(0.0) == share(0.5) == share(0.999) == [0, 1, 2, 2, 3, 3, 3, 3]


def test_items_are_drawn_in_proportion_to_their_values(rng, key):
    values = rng.gamma(0.5, size=LENGTH) + 0.01
    values[::3] = 0
    tree, shares = _tree(values), values / values.sum()
    # Draws of one share, the whole, are independent.
    uniforms = jax.random.uniform(key, (50_000, 1))
    draws = jax.jit(jax.vmap(sum_tree.stratified, (None, 0)))(tree, uniforms)
    counts = np.bincount(np.ravel(draws), minlength=LENGTH)
    assert not counts[::3].any()
    drawn = values > 0
    assert stats.chisquare(counts[drawn], shares[drawn] * counts.sum()).pvalue > 1e-3


def test_stratified_counts_are_within_two_of_their_expectation(rng, key):
    values = rng.gamma(0.5, size=LENGTH)
    counts = np.bincount(stratified(_tree(values), jax.random.uniform(key, (5000,))), minlength=LENGTH)
    assert np.all(np.abs(counts - 5000 * values / values.sum()) < 2 + 1e-2)


def test_a_vmapped_tree_is_the_single_one(rng, key):
    indices = rng.integers(-3, LENGTH + 3, (3, 4, BATCH)).astype(np.int32)
    values = rng.gamma(1.0, size=indices.shape).astype(np.float32)

    def run(indices, values, key):
        tree = jax.lax.scan(lambda t, x: (sum_tree.set(t, *x), None), sum_tree.init(LENGTH), (indices, values))[0]
        return tree, sum_tree.total(tree), sum_tree.stratified(tree, jax.random.uniform(key, (16,)))

    keys = jax.random.split(key, 3)
    lanes = jax.jit(jax.vmap(run))(indices, values, keys)
    run = jax.jit(run)
    for i in range(3):
        single = run(indices[i], values[i], keys[i])
        jax.tree.map(np.testing.assert_array_equal, single, jax.tree.map(lambda x, i=i: x[i], lanes))


# --- Drift


@pytest.mark.parametrize(
    ("capacity", "batch", "steps"),
    [(1000, 100, 1000), pytest.param(100_000, 1000, 10_000, marks=pytest.mark.slow)],
    ids=["1e5 updates", "1e7 updates"],
)
def test_the_total_does_not_drift(key, capacity, batch, steps):
    def step(tree, i):
        index_key, value_key = jax.random.split(jax.random.fold_in(key, i))
        indices = jax.random.randint(index_key, (batch,), 0, capacity)
        # Over eight orders of magnitude: what is subtracted from a large total would leave its rounding behind.
        values = 10.0 ** jax.random.uniform(value_key, (batch,), minval=-4.0, maxval=4.0)
        return sum_tree.set(tree, indices, values), None

    tree = jax.jit(lambda tree: jax.lax.scan(step, tree, jnp.arange(steps))[0], donate_argnums=0)(
        sum_tree.init(capacity)
    )
    leaves = _leaves(tree, capacity).astype(np.float64)
    assert leaves.all()
    np.testing.assert_allclose(total(tree), leaves.sum(), rtol=1e-6)
    # Small values come out of large ones whole.
    tree = set_(tree, jnp.arange(capacity), jnp.full(capacity, 1e-4))
    np.testing.assert_allclose(total(tree), capacity * 1e-4, rtol=1e-6)
    assert total(set_(tree, jnp.arange(capacity), jnp.zeros(capacity))) == 0


def test_what_is_found_in_an_empty_tree_is_an_item():
    tree = sum_tree.init(1000)
    found = sum_tree.stratified(tree, jnp.linspace(0, 1, 64, endpoint=False))
    assert found.min() >= 0 and found.max() < tree.levels[-1].size


def test_extremes_are_of_what_is_not_zero():
    tree = sum_tree.init(40)
    assert tuple(map(float, sum_tree.extremes(tree))) == (float("inf"), 0.0)
    tree = sum_tree.set(tree, jnp.array([3, 17, 39]), jnp.array([0.5, 2.0, 0.25]))
    assert tuple(map(float, sum_tree.extremes(tree))) == (0.25, 2.0)

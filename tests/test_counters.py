import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.counters import Counter


def _counter(n):
    return Counter(jnp.asarray(n & 0xFFFFFFFF, jnp.uint32), jnp.asarray(n >> 32, jnp.uint32))


def test_it_starts_at_zero():
    assert int(Counter.zero()) == 0


@pytest.mark.parametrize(
    ("start", "n"),
    [
        (0, 0),
        (5, 7),
        (2**31 - 1, 1),
        (2**32 - 3, 2),
        (2**32 - 3, 3),
        (2**32 - 3, 5),
        (2**32 - 1, 2**32 - 1),
        (2**40 - 1, 1),
        (7, 2**31),
    ],
)
def test_it_counts_beyond_32_bits(start, n):
    for count in (n, np.uint32(n)):
        assert int(_counter(start).add(count)) == start + n
    assert int(jax.jit(Counter.add)(_counter(start), jnp.asarray(n, jnp.uint32))) == start + n


def test_many_additions_are_exact(rng):
    increments = rng.integers(0, 2**32, 500, dtype=np.uint32)
    count, _ = jax.jit(lambda xs: jax.lax.scan(lambda c, x: (c.add(x), None), Counter.zero(), xs))(increments)
    assert int(count) == sum(int(x) for x in increments) > 2**39


def test_signed_increments_are_taken_too():
    assert int(_counter(2**32 - 1).add(jnp.asarray(4, jnp.int32))) == 2**32 + 3


@pytest.mark.parametrize("n", [0, 1, 2**24, 2**32, 2**32 + 2**20, 3 * 2**40])
def test_as_float_is_the_count(n):
    assert _counter(n).as_float() == np.float32(n)
    assert _counter(n).as_float().dtype == jnp.float32


def test_a_batch_of_counters():
    counts = [2**32 - 1, 5, 2**33 + 1]
    batch = jax.tree.map(lambda *x: jnp.stack(x), *[_counter(n) for n in counts])
    after = jax.vmap(lambda c, n: c.add(n))(batch, jnp.array([1, 2, 3]))
    assert [int(Counter(*lane)) for lane in zip(*after, strict=True)] == [2**32, 7, 2**33 + 4]

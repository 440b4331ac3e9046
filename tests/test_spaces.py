import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import spaces as jax_spaces

SPACES = {
    "box": spaces.Box(np.array([-1, 0], np.float32), np.array([1, 10], np.float32)),
    "unbounded": spaces.Box(np.array([-np.inf, 0], np.float32), np.array([np.inf, np.inf], np.float32)),
    "byte": spaces.Box(0, 255, (2, 3), np.uint8),
    "integer": spaces.Box(-3, 3, (2,), np.int32),
    "discrete": spaces.Discrete(3, start=2),
    "multi-discrete": spaces.MultiDiscrete([2, 4], start=[0, 1]),
    "matrix of discrete": spaces.MultiDiscrete([[2, 3], [2, 2]]),
    "multi-binary": spaces.MultiBinary(3),
    "dict": spaces.Dict({"b": spaces.Discrete(2), "a": spaces.Box(-1, 1, (2,))}),
    "tuple": spaces.Tuple((spaces.Discrete(2), spaces.MultiBinary(2))),
}


def rows(tree, i):
    return jax.tree.map(lambda x: np.asarray(x[i]), tree)


@pytest.mark.parametrize("name", SPACES)
def test_samples_are_elements(name, key):
    space = SPACES[name]
    batch = jax_spaces.sample(space, key, (64,))
    wide = jax.tree.map(
        lambda x: x.astype(np.int64) if x.dtype == np.int32 and name != "integer" else x, jax.device_get(batch)
    )
    for i in range(64):
        assert space.contains(rows(wide, i)), rows(wide, i)
        assert jax_spaces.contains(space, rows(batch, i))
    assert jax.tree.structure(jax_spaces.zeros(space)) == jax.tree.structure(rows(batch, 0))
    assert [x.dtype for x in jax.tree.leaves(jax_spaces.zeros(space))] == [x.dtype for x in jax.tree.leaves(batch)]


@pytest.mark.parametrize("name", SPACES)
def test_features_have_the_promised_size(name, key):
    space = SPACES[name]
    size = jax_spaces.flat_size(space)
    one, batch = jax_spaces.sample(space, key), jax_spaces.sample(space, key, (5, 4))
    assert jax_spaces.flatten(space, one).shape == (size,)
    features = jax.jit(lambda x: jax_spaces.flatten(space, x))(batch)
    assert features.shape == (5, 4, size)
    assert features.dtype == jnp.float32
    alone = jax_spaces.flatten(space, jax.tree.map(lambda x: x[2, 3], batch))
    np.testing.assert_allclose(features[2, 3], alone)


def test_features_by_hand():
    flatten = lambda name, x: jax_spaces.flatten(SPACES[name], x).tolist()
    assert flatten("discrete", jnp.int32(3)) == [0, 1, 0]
    assert flatten("multi-discrete", jnp.array([1, 4])) == [0, 1, 0, 0, 0, 1]
    assert flatten("matrix of discrete", jnp.array([[0, 2], [1, 0]])) == [1, 0, 0, 0, 1, 0, 1, 1, 0]
    assert flatten("multi-binary", jnp.array([1, 0, 1], jnp.int8)) == [1, 0, 1]
    assert flatten("dict", {"a": jnp.array([0.5, -0.5]), "b": jnp.int32(1)}) == [0.5, -0.5, 0, 1]
    assert flatten("tuple", (jnp.int32(0), jnp.array([0, 1]))) == [1, 0, 0, 1]
    assert flatten("byte", jnp.full((2, 3), 255, jnp.uint8)) == [1] * 6


def test_integers_are_drawn_up_to_both_bounds(key):
    drawn = jax_spaces.sample(SPACES["integer"], key, (500,))
    assert set(np.unique(drawn)) == set(range(-3, 4))
    drawn = jax_spaces.sample(SPACES["byte"], key, (2000,))
    assert (drawn.min(), drawn.max(), drawn.dtype) == (0, 255, jnp.uint8)


def test_samples_are_uniform(key):
    drawn = jax_spaces.sample(SPACES["box"], key, (4000,))
    np.testing.assert_allclose(drawn.mean(axis=0), [0, 5], atol=0.15)
    np.testing.assert_allclose(drawn.var(axis=0), [4 / 12, 100 / 12], rtol=0.1)
    counts = np.bincount(jax_spaces.sample(SPACES["discrete"], key, (3000,)))
    np.testing.assert_allclose(counts, [0, 0, 1000, 1000, 1000], atol=120)


@pytest.mark.parametrize(
    ("name", "outside"),
    [
        ("box", jnp.array([0.0, 10.1])),
        ("unbounded", jnp.array([0.0, -0.1])),
        ("integer", jnp.array([0, 4])),
        ("discrete", jnp.int32(1)),
        ("multi-discrete", jnp.array([0, 5])),
        ("multi-binary", jnp.array([0, 2, 0])),
        ("dict", {"a": jnp.zeros(2), "b": jnp.int32(2)}),
        ("tuple", (jnp.int32(2), jnp.zeros(2))),
    ],
)
def test_what_lies_outside(name, outside):
    assert not jax_spaces.contains(SPACES[name], outside)


def test_rounding_is_not_outside():
    assert jax_spaces.contains(SPACES["box"], jnp.array([1.0 + 1e-6, 10.0 + 1e-5]))


def test_unsupported_spaces_are_named():
    for function in (jax_spaces.flat_size, jax_spaces.zeros, lambda s: jax_spaces.sample(s, jax.random.key(0))):
        with pytest.raises(TypeError, match=r"does not support the space Text.*; use Box"):
            function(spaces.Text(3))


def test_a_box_of_no_numbers_is_no_action_space():
    with pytest.raises(ValueError, match=r"action_space=.*has no numbers to choose"):
        jax_spaces.canonical(spaces.Box(-1, 1, (0,)))

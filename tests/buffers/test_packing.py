import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.buffers.packing import LARGEST_PACKED_FIELD, Packing

DTYPES = [np.bool_, np.uint8, np.int8, np.uint16, np.int16, np.int32, np.uint32, np.float16, jnp.bfloat16, np.float32]


def _random_bits(rng, shape, dtype):
    """Every bit pattern of a dtype, infinities and all kinds of NaN among them."""
    if dtype == np.bool_:
        return rng.integers(0, 2, shape).astype(bool)
    dtype = np.dtype(dtype)
    return rng.integers(0, 256, (*shape, dtype.itemsize), dtype=np.uint8).view(dtype)[..., 0]


def _bits(x):
    return np.ascontiguousarray(x).view(np.uint8)


def _round_trip(example, items):
    packing = Packing(example)
    # The code generator of the quick tests does not keep the bits of a NaN of bfloat16; the one that users have does.
    older = "xla_cpu_use_fusion_emitters" in os.environ.get("XLA_FLAGS", "")
    options = {"xla_cpu_use_fusion_emitters": True} if older else {}
    return packing, jax.jit(lambda items: packing.unpack(*packing.pack(items)), compiler_options=options)(items)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_every_bit_of_every_dtype_comes_back(rng, dtype):
    shapes = {"scalar": (), "one": (1,), "odd": (3,), "table": (2, 5), "words": (4,)}
    items = {name: _random_bits(rng, (6, *shape), dtype) for name, shape in shapes.items()}
    _, got = _round_trip({name: jax.ShapeDtypeStruct(shape, dtype) for name, shape in shapes.items()}, items)
    for name, item in items.items():
        assert got[name].dtype == item.dtype
        np.testing.assert_array_equal(_bits(got[name]), _bits(item))


def test_mixed_fields_keep_their_tree_and_do_not_touch_each_other(rng):
    items = tuple(
        {"x": _random_bits(rng, (5, i + 1), d), "y": _random_bits(rng, (5,), d)} for i, d in enumerate(DTYPES)
    )
    packing, got = _round_trip(jax.tree.map(lambda x: x[0], items), items)
    assert jax.tree.structure(got) == jax.tree.structure(items)
    jax.tree.map(lambda g, w: np.testing.assert_array_equal(_bits(g), _bits(w)), got, items)
    assert packing.apart_shapes() == []


def test_images_are_kept_apart_in_their_own_dtype(rng):
    example = {
        "frame": jax.ShapeDtypeStruct((84, 84), np.uint8),
        "largest": jax.ShapeDtypeStruct((LARGEST_PACKED_FIELD,), np.uint8),
        "reward": jax.ShapeDtypeStruct((), np.float32),
    }
    items = {name: _random_bits(rng, (3, *s.shape), s.dtype) for name, s in example.items()}
    packing = Packing(example)
    rows, apart = packing.pack(items)
    assert [(x.shape, x.dtype) for x in apart] == [((3, 84, 84), np.uint8)]
    assert [(s.shape, s.dtype) for s in packing.apart_shapes()] == [((84, 84), np.uint8)]
    # 256 words of bytes and one of the reward, in whole cache lines of 16 words.
    assert rows.shape == (3, 272)
    assert rows.dtype == np.uint32
    assert packing.item_bytes == 272 * 4 + 84 * 84
    got = packing.unpack(rows, apart)
    jax.tree.map(lambda g, w: np.testing.assert_array_equal(_bits(g), _bits(w)), got, items)


@pytest.mark.parametrize(
    ("num_floats", "words"), [(1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (15, 16), (16, 16), (17, 32), (33, 48)]
)
def test_rows_are_powers_of_two_up_to_a_cache_line_then_whole_cache_lines(num_floats, words):
    packing = Packing(jax.ShapeDtypeStruct((num_floats,), np.float32))
    rows, _ = packing.pack(jnp.ones((2, num_floats)))
    assert rows.shape == (2, words)
    assert packing.item_bytes == 4 * words


def test_a_cartpole_transition_fills_one_cache_line():
    observation = jax.ShapeDtypeStruct((4,), np.float32)
    flag, scalar = jax.ShapeDtypeStruct((), bool), jax.ShapeDtypeStruct((), np.float32)
    assert Packing((observation, scalar, scalar, flag, flag, observation)).item_bytes == 64


def test_an_item_without_packed_fields():
    example = jax.ShapeDtypeStruct((500,), np.float32)
    items = np.arange(1000, dtype=np.float32).reshape(2, 500)
    _, got = _round_trip(example, items)
    np.testing.assert_array_equal(got, items)


def test_64_bit_fields_have_the_dtype_that_jax_gives_them():
    items = {"action": np.array([[1], [-2]], np.int64), "x": np.array([0.5, 2.0])}
    _, got = _round_trip(jax.tree.map(lambda x: x[0], items), items)
    assert got["action"].dtype == jnp.int32
    assert got["x"].dtype == jnp.float32
    np.testing.assert_array_equal(got["action"], items["action"])
    np.testing.assert_array_equal(got["x"], items["x"])


def test_an_empty_field():
    items = {"nothing": np.zeros((2, 0), np.float32), "x": np.array([1, 2], np.uint8)}
    _, got = _round_trip(jax.tree.map(lambda x: x[0], items), items)
    assert got["nothing"].shape == (2, 0)
    np.testing.assert_array_equal(got["x"], items["x"])


@pytest.mark.parametrize("shape", [(4, 1), (4, 2), (4, 3, 1)])
def test_another_shape_than_the_examples_is_refused(shape):
    packing = Packing({"reward": jax.ShapeDtypeStruct((), np.float32)})
    with pytest.raises(ValueError, match="reward"):
        packing.pack({"reward": jnp.zeros(shape)})

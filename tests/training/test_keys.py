import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.counters import Counter
from jaxrl.training.keys import Purpose, key_for

COUNTS = [0, 1, 2, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**33, 2**55]


def _counter(n):
    return Counter(jnp.asarray(n & 0xFFFFFFFF, jnp.uint32), jnp.asarray(n >> 32, jnp.uint32))


def _data(key):
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_every_purpose_and_every_count_has_a_key_of_its_own(key):
    keys = [_data(key)] + [_data(key_for(key, p)) for p in Purpose]
    keys += [_data(key_for(key, p, _counter(n))) for p in Purpose for n in COUNTS]
    assert len(set(keys)) == 1 + len(Purpose) * (1 + len(COUNTS))


def test_a_key_depends_on_the_count_not_on_the_way_to_it(key):
    counted = _counter(2**32 - 1).add(2)
    assert _data(key_for(key, Purpose.COLLECT, counted)) == _data(key_for(key, Purpose.COLLECT, _counter(2**32 + 1)))
    assert _data(jax.jit(key_for, static_argnums=1)(key, Purpose.COLLECT, counted)) == _data(
        key_for(key, Purpose.COLLECT, counted)
    )


def test_purposes_are_never_renumbered():
    """A saved run would go on with other random numbers."""
    assert {p.name: int(p) for p in Purpose} == {
        "INIT": 0, "RESET": 1, "PREFILL": 2, "COLLECT": 3, "UPDATE": 4, "EVALUATE": 5,
    }  # fmt: skip

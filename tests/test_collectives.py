"""Gradients by what all devices share; ``tests/algorithms/test_one_agent_over_devices.py`` has whole updates."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jaxrl.collectives import _differs, as_own


def test_shared_numbers_become_each_devices_own_where_the_data_are(key):
    """Only by numbers of its own is a device's gradient left unsummed."""
    seen = {}

    def on_each(shared, data):
        seen["before"], seen["after"] = (
            _differs(x, "devices") for x in (shared["w"], as_own(shared, "devices", data)["w"])
        )
        seen["shared data"] = _differs(as_own(shared, "devices", shared)["w"], "devices")
        seen["alone"] = as_own(shared, None, data) is shared
        return as_own(shared, "devices", data)["w"] * data

    mesh = Mesh(np.array(jax.devices()[:1]), ("devices",))
    mapped = jax.shard_map(on_each, mesh=mesh, in_specs=(P(), P("devices")), out_specs=P("devices"))
    np.testing.assert_array_equal(jax.jit(mapped)({"w": jnp.float32(2)}, jnp.arange(3.0)), [0, 2, 4])
    assert seen == {"before": False, "after": True, "shared data": False, "alone": True}


def test_under_vmap_nothing_changes():
    gradient = jax.grad(lambda w, x: jnp.sum(as_own(w, "lanes", x) * x))
    np.testing.assert_array_equal(jax.vmap(gradient, (None, 0), axis_name="lanes")(1.0, jnp.arange(3.0)), [0, 1, 2])

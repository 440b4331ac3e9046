"""One agent's numbers on several devices, along a named axis of ``vmap``, ``pmap`` or ``shard_map``."""

from __future__ import annotations

import jax

from jaxrl.types import PyTree


def as_own(shared: PyTree, axis_name: str | None, like: PyTree) -> PyTree:
    """What all devices share, as numbers of each one's own: to take gradients by that ``pmean`` then averages.

    ``jax.shard_map`` knows what is the same on all devices, and sums the gradients by it over them before anyone asks:
    their mean would be that sum, as many times too large as there are devices. With ``check_vma=False``, and under
    ``vmap`` and ``pmap``, nothing is known and nothing changes.

    Args:
        shared: such as parameters.
        axis_name: of the devices; None for one device.
        like: data of each device's own.
    """
    if axis_name is None or not any(_differs(x, axis_name) for x in jax.tree.leaves(like)):
        return shared
    return jax.tree.map(lambda x: x if _differs(x, axis_name) else jax.lax.pcast(x, axis_name, to="varying"), shared)


def _differs(x: jax.Array, axis_name: str) -> bool:
    kind = jax.typeof(x)
    varying = kind.vma if hasattr(kind, "vma") else kind.manual_axis_type.varying  # the latter since JAX 0.10
    return axis_name in varying

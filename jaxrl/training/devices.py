"""Seeds spread over devices.

Runs with different seeds share nothing, so each device gets its part of the leading axis and works
without communication. On a CPU one XLA device uses little more than one core for programs like these;
``use_cpu_devices`` makes as many devices as there are cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jaxrl.threads import available_cores, jax_is_in_use, set_pool_size

AXIS = "seeds"


def use_cpu_devices(count: int | None = None, *, large: bool = False) -> None:
    """Split the CPU into ``count`` devices (default: one a core). Call it before anything uses JAX.

    It also sizes XLA's thread pool, by the environment variable ``NPROC``, unless that is set already: two
    threads more than devices, if there are several. With one device, one thread is the fastest: the parts
    into which XLA would split these small operations are smaller than the cost of handing them over. Only
    ``large`` products are worth it, and then a thread a core: with batches of 256 and layers of 256 units,
    an update of SAC took 2.7 ms with two threads on two cores, 3.9 with one and 3.4 with four.

    Does nothing to accelerators, and nothing if the user chose a number in ``XLA_FLAGS`` himself.

    Raises:
        RuntimeError: if JAX has been used already.
    """
    if jax_is_in_use():
        raise RuntimeError("use_cpu_devices() must be called before JAX is used: move it to the start of the program")
    if "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        count = int(os.environ["XLA_FLAGS"].split("xla_force_host_platform_device_count=")[1].split()[0])
    else:
        count = count or available_cores()
        jax.config.update("jax_num_cpu_devices", count)
    alone = available_cores() if large else 1
    set_pool_size(alone if count == 1 else count + 2)


def compiler_options(platform: str | None = None) -> dict[str, Any]:
    """Options for ``jax.jit`` of a training program.

    On a CPU the costlier passes of LLVM took a third of the compile time of PPO and DQN, and the programs
    without them ran as fast. Other platforms keep their defaults.
    """
    if (platform or jax.default_backend()) != "cpu":
        return {}
    return {"xla_backend_optimization_level": 1, "xla_llvm_disable_expensive_passes": True}


def devices_for(num_lanes: int, devices: Sequence[jax.Device] | None = None) -> list[jax.Device]:
    """As many of the local devices as divide the lanes evenly."""
    devices = list(jax.local_devices() if devices is None else devices)
    return devices[: max(n for n in range(1, len(devices) + 1) if num_lanes % n == 0)]


def over_lanes(
    function: Callable[..., Any], num_lanes: int, in_axes: Sequence[Any], devices: Sequence[jax.Device] | None = None
) -> Callable[..., Any]:
    """``jax.vmap`` over a leading axis of ``num_lanes``, divided between the local devices.

    A device that holds a single lane runs it without ``vmap``, which is faster.

    Args:
        function: pure.
        num_lanes: size of the mapped axis.
        in_axes: 0 or None for each argument, or a pytree of them, as in ``jax.vmap``.
        devices: which to use; by default those of ``devices_for``.
    """
    devices = devices_for(num_lanes, devices)
    in_axes = tuple(in_axes)

    def local(*args: Any) -> Any:
        if num_lanes > len(devices):
            return jax.vmap(function, in_axes)(*args)
        squeezed = [
            jax.tree.map(
                lambda a, x: x if a is None else jax.tree.map(lambda y: y[0], x), axes, arg, is_leaf=lambda a: a is None
            )
            for axes, arg in zip(in_axes, args, strict=True)
        ]
        return jax.tree.map(lambda y: jax.numpy.asarray(y)[None], function(*squeezed))

    if len(devices) == 1:
        return local
    mesh = Mesh(np.array(devices), (AXIS,))
    spec = lambda axes: jax.tree.map(
        lambda a: PartitionSpec() if a is None else PartitionSpec(AXIS), axes, is_leaf=lambda a: a is None
    )
    return jax.shard_map(
        local, mesh=mesh, in_specs=tuple(spec(a) for a in in_axes), out_specs=PartitionSpec(AXIS), check_vma=False
    )

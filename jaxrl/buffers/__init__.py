"""Memory: arrays on the device, written in place."""

from jaxrl.buffers.packing import Packing
from jaxrl.buffers.replay import Buffer, ReplayState, uniform_replay

__all__ = ["Buffer", "Packing", "ReplayState", "uniform_replay"]

"""Set-up of the networks' tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import pytest


@pytest.fixture(scope="package", autouse=True)
def compiled_init() -> Iterator[None]:
    """Compile ``init`` of flax modules as one program: JAX would compile each of its primitives by itself."""
    plain = nn.Module.init

    def init(self: nn.Module, rngs: Any, *args: Any, **kwargs: Any) -> Any:
        return jax.jit(lambda rngs, args: plain(self, rngs, *args, **kwargs))(rngs, args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Module, "init", init)
        yield

"""Set-up of the networks' tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pytest


def _plain_arrays(tree: Any) -> bool:
    """True if all leaves are arrays, none of them traced."""
    leaves = jax.tree.leaves(tree)
    return all(isinstance(x, jax.Array | np.ndarray) and not isinstance(x, jax.core.Tracer) for x in leaves)


def _method(function: Any, name: str) -> Any:
    return lambda self, *args, **kwargs: function(name, self, *args, **kwargs)


@pytest.fixture(scope="package", autouse=True)
def compiled_modules() -> Iterator[None]:
    """Compile ``init`` and ``apply`` of flax modules as one program each, not primitive by primitive."""
    plain = {name: getattr(nn.Module, name) for name in ("init", "apply")}

    def compiled(name: str, self: nn.Module, first: Any, *args: Any, **kwargs: Any) -> Any:
        if not _plain_arrays((first, args)):
            return plain[name](self, first, *args, **kwargs)
        rngs = kwargs.pop("rngs", None)
        rngs = {} if rngs is None else {"rngs": rngs}
        return jax.jit(lambda first, args, rngs: plain[name](self, first, *args, **rngs, **kwargs))(first, args, rngs)

    with pytest.MonkeyPatch.context() as patch:
        for name in plain:
            patch.setattr(nn.Module, name, _method(compiled, name))
        yield

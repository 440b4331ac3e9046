"""Many small fields as one row of 32-bit words.

A replay buffer that keeps each field in an array of its own pays one cache miss a field for every
sampled transition. Packed, a small transition is one row of a few cache lines.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

PyTree = Any

LARGEST_PACKED_FIELD = 1024
"""Bytes above which a field (an image) keeps an array of its own: it fills cache lines by itself."""
ROW_ALIGNMENT = 16
"""Words: rows of a power of two up to one cache line of 64 bytes, then whole cache lines."""


class Field(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int
    """First word in the row; -1 for a field that is kept apart."""
    words: int


class Packing:
    """How the leaves of one item lie in a row. Made from an example; bits and dtypes are kept exactly.

    Args:
        example: a pytree of arrays or shapes: one item, without a batch axis.
        largest: bytes above which a field keeps an array of its own; None packs all that can be.
    """

    def __init__(self, example: PyTree, largest: int | None = LARGEST_PACKED_FIELD):
        leaves, self.treedef = jax.tree_util.tree_flatten_with_path(example)
        self.names = [jax.tree_util.keystr(path) for path, _ in leaves]
        self.fields: list[Field] = []
        offset = 0
        for _, leaf in leaves:
            shape, dtype = tuple(jnp.shape(leaf)), jax.dtypes.canonicalize_dtype(leaf.dtype)
            size = math.prod(shape) * dtype.itemsize
            if (largest is not None and size > largest) or dtype.itemsize > 4:
                self.fields.append(Field(shape, dtype, -1, 0))
                continue
            words = -(-size // 4)
            self.fields.append(Field(shape, dtype, offset, words))
            offset += words
        self.row_words = _round_up(offset)
        self.used_words = offset

    def pack(self, items: PyTree) -> tuple[jax.Array, list[jax.Array]]:
        """Items ``[B, ...]`` as rows ``[B, row_words]`` of uint32 and the fields that are kept apart.

        Raises:
            ValueError: if the items have other shapes than the example.
        """
        leaves = self.treedef.flatten_up_to(items)
        batch = leaves[0].shape[0]
        columns, apart = [], []
        for name, field, leaf in zip(self.names, self.fields, leaves, strict=True):
            if leaf.shape != (batch, *field.shape):
                expected = (batch, *field.shape)
                raise ValueError(f"item{name} has the shape {leaf.shape}: it must be {expected}, as in the example")
            leaf = leaf.astype(field.dtype)
            if field.offset < 0:
                apart.append(leaf)
            else:
                columns.append(_to_words(leaf.reshape(batch, -1), field.words))
        padding = self.row_words - self.used_words
        if padding or not columns:
            columns.append(jnp.zeros((batch, padding), jnp.uint32))
        return jnp.concatenate(columns, axis=1), apart

    def unpack(self, rows: jax.Array, apart: list[jax.Array]) -> PyTree:
        """The inverse of ``pack``."""
        apart = list(apart)
        leaves = []
        for field in self.fields:
            if field.offset < 0:
                leaves.append(apart.pop(0))
            else:
                words = rows[:, field.offset : field.offset + field.words]
                leaves.append(_from_words(words, field).reshape(rows.shape[0], *field.shape))
        return self.treedef.unflatten(leaves)

    def apart_shapes(self) -> list[jax.ShapeDtypeStruct]:
        """Shape and dtype of one item of each field that is kept apart."""
        return [jax.ShapeDtypeStruct(f.shape, f.dtype) for f in self.fields if f.offset < 0]

    @property
    def item_bytes(self) -> int:
        """Memory of one item, padding included."""
        return 4 * self.row_words + sum(math.prod(s.shape) * s.dtype.itemsize for s in self.apart_shapes())


def _round_up(words: int) -> int:
    if words >= ROW_ALIGNMENT:
        return -(-words // ROW_ALIGNMENT) * ROW_ALIGNMENT
    return 1 << max(0, words - 1).bit_length()


def _to_words(flat: jax.Array, words: int) -> jax.Array:
    if flat.dtype == bool:
        flat = flat.astype(jnp.uint8)
    per_word = 4 // flat.dtype.itemsize
    if per_word == 1:
        return jax.lax.bitcast_convert_type(flat, jnp.uint32)
    padding = words * per_word - flat.shape[1]
    flat = jnp.pad(flat, ((0, 0), (0, padding))).reshape(flat.shape[0], words, per_word)
    if flat.dtype != jnp.uint8:
        return jax.lax.bitcast_convert_type(flat, jnp.uint32)
    # What the bitcast would give, in a sixth of the time on a CPU.
    byte = flat.astype(jnp.uint32)
    return byte[..., 0] | byte[..., 1] << 8 | byte[..., 2] << 16 | byte[..., 3] << 24


def _from_words(words: jax.Array, field: Field) -> jax.Array:
    dtype = np.dtype(np.uint8) if field.dtype == bool else field.dtype
    values = jax.lax.bitcast_convert_type(words, dtype)
    if dtype.itemsize < 4:
        values = values.reshape(words.shape[0], -1)[:, : math.prod(field.shape)]
    return values.astype(field.dtype)

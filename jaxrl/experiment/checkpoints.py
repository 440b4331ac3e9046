"""Checkpoints: a whole training state on disk, written atomically and verified when it is read.

A checkpoint is the folder ``<directory>/<step>``::

    state/          the arrays, an Orbax checkpoint of a flat dict {name of the leaf: array}
    metadata.json   the step, the score, the caller's metadata, and shape and dtype of each leaf
    checksums.json  SHA-256 of every other file

It is written under a hidden name and renamed when it is complete, so a folder with a number for a name
is a whole checkpoint, whatever happened to the process.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from jaxrl.experiment.errors import UserError, writing
from jaxrl.experiment.text_files import read_json, reason
from jaxrl.validation import require

PyTree = Any
STATE, METADATA, CHECKSUMS = "state", "metadata.json", "checksums.json"
MOST_KEY_WORDS = 16
"""Words of 32 bits of a typed key, at most."""


class CheckpointError(UserError):
    """No checkpoint can be restored, or the one that can belongs to another kind of state."""


class Restored(NamedTuple):
    """What ``Checkpoints.restore`` gives back."""

    step: int
    state: PyTree
    metadata: dict[str, Any]
    skipped: list[int]
    """Steps of the damaged checkpoints that were passed over to get to this one."""


class Checkpoints:
    """The checkpoints of one run: the last few and the best.

    Args:
        directory: a folder of their own; made by the first ``save``.
        keep_last: how many of the newest to keep, besides the best.
        read_only: True to leave the folder as it is, since another process may be writing there.
    """

    def __init__(self, directory: str | os.PathLike, keep_last: int = 3, *, read_only: bool = False):
        require(keep_last >= 1, "keep_last", keep_last, "must be at least 1")
        self.directory = Path(directory).absolute()
        self.keep_last = keep_last
        self._orbax: Any = None
        if not read_only:
            self._finish_replacing()

    def save(self, step: int, state: PyTree, metadata: dict[str, Any], score: float | None = None) -> None:
        """Write a checkpoint, and remove those that are no longer wanted.

        It is on disk when this returns, so the state may be donated. Checkpoints of later steps are removed:
        they are of a history that this run has left, by resuming from an earlier step.

        Args:
            step: environment steps done; the name of the checkpoint.
            state: a pytree of arrays of any dtype, on any devices of this process; typed keys too.
            metadata: what goes into JSON beside the arrays.
            score: what makes a checkpoint the best one, higher is better; None or NaN if unknown.

        Raises:
            UserError: if the disk is full or cannot be written. What was there before is left as it was.
        """
        leaves = _named_leaves(state)
        record = {
            "step": int(step),
            "score": None if score is None or math.isnan(score) else float(score),
            "metadata": metadata,
            "leaves": {name: _describe(leaf)._asdict() for name, leaf in leaves.items()},
        }
        # Orbax does not take arrays without elements; their shape is all there is to know of them.
        arrays = {name: array for name, array in _to_host(leaves).items() if array.size}
        new, final = self._hidden(step, "new"), self.directory / str(step)
        with writing(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            self._tidy()
            try:
                new.mkdir()
                if arrays:
                    self._write_arrays(new / STATE, arrays)
                (new / METADATA).write_text(json.dumps(record, indent=1, default=_to_json))
                (new / CHECKSUMS).write_text(json.dumps(_checksums(new), indent=1))
                if final.exists():
                    final.rename(self._hidden(step, "replaced"))
                new.rename(final)
            finally:
                shutil.rmtree(new, ignore_errors=True)
            self._remove_unwanted(step)
            self._tidy()

    def restore(self, template: PyTree, step: int | Literal["latest", "best"] = "latest") -> Restored:
        """Read a checkpoint back, bit for bit.

        Args:
            template: a pytree like the state that was saved; arrays, or the shapes of ``jax.eval_shape``. The
                state comes back with its structure and types, and on its devices where it names some.
            step: "latest" or "best" pass over damaged checkpoints, to the one before or the next best; a number
                asks for that one alone.

        Raises:
            CheckpointError: if none is there or undamaged, or if it has other leaves, shapes or dtypes.
        """
        reasons: dict[int, str] = {}
        for candidate in self._candidates(step):
            try:
                record = self._verified_record(candidate)
            except Exception as error:
                reasons[candidate] = reason(error)
                continue
            _require_same_leaves(template, record)
            try:
                arrays = self._read_arrays(candidate, record)
                state = _rebuild(template, record, arrays)
            except MemoryError:
                raise
            except Exception as error:
                reasons[candidate] = reason(error)
                continue
            return Restored(candidate, state, record["metadata"], list(reasons))
        damaged = "; ".join(f"{s}: {reason}" for s, reason in reasons.items())
        raise CheckpointError(f"every checkpoint asked for in {self.directory} is damaged ({damaged})")

    def metadata(self, step: int | Literal["latest", "best"] = "latest") -> dict[str, Any]:
        """The metadata that was saved beside the first readable candidate, without reading its arrays."""
        for candidate in self._candidates(step):
            with contextlib.suppress(OSError, ValueError, UserError):
                return self._record(candidate)["metadata"]
        raise CheckpointError(f"the metadata of every checkpoint asked for in {self.directory} is damaged")

    def steps(self) -> list[int]:
        """The steps of all checkpoints, in order, damaged ones included."""
        with contextlib.suppress(OSError):
            return sorted(int(p.name) for p in self.directory.iterdir() if re.fullmatch("0|[1-9][0-9]{0,18}", p.name))
        return []

    def best_step(self) -> int | None:
        """The step with the highest score (the latest of equals), or None if none has a score."""
        scored = self._by_score()
        return scored[0] if scored else None

    def wait(self) -> None:
        """Return when all checkpoints are on disk: at once, since ``save`` returns no earlier."""

    def close(self) -> None:
        """Let go of Orbax's resources."""
        if self._orbax is not None:
            self._orbax.close()
            self._orbax = None

    def _candidates(self, step: int | str) -> list[int]:
        steps = self.steps()
        if not steps:
            raise CheckpointError(f"there is no checkpoint in {self.directory}")
        if step == "latest":
            return steps[::-1]
        if step == "best":
            scored = self._by_score()
            return scored + [s for s in reversed(steps) if s not in scored]
        if step not in steps:
            raise CheckpointError(
                f"there is no checkpoint {step!r} in {self.directory}; choose one of {steps}, 'latest' or 'best'"
            )
        return [int(step)]

    def _by_score(self) -> list[int]:
        scores = []
        for step in self.steps():
            with contextlib.suppress(OSError, ValueError, UserError):
                score = self._record(step)["score"]
                if score is not None:
                    scores.append((score, step))
        return [step for _, step in sorted(scores, reverse=True)]

    def _remove_unwanted(self, newest: int) -> None:
        steps = [s for s in self.steps() if s <= newest]
        wanted = {*steps[-self.keep_last :], self.best_step()}
        for step in self.steps():
            if step > newest or step not in wanted:
                (self.directory / str(step)).rename(self._hidden(step, "unwanted"))

    def _tidy(self) -> None:
        """Remove the folders that are on their way in or out, an earlier process's too."""
        for path in self.directory.glob(".*"):
            if path.suffix in (".new", ".replaced", ".unwanted"):
                shutil.rmtree(path, ignore_errors=True)

    def _finish_replacing(self) -> None:
        """Put a checkpoint back whose process was killed between the two renames that replace it."""
        for path in self.directory.glob(".*.replaced"):
            final = self.directory / path.stem.lstrip(".")
            if not final.exists():
                path.rename(final)

    def _hidden(self, step: int, what: str) -> Path:
        return self.directory / f".{step}.{what}"

    def _record(self, step: int) -> dict[str, Any]:
        folder = self.directory / str(step)
        expected = self._expected(folder)
        if _checksum(folder / METADATA) != expected.get(METADATA):
            raise ValueError(f"{METADATA} has changed since it was written")
        record = read_json(folder / METADATA)
        _require_record(record, step)
        return record

    def _verified_record(self, step: int) -> dict[str, Any]:
        folder = self.directory / str(step)
        expected, found = self._expected(folder), _checksums(folder)
        for name, checksum in expected.items():
            if name not in found:
                raise ValueError(f"{name} is missing")
            if found[name] != checksum:
                raise ValueError(f"{name} has changed since it was written")
        return self._record(step)

    def _expected(self, folder: Path) -> dict[str, str]:
        checksums = read_json(folder / CHECKSUMS)
        if not isinstance(checksums, dict):
            raise ValueError(f"{CHECKSUMS} holds no checksums")
        return checksums

    def _write_arrays(self, path: Path, arrays: dict[str, np.ndarray]) -> None:
        import orbax.checkpoint as ocp

        with _quiet():
            self._checkpointer().save(path, args=ocp.args.StandardSave(arrays))

    def _read_arrays(self, step: int, record: dict[str, Any]) -> dict[str, np.ndarray]:
        import orbax.checkpoint as ocp

        path = self.directory / str(step) / STATE
        if not path.exists():
            return {}
        with _quiet():
            checkpointer = self._checkpointer()
            # Before anything is allocated: the arrays are as large as the metadata say, which fit.
            tree = checkpointer.metadata(path).item_metadata.tree
            for name, leaf in tree.items():
                # A key is stored as words, in axes of their own behind its shape.
                shape, stored = record["leaves"][name]["shape"], list(leaf.shape)
                if stored[: len(shape)] != shape or math.prod(stored[len(shape) :]) > MOST_KEY_WORDS:
                    raise ValueError(f"{name} has the shape {stored} and not {shape}")
            return checkpointer.restore(path, args=ocp.args.StandardRestore())

    def _checkpointer(self):
        import orbax.checkpoint as ocp

        if self._orbax is None:
            self._orbax = ocp.Checkpointer(ocp.StandardCheckpointHandler())
        return self._orbax


class LeafType(NamedTuple):
    """What a leaf is, as JSON holds it."""

    shape: list[int]
    dtype: str
    key_impl: str | None
    """The generator of a typed key, which is stored as the words of ``jax.random.key_data``."""


def _named_leaves(tree: PyTree) -> dict[str, Any]:
    named, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path).lstrip("."): leaf for path, leaf in named}


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _describe(leaf: Any) -> LeafType:
    if not hasattr(leaf, "dtype"):
        leaf = np.asarray(leaf)
    impl = str(jax.random.key_impl(leaf)) if _is_key(leaf) and isinstance(leaf, jax.Array) else None
    return LeafType(list(leaf.shape), str(leaf.dtype), impl)


def _to_host(leaves: dict[str, Any]) -> dict[str, np.ndarray]:
    data = {name: jax.random.key_data(leaf) if _is_key(leaf) else leaf for name, leaf in leaves.items()}
    arrays = {name: np.asarray(leaf) for name, leaf in jax.device_get(data).items()}
    for name, array in arrays.items():
        if array.dtype.kind in "OUSM":
            raise TypeError(
                f"the leaf {name} of the state is a {type(leaves[name]).__name__}, which is not an array of numbers"
            )
    return arrays


def _require_record(record: Any, step: int) -> None:
    """Raise a ``ValueError`` unless a checkpoint's metadata are of the kind that ``save`` writes."""
    fields = {"step": int, "score": float | int | None, "metadata": dict, "leaves": dict}
    for name, kind in fields.items():
        if not isinstance(record, dict) or name not in record or not isinstance(record[name], kind):
            raise ValueError(f"{METADATA} has no {name}, or another kind of it")
    if record["step"] != step:
        raise ValueError(f"{METADATA} is of step {record['step']}")
    for name, leaf in record["leaves"].items():
        shape, dtype, impl = (leaf.get(field) for field in LeafType._fields) if isinstance(leaf, dict) else (None,) * 3
        whole = isinstance(shape, list) and all(isinstance(n, int) and n >= 0 for n in shape)
        if not (whole and isinstance(dtype, str) and isinstance(impl, str | None)):
            raise ValueError(f"{METADATA} does not describe {name}")


def _require_same_leaves(template: PyTree, record: dict[str, Any]) -> None:
    """Raise a ``CheckpointError`` unless a checkpoint's leaves are those of the template."""
    expected = _named_leaves(template)
    stored = {name: LeafType(**leaf) for name, leaf in record["leaves"].items()}
    where = f"checkpoint {record['step']} was made by another configuration"
    for name in expected:
        if name not in stored:
            raise CheckpointError(f"{where}: it has no {name}")
    for name in stored:
        if name not in expected:
            raise CheckpointError(f"{where}: it has {name}, which is not in this run's state")
    for name, leaf in expected.items():
        here, there = _describe(leaf), stored[name]
        if here.shape != there.shape or not _same_dtype(leaf, here, there):
            raise CheckpointError(
                f"{where}: its {name} is {there.dtype}{there.shape}, but this run's is {here.dtype}{here.shape}"
            )


def _rebuild(template: PyTree, record: dict[str, Any], arrays: dict[str, np.ndarray]) -> PyTree:
    leaves = []
    for name, leaf in _named_leaves(template).items():
        kind = LeafType(**record["leaves"][name])
        array = arrays[name] if math.prod(kind.shape) else _empty(kind)
        leaves.append(_like(leaf, np.asarray(array), kind.key_impl))
    return jax.tree.unflatten(jax.tree.structure(template), leaves)


def _same_dtype(leaf: Any, here: LeafType, there: LeafType) -> bool:
    if here.dtype == there.dtype:
        return True
    # The shapes of jax.eval_shape show a NumPy int64 as the int32 that JAX would make of it.
    abstract = isinstance(leaf, jax.ShapeDtypeStruct) and not there.key_impl
    return abstract and str(jax.dtypes.canonicalize_dtype(there.dtype)) == here.dtype


def _empty(kind: LeafType) -> np.ndarray:
    if kind.key_impl:
        words = jax.random.key_data(jax.random.key(0, impl=kind.key_impl)).shape
        return np.zeros((*kind.shape, *words), np.uint32)
    return np.zeros(kind.shape, jax.numpy.dtype(kind.dtype))


def _like(leaf: Any, array: np.ndarray, key_impl: str | None) -> Any:
    """The stored array as the template's leaf is: a Python number, of NumPy, or of JAX on the same devices."""
    if isinstance(leaf, (bool, int, float, complex)) and not isinstance(leaf, np.generic):
        return type(leaf)(array.item())
    if isinstance(leaf, np.generic):
        return array[()]
    if isinstance(leaf, np.ndarray):
        return array
    # An array that is not committed to a device may still be moved to the others' by jit.
    placed = not isinstance(leaf, jax.Array) or leaf.committed
    sharding = leaf.sharding if placed else None
    if key_impl:
        return jax.device_put(jax.random.wrap_key_data(jax.numpy.asarray(array), impl=key_impl), sharding)
    # A copy, so that the state can be donated.
    return jax.device_put(array, sharding, may_alias=False)


def _checksums(folder: Path) -> dict[str, str]:
    checksums = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p != folder / CHECKSUMS):
        checksums[path.relative_to(folder).as_posix()] = _checksum(path)
    return checksums


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _to_json(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"the checkpoint's metadata holds a {type(value).__name__}, which JSON cannot")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Orbax's own log: it prints tracebacks from its threads, of errors that it also raises."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)

"""Names of algorithms, presets and environments, without importing what they name.

JAX and the suites take seconds to import. The names are read out of the files of the installed versions instead; where
a file has another form than is known here, its package is imported after all.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOM = "jaxrl.algorithms"


def algorithms() -> dict[str, str]:
    """The first line about each algorithm, by name."""
    from jaxrl import algorithms as room

    return {name: _summary(name) for name in room.ALGORITHMS}


def fields(algorithm: str) -> list[str]:
    """``hp.NAME`` and ``config.NAME`` of an algorithm of this library, those of its bases included."""
    groups = {"hp": "Hyperparameters", "config": "Config"}
    return [f"{group}.{name}" for group, record in groups.items() for name in _fields(algorithm, record)]


def _fields(module: str, record: str) -> dict[str, None]:
    """The fields of a dataclass in a module of the algorithms' room."""
    classes, modules = {}, {}
    for statement in _tree(module).body:
        match statement:
            case ast.ClassDef(name=name):
                classes[name] = statement
            case ast.ImportFrom(module=str(source), names=names) if source.startswith(f"{ROOM}."):
                modules |= {alias.name: source.rpartition(".")[2] for alias in names}
    if record not in classes:
        return _fields(modules[record], record) if record in modules else {}
    found: dict[str, None] = {}
    for base in classes[record].bases:
        match base:
            case ast.Attribute(value=ast.Name(id=other), attr=name):
                found |= _fields(other, name)
            case ast.Name(id=name):
                found |= _fields(module, name)
    own = [s.target.id for s in classes[record].body if isinstance(s, ast.AnnAssign)]
    return found | dict.fromkeys(own)


@functools.cache
def _tree(module: str) -> ast.Module:
    from jaxrl import algorithms as room

    return ast.parse(Path(room.__file__).with_name(f"{module}.py").read_text())


def presets(algorithm: str | None = None) -> list[str]:
    """The names of presets, of all algorithms or of one."""
    from jaxrl.experiment.presets import PRESETS

    return [name for name, preset in PRESETS.items() if algorithm in (None, preset.algorithm)]


def activations() -> list[str]:
    """The names of activations."""
    return texts((Path(__file__).parents[1] / "networks" / "activations.py").read_text(), ["ACTIVATIONS"])


def environments() -> dict[str, list[str]]:
    """The ids of each suite that is installed, first those of ``register``: as ``jaxrl.envs.names``."""
    registry = sys.modules.get("jaxrl.envs.registry")
    registered = registry.registered() if registry else []
    found = {"registered": registered, **{suite: names() for suite, names in SUITES.items()}}
    return {suite: ids for suite, ids in found.items() if ids}


def _summary(algorithm: str) -> str:
    from jaxrl import algorithms as room

    path = Path(room.__file__).with_name(f"{algorithm}.py")
    if algorithm in room.NAMES and path.exists():
        doc = ast.get_docstring(ast.parse(path.read_text()))
    else:
        doc = room.ALGORITHMS[algorithm].__doc__
    return (doc or "").strip().partition("\n")[0]


def _gymnax() -> list[str]:
    # The second name is that of gymnax before 1.0.
    return _read("gymnax", ["registration.py"], ["_BUILTIN_ENV_IDS", "registered_envs"])


def _gymnasium() -> list[str]:
    import gymnasium

    return [name for name in gymnasium.registry if not name.startswith("GymV2")]


def _atari() -> list[str]:
    if (root := _root("ale_py")) is None:
        return []
    adapter = Path(__file__).parents[1] / "envs" / "atari_adapter.py"
    roms = {path.stem for path in (root / "roms").glob("*.bin")} - set(texts(adapter.read_text(), ["MULTIPLAYER"]))
    return sorted(rom.title().replace("_", "") for rom in roms) or _imported("atari")


def _brax() -> list[str]:
    return _read("brax", ["envs/__init__.py"], ["_envs"])


def _playground() -> list[str]:
    suites = ("dm_control_suite", "locomotion", "manipulation")
    return _read("mujoco_playground", [f"_src/{suite}/__init__.py" for suite in suites], ["_envs"])


SUITES: dict[str, Callable[[], list[str]]] = {
    "gymnax": _gymnax,
    "gymnasium": _gymnasium,
    "atari": _atari,
    "brax": _brax,
    "playground": _playground,
}
"""By prefix, as in ``jaxrl.envs.registry.SUITES``."""


def _read(package: str, files: Sequence[str], variables: Sequence[str]) -> list[str]:
    """The texts in a list, or the keys of a dict, that files of a package bind to one of some variables."""
    if (root := _root(package)) is None:
        return []
    found = [texts(path.read_text(), variables) for name in files if (path := root / name).exists()]
    suite = "playground" if package == "mujoco_playground" else package
    return [text for part in found for text in part] if len(found) == len(files) and all(found) else _imported(suite)


def texts(source: str, variables: Sequence[str]) -> list[str]:
    """The texts in a list, or the keys of a dict, that code binds to one of some variables, the first that is there."""
    bound = {}
    for statement in ast.parse(source).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.AnnAssign(
                target=ast.Name(id=name), value=value
            ):
                bound[name] = value.keys if isinstance(value, ast.Dict) else getattr(value, "elts", [])
    items = next((bound[name] for name in variables if bound.get(name)), [])
    constants = [item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return constants if len(constants) == len(items) else []


def _imported(suite: str) -> list[str]:
    """The names of a suite by importing it."""
    from jaxrl.envs import names

    return names().get(suite, [])


def _root(package: str) -> Path | None:
    """The folder of a package, or None if it is not installed."""
    spec = importlib.util.find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent

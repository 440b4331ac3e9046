"""Environments that a run's folder names: a folder is data, and opening one runs no code that the user did not name.

An environment may be given by the path of a module, and to import a module is to run it. So an import path that stands
in a folder's ``config.yaml`` is followed only if the user names the environment again, or if the module lies in the
folder that he works in, apart from the run's own.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import gymnasium

from jaxrl.envs import registry
from jaxrl.experiment.console import say
from jaxrl.experiment.errors import UserError, as_user_error


def require_trusted(env: str, directory: Path | str, named: Any = None) -> None:
    """Raise unless the environment that a folder names may be made.

    Args:
        env: the id that stands in the folder.
        directory: the folder, for the error.
        named: the environment that the user himself gave, an id or an object; None if he gave none.

    Raises:
        UserError: if ``jaxrl.envs.make`` would import a module that neither belongs to the library, nor was named by
            the user, nor lies in the current directory; or call something of such a module that is no factory.
    """
    module = registry.imported_by(env)
    if named is not None or module is None:
        return
    source = _in_current_directory(module, Path(directory).resolve())
    if source is None:
        raise UserError(
            f"env={env!r} in {directory} would run code of the module {module!r}, which is not in the current "
            "directory, or comes with that folder: give the environment again if you trust it (--env, or env= from "
            "Python)"
        )
    say(f"the environment {env} is made by code in the current directory: {source}")
    if not env.startswith(f"{registry.gymnasium_adapter.PREFIX}:"):
        _require_factory(env, directory, module)


def _in_current_directory(module: str, run: Path) -> Path | None:
    """The file or folder of a module's top-level package if it lies directly in the current directory, or None.

    A package around a run's folder, or a module in it, may have come with the run: None too. Nothing is imported to
    find out.
    """
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return None
    here, places = Path.cwd().resolve(), [] if spec is None else _places(spec)
    resolved = [place.resolve() for place in places]
    if run in (here, *here.parents) or any(place.parent != here or place in (run, *run.parents) for place in resolved):
        return None
    return places[0] if places else None


def _places(spec: ModuleSpec) -> list[Path]:
    if spec.submodule_search_locations is not None:
        return [Path(place) for place in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.has_location and spec.origin else []


def _require_factory(env: str, directory: Path | str, module: str) -> None:
    """Raise unless an import path leads to an environment's class, or to a function that is written in that package."""
    attribute = env.partition(":")[2]
    with as_user_error():
        imported = importlib.import_module(module)
    if not hasattr(imported, attribute) and ("/" in attribute or re.search(r"-v\d+$", attribute)):
        return  # an id that the module has registered with Gymnasium
    thing = getattr(imported, attribute, None)
    package = module.partition(".")[0]
    written_here = (getattr(thing, "__module__", None) or "").partition(".")[0] == package
    makes_one = inspect.isfunction(thing) or (
        inspect.isclass(thing) and issubclass(thing, gymnasium.Env | gymnasium.vector.VectorEnv)
    )
    if not (written_here and makes_one):
        raise UserError(
            f"env={env!r} in {directory}: {attribute} is neither an environment's class nor a function of {module}, "
            "so it is not called; give the environment again if it makes one (--env, or env= from Python)"
        )

"""Contender: importing modules in a fresh process."""

import importlib
import time

from protocol import parameters, report

start = time.perf_counter()
for module in parameters()["modules"]:
    importlib.import_module(module)
report(import_seconds=time.perf_counter() - start)

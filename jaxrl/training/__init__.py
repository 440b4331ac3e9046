"""The only loops: compiled and host training, evaluation, sweeps, devices."""

from jaxrl.threads import available_cores
from jaxrl.training.devices import compiler_options, devices_for, over_lanes, use_cpu_devices
from jaxrl.training.evaluation import Evaluation, evaluate
from jaxrl.training.host_train import HostRunner, HostTrainState
from jaxrl.training.in_threads import ThreadsResult, train_in_threads
from jaxrl.training.iterations import TrainState
from jaxrl.training.metrics import Metrics
from jaxrl.training.runner import CompiledRunner, Runner, make_runner
from jaxrl.training.staged_scan import staged_scan
from jaxrl.training.sweep import sweep
from jaxrl.training.train import Train, TrainResult, interval_lengths, make_train

__all__ = [
    "CompiledRunner", "Evaluation", "HostRunner", "HostTrainState", "Metrics", "Runner", "ThreadsResult", "Train",
    "TrainResult", "TrainState", "available_cores", "compiler_options", "devices_for", "evaluate", "interval_lengths",
    "make_runner", "make_train", "over_lanes", "staged_scan", "sweep", "train_in_threads", "use_cpu_devices",
]  # fmt: skip

"""Runs that survive being killed: the run directory, its results and ledger, and a clean stop."""

from visplay.runs.results import Inputs, RunError, digest, read_manifest, summarise
from visplay.runs.run import STEPS, Run
from visplay.runs.stopping import StageMade, Stopped, stop_signals

__all__ = [
    "STEPS",
    "Inputs",
    "Run",
    "RunError",
    "StageMade",
    "Stopped",
    "digest",
    "read_manifest",
    "stop_signals",
    "summarise",
]

"""Is this machine, or this set of machines, fit for a run? Looks at everything, changes nothing, never hangs.

`examine` gives findings: packages, GPUs, a sum over all processes, disk, shared files, threads, downloads, and what a
recipe needs. Whatever could hang, such as a file system, a GPU or a network, is tried by visplay/engine/probe.py in a
process of its own, which is ended at a deadline. No part of the loop.
"""

from visplay.doctor.examination import Asked, examine
from visplay.doctor.findings import Finding, has_error, render

__all__ = ["Asked", "Finding", "examine", "has_error", "render"]

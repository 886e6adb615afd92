"""`python -m benchmarks.trust`."""

from benchmarks.harness.options import start
from benchmarks.trust import Options, run

start(Options, run)

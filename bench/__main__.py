"""All benchmarks, one after the other: ``make bench``."""

from __future__ import annotations

import runpy

for module in (
    "bench.generation",
    "bench.cards",
    "bench.patients",
    "bench.labels",
    "bench.dagster_decade",
    "bench.replay",
    "bench.sinks",
    "bench.service",
):
    print(f"\n== {module}", flush=True)
    runpy.run_module(module, run_name="__main__")

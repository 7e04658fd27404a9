"""Ten years through Dagster: one range run in process on the default storage (sqlite)."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from datetime import date
from pathlib import Path

DATASETS = """\
datasets:
  - name: bnpl
    generator: bnpl
    start_date: 2015-01-01
    partitions_per_run: null
    config: {}
"""
FIRST, LAST = date(2015, 1, 1), date(2024, 12, 31)
TARGET_SECONDS, TARGET_BODY_SECONDS = 150.0, 30.0


def run(folder: Path, first: date = FIRST, last: date = LAST) -> tuple[float, float, int]:
    """Return seconds in all, seconds of generating and writing (the asset's body), and partitions."""
    (folder / "datasets.yaml").write_text(DATASETS)
    os.environ["SIMTOM_LAKE"] = str(folder / "lake")
    os.environ["SIMTOM_DATASETS"] = str(folder / "datasets.yaml")
    import dagster as dg

    from simtom_pipelines import assets
    from simtom_pipelines.definitions import definitions
    from simtom_pipelines.instance import open_instance

    real, body = assets.write_days, [0.0]

    def timed(*arguments: object, **options: object):  # type: ignore[no-untyped-def]
        pieces = real(*arguments, **options)  # type: ignore[arg-type]
        while True:
            started = time.perf_counter()
            piece = next(pieces, None)
            body[0] += time.perf_counter() - started
            if piece is None:
                return
            yield piece

    assets.write_days = timed  # type: ignore[assignment]
    try:
        loaded = definitions()
        asset = loaded.get_assets_def(["bnpl", "transactions"])
        with open_instance(folder / "home") as instance:
            logging.getLogger("dagster").setLevel(logging.ERROR)
            started = time.perf_counter()
            tags = {"start": first.isoformat(), "end": last.isoformat()}
            result = dg.materialize(
                [asset],
                instance=instance,
                resources=dict(loaded.resources or {}),
                tags={f"dagster/asset_partition_range_{name}": day for name, day in tags.items()},
            )
            total = time.perf_counter() - started
            partitions = len(instance.get_materialized_partitions(asset.key))
    finally:
        assets.write_days = real
    if not result.success:
        raise SystemExit("the range run failed")
    return total, body[0], partitions


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        total, body, partitions = run(Path(folder))
    print(
        f"Dagster, {partitions:,} partitions x 1,000 rows in process on sqlite: {total:.1f} s "
        f"(at most {TARGET_SECONDS:g}), of which generating and writing {body:.1f} s (at most {TARGET_BODY_SECONDS:g})"
    )


if __name__ == "__main__":
    main()

"""An example of a downstream asset: a line a day of purchases, loaded and stored through the lake's IO manager."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape

import dagster as dg
import polars as pl

from simtom_pipelines.assets import IO_MANAGER, OWNERS
from simtom_pipelines.datasets import DatasetSpec
from simtom_pipelines.metadata import rows_markdown
from simtom_pipelines.partitions import daily_partitions, quiet_preview, range_policy

GENERATOR = "bnpl"
"""The generator whose datasets get a summary."""

SHOWN_DAYS = 7
"""Days in the preview."""

_WIDTH, _HEIGHT, _MARGIN = 640, 160, 28


def daily_summary(events: pl.LazyFrame) -> pl.DataFrame:
    """Return one row a day: volume, shares by time of day and category, default rate.

    Args:
        events: Purchases with the hive column ``date``.
    """
    hour = pl.col("timestamp").dt.hour()
    business, evening = hour.is_between(9, 17), hour.is_between(18, 22)
    amount, defaulted = pl.col("amount"), pl.col("will_default")
    return (
        events.group_by("date")
        .agg(
            pl.len().alias("purchases"),
            pl.col("customer_id").n_unique().alias("customers"),
            amount.sum().round(2).alias("amount_total"),
            amount.mean().round(2).alias("amount_mean"),
            business.mean().alias("business_share"),
            evening.mean().alias("evening_share"),
            (~business & ~evening).mean().alias("night_share"),
            (pl.col("product_category") == "electronics").mean().alias("electronics_share"),
            defaulted.mean().alias("default_rate"),
        )
        .sort("date")
        .collect()
    )


def line_plot(values: Sequence[float], labels: tuple[str, str], title: str) -> str:
    """Return a small line plot as SVG text.

    Args:
        values: (n,) at least one value, drawn from zero up.
        labels: Of the first and the last point.
        title: What is drawn.
    """
    top = max([*values, 1e-9])
    step = (_WIDTH - 2 * _MARGIN) / max(1, len(values) - 1)
    floor = _HEIGHT - _MARGIN
    points = [(_MARGIN + n * step, floor - v / top * (floor - _MARGIN)) for n, v in enumerate(values)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="#4f43dd"/>' for x, y in points[:62])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" '
        f'font-size="11" fill="#555"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{_MARGIN}" y="16">{escape(title)}, highest {top:,.6g}</text>'
        f'<line x1="{_MARGIN}" y1="{floor}" x2="{_WIDTH - _MARGIN}" y2="{floor}" stroke="#ccc"/>'
        f'<polyline points="{line}" fill="none" stroke="#4f43dd" stroke-width="1.5"/>{dots}'
        f'<text x="{_MARGIN}" y="{_HEIGHT - 8}">{escape(labels[0])}</text>'
        f'<text x="{_WIDTH - _MARGIN}" y="{_HEIGHT - 8}" text-anchor="end">{escape(labels[1])}</text></svg>'
    )


def inline_image(svg: str) -> str:
    """Return Markdown that shows an SVG without a file beside it."""
    return f"![plot](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"


def summary_metadata(summary: pl.DataFrame) -> dict[str, dg.MetadataValue]:
    """Return what Dagster shows of a run's summary: totals, the last days as a table, volumes as a plot."""
    days = [str(day) for day in summary["date"]]
    shown = summary.tail(SHOWN_DAYS).to_dicts()
    plot = line_plot(summary["purchases"].to_list(), (days[0], days[-1]), "purchases a day")
    rate = summary.select((pl.col("default_rate") * pl.col("purchases")).sum() / pl.col("purchases").sum()).item()
    return {
        "run_purchases": dg.MetadataValue.int(int(summary["purchases"].sum())),
        "run_amount_total": dg.MetadataValue.float(float(summary["amount_total"].sum())),
        "run_default_rate": dg.MetadataValue.float(float(rate or 0.0)),
        "preview": dg.MetadataValue.md(rows_markdown(shown)),
        "plot": dg.MetadataValue.md(inline_image(plot)),
    }


def summary_asset(spec: DatasetSpec, events: str) -> dg.AssetsDefinition:
    """Return the asset ``{dataset}/daily_summary``."""
    with quiet_preview():

        @dg.asset(
            key=[spec.name, "daily_summary"],
            ins={"purchases": dg.AssetIn(key=[spec.name, events])},
            partitions_def=daily_partitions(spec),
            backfill_policy=range_policy(spec),
            group_name=spec.name,
            kinds={"polars", "parquet"},
            owners=OWNERS,
            io_manager_key=IO_MANAGER,
            code_version="1",
            description="A line a day: volume, shares by time of day and category, default rate.",
        )
        def summary(context: dg.AssetExecutionContext, purchases: pl.LazyFrame) -> dg.Output[pl.DataFrame]:
            frame = daily_summary(purchases)
            for numbers in frame.to_dicts():
                context.add_asset_metadata(numbers, partition_key=str(numbers.pop("date")))
            return dg.Output(frame, metadata=summary_metadata(frame))

    return summary

"""Synthetic business data as daily-partitioned Dagster assets, stored as Parquet, replayed as a timed stream."""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simtom_pipelines.snapshot import as_of as as_of

__all__ = ["__version__", "as_of"]

try:
    __version__ = version("simtom-pipelines")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import `as_of` on first use: the lake and polars take their time, and ``simtom --help`` needs neither."""
    if name == "as_of":
        from simtom_pipelines.snapshot import as_of

        return as_of
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

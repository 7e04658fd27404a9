"""Synthetic business data as daily-partitioned Dagster assets, stored as Parquet, replayed as a timed stream."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("simtom-pipelines")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0.1.0"

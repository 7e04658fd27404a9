"""Resources of the Dagster layer: the lake."""

import os

import dagster as dg
from pydantic import Field

from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.settings import Settings


class LakeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The lake that assets write to and jobs read from.

    Attributes:
        root: A local folder or a URL such as ``s3://bucket/prefix``.
        storage_options: Options of the object store.
    """

    root: str
    storage_options: dict[str, str] = Field(default_factory=dict)

    def open(self) -> ParquetLake:
        """Return the lake."""
        return ParquetLake(self.root, self.storage_options or None)


def lake_resource(settings: Settings) -> LakeResource:
    """Return the lake's resource: its root is read from SIMTOM_LAKE when a run starts, where that is set."""
    root = dg.EnvVar("SIMTOM_LAKE") if "SIMTOM_LAKE" in os.environ else str(settings.lake)
    return LakeResource(root=root, storage_options=dict(settings.storage_options or {}))

"""What Dagster loads: one function that reads settings and datasets once and returns all definitions."""

import dagster as dg

from generators.registry import generator_class
from simtom_pipelines.assets import IO_MANAGER, dataset_assets
from simtom_pipelines.checks import dataset_checks
from simtom_pipelines.datasets import DatasetSpec, load_datasets
from simtom_pipelines.io_manager import LakeIOManager
from simtom_pipelines.jobs import daily_schedule, materialize_job, replay_job
from simtom_pipelines.resources import lake_resource
from simtom_pipelines.settings import Settings, load_settings
from simtom_pipelines.summary import GENERATOR as SUMMARISED
from simtom_pipelines.summary import summary_asset


def build_definitions(settings: Settings, specs: dict[str, DatasetSpec]) -> dg.Definitions:
    """Return the definitions of the given datasets.

    Args:
        settings: Where the lake is.
        specs: Datasets by name.
    """
    lake = lake_resource(settings)
    assets: list[dg.AssetsDefinition] = []
    checks: list[dg.AssetChecksDefinition] = []
    for spec in specs.values():
        tables = generator_class(spec.generator).tables
        assets += dataset_assets(spec)
        checks += dataset_checks(spec)
        if spec.generator == SUMMARISED:
            assets.append(summary_asset(spec, tables[0].name))
    jobs = {name: materialize_job(spec) for name, spec in specs.items()}
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[*jobs.values(), replay_job(specs)],
        schedules=[daily_schedule(spec, jobs[name]) for name, spec in specs.items()],
        resources={"lake": lake, IO_MANAGER: LakeIOManager(root=lake.root, storage_options=lake.storage_options)},
    )


@dg.definitions
def definitions() -> dg.Definitions:
    """Read the settings and datasets.yaml, and define everything.

    Raises:
        SimtomError: A file or variable is missing or wrong; the text names file, line and field.
    """
    settings = load_settings()
    return build_definitions(settings, load_datasets(settings.datasets))

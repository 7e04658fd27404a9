"""Datasets: one generator with one config, listed in datasets.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml

from generators import SimtomError, UnknownNameError, generator_class, get_generator, list_generators
from generators.base import BaseGenerator
from generators.calendar import FIRST_DAY, LAST_DAY
from generators.config import GeneratorConfig
from generators.schema import TableSchema

DEFAULT_START = date(2024, 1, 1)
DEFAULT_PARTITIONS_PER_RUN = 366
FIELDS = ("name", "generator", "start_date", "config", "partitions_per_run")


class DatasetsError(SimtomError, ValueError):
    """A datasets.yaml that cannot be used: names file, line and field."""


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset.

    Attributes:
        name: First part of its tables' names.
        generator: Registered name of the generator.
        start_date: Day of the first partition.
        config: What determines the data.
        partitions_per_run: Partitions of one backfill run; None: all in a single run.
    """

    name: str
    generator: str
    start_date: date
    config: GeneratorConfig
    partitions_per_run: int | None = DEFAULT_PARTITIONS_PER_RUN

    def make(self) -> BaseGenerator[Any]:
        """Return the generator with this dataset's config."""
        return get_generator(self.generator, self.config)

    @property
    def tables(self) -> tuple[TableSchema, ...]:
        """The generator's tables, the event table first."""
        return generator_class(self.generator).tables


class _Mapping(dict[str, Any]):
    """A YAML mapping that remembers the line of each key."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}


class _Loader(yaml.SafeLoader):
    """A safe loader that keeps lines and refuses a key that stands twice."""


def _construct(loader: _Loader, node: yaml.MappingNode) -> _Mapping:
    found = _Mapping()
    for key_node, value_node in node.value:
        key = str(loader.construct_object(key_node, deep=True))
        line = key_node.start_mark.line + 1
        if key in found:
            raise DatasetsError(f"line {line}: {key!r} stands twice")
        try:
            found[key] = loader.construct_object(value_node, deep=True)
        except DatasetsError:
            raise
        except ValueError as error:  # what reads like a date and is none, for example 2020-02-31
            raise DatasetsError(f"line {line}: field {key!r}: {value_node.value!r} given: {error}") from None
        found.lines[key] = line
    return found


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct)


def load_datasets(path: Path | str) -> dict[str, DatasetSpec]:
    """Read datasets.yaml.

    Raises:
        DatasetsError: The file is missing, no YAML, or has a field that is unknown or not allowed; names file and line.
    """
    path = Path(path)
    try:
        content = yaml.load(path.read_text(), Loader=_Loader)  # a SafeLoader
    except FileNotFoundError:
        raise DatasetsError(f"{path} does not exist; set SIMTOM_DATASETS to the file that lists the datasets") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetsError(f"{path} cannot be read: {error}") from None
    except DatasetsError as error:
        raise DatasetsError(f"{path}, {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise DatasetsError(f"{path}{where}: no YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(content, _Mapping) or set(content) != {"datasets"} or not isinstance(content["datasets"], list):
        raise DatasetsError(f"{path}, line 1: expected one key 'datasets' with a list of datasets")
    found: dict[str, DatasetSpec] = {}
    for item in content["datasets"]:
        spec = _spec(path, item)
        if spec.name in found:
            raise DatasetsError(f"{path}, line {item.lines['name']}: dataset {spec.name!r} stands twice")
        found[spec.name] = spec
    return found


def _spec(path: Path, item: Any) -> DatasetSpec:
    if not isinstance(item, _Mapping):
        raise DatasetsError(f"{path}: a dataset is a mapping of {', '.join(FIELDS)}; given: {item!r}")
    first = min(item.lines.values(), default=1)

    def refuse(field: str, why: str) -> DatasetsError:
        return DatasetsError(f"{path}, line {item.lines.get(field, first)}: field {field!r}: {why}")

    for field in item:
        if field not in FIELDS:
            raise refuse(field, f"unknown; known: {', '.join(FIELDS)}")
    name = item.get("name")
    if not isinstance(name, str) or not name.isidentifier():
        raise refuse("name", f"{name!r} given; allowed: letters, digits and underscores")
    generator = item.get("generator", name)
    try:
        config_type = generator_class(generator).config_type
    except UnknownNameError as error:
        raise refuse("generator", str(error)) from None
    start = item.get("start_date", DEFAULT_START)
    if isinstance(start, datetime) or not isinstance(start, date) or not FIRST_DAY <= start <= LAST_DAY:
        raise refuse("start_date", f"{start!r} given; allowed: a day from {FIRST_DAY} to {LAST_DAY} as YYYY-MM-DD")
    per_run = item.get("partitions_per_run", DEFAULT_PARTITIONS_PER_RUN)
    if per_run is not None and (not isinstance(per_run, int) or isinstance(per_run, bool) or per_run < 1):
        raise refuse("partitions_per_run", f"{per_run!r} given; allowed: null or an integer from 1")
    fields = item.get("config") or {}
    if not isinstance(fields, dict):
        raise refuse("config", f"{fields!r} given; allowed: a mapping of the generator's config fields")
    try:
        config = config_type.create(**{key: _plain(value) for key, value in fields.items()})
    except SimtomError as error:
        line = _line_of(fields, str(error))
        if line is not None:
            raise DatasetsError(f"{path}, line {line}: config: {error}") from None
        raise refuse("config", str(error)) from None
    return DatasetSpec(name, generator, start, config, per_run)


def _line_of(fields: Any, message: str) -> int | None:
    """Return the line of the field that a message names first, as deep in its groups as the file goes."""
    named, line = re.search(r"'([^']+)'", message), None
    for part in named[1].split(".") if named else ():
        if not isinstance(fields, _Mapping) or part not in fields:
            break
        line, fields = fields.lines[part], fields[part]
    return line


def _plain(value: Any) -> Any:
    """Return YAML mappings as plain dicts."""
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def find_table(datasets: Mapping[str, DatasetSpec], name: str) -> tuple[DatasetSpec, TableSchema]:
    """Return dataset and table for ``dataset`` (its event table) or ``dataset/table``.

    A generator's name stands for the dataset of that name with the default config, where datasets.yaml has none.

    Raises:
        UnknownNameError: No such dataset or table.
    """
    dataset, _, table = name.partition("/")
    spec = datasets.get(dataset)
    if spec is None:
        generators = [info.name for info in list_generators()]
        if dataset not in generators:
            raise UnknownNameError("dataset", dataset, sorted({*datasets, *generators}))
        spec = DatasetSpec(dataset, dataset, DEFAULT_START, generator_class(dataset).config_type())
    for schema in spec.tables:
        if not table or schema.name == table:
            return spec, schema
    raise UnknownNameError(f"table of {dataset}", table, [t.name for t in spec.tables])

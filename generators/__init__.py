"""Generators of synthetic business data: plugins that turn (config, day) into polars frames.

>>> from generators import get_generator
>>> get_generator("bnpl", seed=7).generate(date(2024, 11, 29))
"""

from generators.base import BaseGenerator, Batch, Process
from generators.config import ArrivalPattern, GeneratorConfig, HolidayProfile, LabelMode, VolumeBasis
from generators.errors import CalendarError, ConfigError, DataError, PluginError, SimtomError, UnknownNameError
from generators.fingerprint import fingerprint
from generators.randomness import stream
from generators.registry import (
    GeneratorInfo,
    PluginRegistry,
    discover_generators,
    generator_class,
    get_generator,
    list_generators,
    register_generator,
    registry,
)
from generators.schema import INSTANT, Column, TableSchema, Violation
from generators.streaming import Arrival, StreamRequest

__all__ = [
    "INSTANT",
    "Arrival",
    "ArrivalPattern",
    "BaseGenerator",
    "Batch",
    "CalendarError",
    "Column",
    "ConfigError",
    "DataError",
    "GeneratorConfig",
    "GeneratorInfo",
    "HolidayProfile",
    "LabelMode",
    "PluginError",
    "PluginRegistry",
    "Process",
    "SimtomError",
    "StreamRequest",
    "TableSchema",
    "UnknownNameError",
    "Violation",
    "VolumeBasis",
    "discover_generators",
    "fingerprint",
    "generator_class",
    "get_generator",
    "list_generators",
    "register_generator",
    "registry",
    "stream",
]

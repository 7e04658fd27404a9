"""The plugin registry: generators are found by scanning folders and entry points, and checked when they register."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar
from zlib import crc32

from generators.base import BaseGenerator
from generators.config import GeneratorConfig
from generators.errors import PluginError, UnknownNameError
from generators.schema import references

ENTRY_POINT_GROUP = "simtom.generators"
DOMAINS = ("ecommerce", "finance", "healthcare")

GeneratorT = TypeVar("GeneratorT", bound=type[BaseGenerator[Any]])


@dataclass(frozen=True)
class PluginFailure:
    """A plugin that could not be imported: where it stands and what went wrong."""

    name: str
    error: str


class PluginRegistry:
    """Names and classes of generators, and the plugins that failed to import."""

    def __init__(self) -> None:
        self._classes: dict[str, type[BaseGenerator[Any]]] = {}
        self.failures: dict[str, PluginFailure] = {}

    def register(self, name: str, cls: type[BaseGenerator[Any]]) -> None:
        """Check a class against the plugin contract and add it.

        Raises:
            PluginError: The class breaks the contract, or the name is taken by another class.
        """
        taken = self._classes.get(name)
        if taken is not None and (taken.__module__, taken.__qualname__) != (cls.__module__, cls.__qualname__):
            raise PluginError(
                f"generator name {name!r} is taken by {taken.__module__}.{taken.__qualname__}; "
                f"{cls.__module__}.{cls.__qualname__} needs another"
            )
        check_generator(name, cls)
        cls.name = name
        self._classes[name] = cls

    def get(self, name: str) -> type[BaseGenerator[Any]]:
        """Return a generator's class.

        Raises:
            UnknownNameError: No such generator; the known ones and the broken plugins are listed.
        """
        try:
            return self._classes[name]
        except KeyError:
            broken = "; ".join(f"plugin {f.name} failed to import: {f.error}" for f in self.failures.values())
            raise UnknownNameError("generator", name, self.names(), broken) from None

    def names(self) -> list[str]:
        """Return the registered names, sorted."""
        return sorted(self._classes)

    def attempt(self, name: str, load: Callable[[], object]) -> None:
        """Import one plugin; a failure is kept by name and does not stop the others."""
        try:
            load()
        except Exception as error:  # a plugin may raise anything while it is imported
            self.failures[name] = PluginFailure(name, f"{type(error).__name__}: {error}")
        else:
            self.failures.pop(name, None)


def check_generator(name: str, cls: type[BaseGenerator[Any]]) -> None:
    """Raise PluginError where a class breaks the plugin contract."""
    if not (inspect.isclass(cls) and issubclass(cls, BaseGenerator)):
        raise PluginError(f"generator {name!r}: {cls!r} is not a subclass of BaseGenerator")
    if not name.isidentifier() or name != name.lower():
        raise PluginError(f"generator name {name!r} is not a lower-case identifier")
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(cls.__abstractmethods__))
        raise PluginError(f"generator {name!r} does not implement {missing}")
    if not cls.domain or not cls.description:
        raise PluginError(f"generator {name!r} declares no domain or no description")
    if not cls.tables or cls.tables[0].kind != "events":
        raise PluginError(f"generator {name!r} declares no tables, or the first is not its event table")
    if len({t.name for t in cls.tables}) != len(cls.tables):
        raise PluginError(f"generator {name!r} declares a table twice")
    if not issubclass(cls.config_type, GeneratorConfig):
        raise PluginError(f"generator {name!r}: config_type {cls.config_type!r} is not a GeneratorConfig")
    if not isinstance(cls.revision, int) or cls.revision < 1:
        raise PluginError(f"generator {name!r}: revision {cls.revision!r} is not a positive integer")
    key = cls.tables[0].primary_key
    for table in cls.tables:
        table.check()
        if table.kind == "labels" and not (key and set(key) <= set(table.names)):
            raise PluginError(
                f"generator {name!r}: label table {table.name!r} has columns {table.names}; needed: the key of its "
                f"events, {list(key) or 'a unique column, which they lack'}"
            )
    references(cls.tables)


registry = PluginRegistry()
"""The process's registry."""

_discovered: set[str] = set()


def register_generator(name: str) -> Callable[[GeneratorT], GeneratorT]:
    """Register a generator class under a name; used as a decorator in the plugin's file."""

    def decorate(cls: GeneratorT) -> GeneratorT:
        registry.register(name, cls)
        return cls

    return decorate


def discover_generators(folder: Path | str | None = None) -> list[str]:
    """Import every plugin and return the registered names.

    Args:
        folder: A folder of plugin files to scan as well; the domain folders and the entry points of the group
            ``simtom.generators`` are always scanned, once a process.

    Raises:
        FileNotFoundError: The folder does not exist.
    """
    if "built-in" not in _discovered:
        _discovered.add("built-in")
        for domain in DOMAINS:
            package = importlib.import_module(f"generators.{domain}")
            for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
                registry.attempt(module.name, lambda name=module.name: importlib.import_module(name))  # type: ignore[misc]
        for entry in entry_points(group=ENTRY_POINT_GROUP):
            registry.attempt(f"{entry.name} ({entry.value})", entry.load)
    if folder is not None:
        _scan(Path(folder))
    return registry.names()


def _scan(folder: Path) -> None:
    if not folder.is_dir():
        raise FileNotFoundError(f"plugin folder {str(folder)!r} does not exist")
    for path in sorted(folder.glob("*.py")):
        key = str(path.resolve())
        if path.stem.startswith("_") or key in _discovered:
            continue
        _discovered.add(key)
        registry.attempt(path.name, lambda path=path: _load(path))  # type: ignore[misc]


def _load(path: Path) -> None:
    # Files of one name in two folders are two modules.
    name = f"simtom_plugin_{path.stem}_{crc32(bytes(path.resolve())):08x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


@dataclass(frozen=True)
class GeneratorInfo:
    """What a list of generators shows."""

    name: str
    domain: str
    description: str
    revision: int
    tables: tuple[str, ...]


def list_generators() -> list[GeneratorInfo]:
    """Return the registered generators, sorted by name; broken plugins are in ``registry.failures``."""
    discover_generators()
    classes = [registry.get(name) for name in registry.names()]
    return [
        GeneratorInfo(c.name, c.domain, c.description, c.revision, tuple(t.name for t in c.tables)) for c in classes
    ]


def generator_class(name: str) -> type[BaseGenerator[Any]]:
    """Return a generator's class by name.

    Raises:
        UnknownNameError: No such generator.
    """
    discover_generators()
    return registry.get(name)


def get_generator(name: str, config: GeneratorConfig | None = None, **fields: Any) -> BaseGenerator[Any]:
    """Return a generator by name, with a config or with the fields of one.

    Raises:
        UnknownNameError: No such generator.
        ConfigError: A field is unknown or its value is not allowed.
    """
    return generator_class(name)(config, **fields)

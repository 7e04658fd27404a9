from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from generators import (
    INSTANT,
    BaseGenerator,
    Batch,
    Column,
    ConfigError,
    PluginError,
    PluginRegistry,
    TableSchema,
    UnknownNameError,
    discover_generators,
    get_generator,
    list_generators,
    register_generator,
)

DAY = date(2024, 3, 5)
module = importlib.import_module("generators.registry")  # the package exports the registry under the same name
EVENTS = TableSchema("rows", "events", "1.0", (Column("timestamp", INSTANT, "When."), Column("x", pl.Float64, "x")))

PLUGIN = """
import polars as pl
from generators import INSTANT, BaseGenerator, Column, TableSchema, register_generator

@register_generator("{name}")
class Plugin(BaseGenerator):
    domain = "test"
    description = "A plugin."
    columns = (Column("timestamp", INSTANT, "When."), Column("x", pl.Float64, "x"))
    tables = (TableSchema("rows", "events", "1.0", columns),)

    def draw(self, batch):
        return pl.DataFrame({{"x": batch.rng("x").random(batch.n)}})
"""


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[PluginRegistry]:
    """A registry of its own, with nothing discovered yet."""
    registry = PluginRegistry()
    monkeypatch.setattr(module, "registry", registry)
    monkeypatch.setattr(module, "_discovered", {"built-in"})
    yield registry
    for name in [n for n in sys.modules if n.startswith("simtom_plugin_")]:
        del sys.modules[name]


class Good(BaseGenerator[Any]):
    domain = "test"
    description = "Good."
    tables = (EVENTS,)

    def draw(self, batch: Batch) -> pl.DataFrame:
        return pl.DataFrame({"x": batch.rng("x").random(batch.n)})


class Undrawn(BaseGenerator[Any]):
    domain = "test"
    description = "No draw."
    tables = (EVENTS,)


def variant(**attributes: Any) -> type[Good]:
    return type("Variant", (Good,), attributes)


def test_folder_scan_registers_and_generates(fresh: PluginRegistry, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(PLUGIN.format(name="one"))
    (tmp_path / "two.py").write_text(PLUGIN.format(name="two"))
    (tmp_path / "_private.py").write_text("raise RuntimeError('is not scanned')")
    assert discover_generators(tmp_path) == ["one", "two"]
    assert discover_generators(str(tmp_path)) == ["one", "two"], "scanned again without a collision"
    assert fresh.failures == {}
    assert get_generator("one", base_daily_volume=50).generate(DAY).columns == ["timestamp", "x"]


def test_folder_scan_of_same_file_names_in_two_folders(fresh: PluginRegistry, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "plugin.py").write_text(PLUGIN.format(name=name))
        discover_generators(tmp_path / name)
    assert fresh.names() == ["a", "b"]


def test_folder_scan_two_plugins_of_one_name_collide(fresh: PluginRegistry, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "plugin.py").write_text(PLUGIN.format(name="same"))
        discover_generators(tmp_path / folder)
    (failure,) = fresh.failures.values()
    assert "'same' is taken" in failure.error


def test_folder_missing(fresh: PluginRegistry, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        discover_generators(tmp_path / "nowhere")


def test_broken_plugin_is_reported_and_isolated(fresh: PluginRegistry, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module_anywhere")
    (tmp_path / "syntax.py").write_text("def (:")
    (tmp_path / "good.py").write_text(PLUGIN.format(name="good"))
    assert discover_generators(tmp_path) == ["good"]
    assert set(fresh.failures) == {"broken.py", "syntax.py"}
    assert "no_such_module_anywhere" in fresh.failures["broken.py"].error
    assert "SyntaxError" in fresh.failures["syntax.py"].error
    with pytest.raises(UnknownNameError, match=r"known: good.*broken\.py failed to import.*no_such_module"):
        get_generator("broken")
    assert [info.name for info in list_generators()] == ["good"]


def test_entry_points_of_an_installed_distribution(
    fresh: PluginRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "acme_generators-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-generators\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[simtom.generators]\nacme = acme_plugin\nbad = acme_missing\n")
    (tmp_path / "acme_plugin.py").write_text(PLUGIN.format(name="acme"))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    module._discovered.clear()
    try:
        assert "acme" in discover_generators()
    finally:
        sys.modules.pop("acme_plugin", None)
    (failure,) = fresh.failures.values()
    assert failure.name == "bad (acme_missing)"
    assert "acme_missing" in failure.error


def test_collision_raises_and_keeps_the_first(fresh: PluginRegistry) -> None:
    fresh.register("good", Good)
    fresh.register("good", Good)
    with pytest.raises(PluginError, match=r"'good' is taken by .*Good; .*Variant needs another"):
        fresh.register("good", variant())
    assert fresh.get("good") is Good


def test_decorator_returns_the_class_and_names_it(fresh: PluginRegistry) -> None:
    cls = variant()
    assert register_generator("thing")(cls) is cls
    assert cls.name == "thing"
    assert fresh.names() == ["thing"]


@pytest.mark.parametrize(
    "name, cls, reason",
    [
        ("x", Undrawn, "does not implement draw"),
        ("x", int, "not a subclass of BaseGenerator"),
        ("x", "text", "not a subclass of BaseGenerator"),
        ("My-Name", variant(), "lower-case identifier"),
        ("x", variant(domain=""), "no domain"),
        ("x", variant(description=""), "no description"),
        ("x", variant(tables=()), "no tables"),
        ("x", variant(tables=(replace(EVENTS, kind="dimension"),)), "not its event table"),
        ("x", variant(tables=(EVENTS, EVENTS)), "declares a table twice"),
        ("x", variant(config_type=dict), "not a GeneratorConfig"),
        ("x", variant(revision=0), "positive integer"),
        (
            "x",
            variant(tables=(replace(EVENTS, columns=(*EVENTS.columns, Column("c", pl.String, "c", format="#" * 16))),)),
            "16 digits",
        ),
    ],
)
def test_contract_breaches_are_refused(fresh: PluginRegistry, name: str, cls: Any, reason: str) -> None:
    with pytest.raises(PluginError, match=reason):
        fresh.register(name, cls)
    assert fresh.names() == []


def test_unknown_name_lists_the_known(fresh: PluginRegistry) -> None:
    fresh.register("good", Good)
    with pytest.raises(UnknownNameError, match="unknown generator 'god'; known: good"):
        get_generator("god")


def test_unknown_config_field_lists_the_known(fresh: PluginRegistry) -> None:
    fresh.register("good", Good)
    with pytest.raises(ConfigError, match="unknown field 'sed'; known: seed, base_daily_volume"):
        get_generator("good", sed=1)


def test_setup_once_before_the_first_day_and_cleanup_at_the_end(fresh: PluginRegistry) -> None:
    calls: list[str] = []

    class Hooked(Good):
        def setup(self) -> None:
            calls.append("setup")

        def cleanup(self) -> None:
            calls.append("cleanup")

        def draw(self, batch: Batch) -> pl.DataFrame:
            calls.append("draw")
            return super().draw(batch)

    fresh.register("hooked", Hooked)
    with get_generator("hooked") as generator:
        generator.generate(DAY)
        generator.generate(DAY)
    assert calls == ["setup", "draw", "draw", "cleanup"]
    generator.generate(DAY)
    assert calls[4:] == ["setup", "draw"], "usable again after it was left"


def test_cleanup_after_an_error(fresh: PluginRegistry) -> None:
    calls: list[str] = []
    hooked = variant(cleanup=lambda self: calls.append("cleanup"))
    fresh.register("hooked", hooked)
    with pytest.raises(ZeroDivisionError), get_generator("hooked"):
        raise ZeroDivisionError
    assert calls == ["cleanup"]


def test_built_in_generators_import_without_failure() -> None:
    assert "bnpl" in discover_generators()
    assert {name: f.error for name, f in module.registry.failures.items() if name.startswith("generators.")} == {}


@pytest.mark.parametrize(
    "events,needed",
    [
        (EVENTS, "a unique column"),
        (replace(EVENTS, columns=(*EVENTS.columns, Column("row_id", pl.UInt32, "Key.", unique=True))), "'row_id'"),
    ],
)
def test_label_table_without_the_key_of_its_events_is_refused(
    fresh: PluginRegistry, events: TableSchema, needed: str
) -> None:
    labels = TableSchema("labels", "labels", "1.0", (Column("y", pl.Boolean, "y"),), window=3)

    class Labelled(BaseGenerator[Any]):
        domain, description, tables = "test", "Labels that belong to nothing.", (events, labels)

        def draw(self, batch: Batch) -> pl.DataFrame:
            raise NotImplementedError

    with pytest.raises(PluginError, match=f"label table 'labels' has columns .*needed: .*{needed}"):
        fresh.register("labelled", Labelled)

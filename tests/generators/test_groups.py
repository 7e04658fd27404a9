"""Groups of config fields: names, mixes, dotted changes, and refusals that name the field inside its group."""

from __future__ import annotations

import pytest
from pydantic import Field, ValidationError

from generators.config import GeneratorConfig
from generators.errors import ConfigError
from generators.groups import Each, FieldGroup, Mix, Share, leaves
from generators.strict import known_fields


class Doors(FieldGroup):
    """How people come in."""

    codes: Mix = Field(default={"51": 0.5, "05": 0.25, "N7": 0.25}, description="Code -> share.")
    late: Each[Share] = Field(default={"front": 0.1, "back": 0.2}, description="Door -> share.")
    pairs: Each[tuple[Share, Share]] = Field(default={"front": (0.1, 0.2)}, description="Door -> shares.")
    by_door: Each[Mix] = Field(
        default={"front": {"foot": 0.5, "bike": 0.5}, "back": {"foot": 1.0, "bike": 0.0}}, description="Door -> means."
    )
    width: float = Field(default=1.0, gt=0, description="Width.")


class HouseConfig(GeneratorConfig):
    """A house."""

    doors: Doors = Field(default=Doors(), description="Doors.")
    rooms: int = Field(default=3, description="Rooms.")


def test_names_left_out_of_a_mix_have_no_share_and_the_order_is_the_defaults() -> None:
    doors = Doors.model_validate({"codes": {"N7": 0.4, 51: 0.6}})  # YAML reads 51 as a number
    assert list(doors.codes.items()) == [("51", 0.6), ("05", 0.0), ("N7", 0.4)]


def test_names_left_out_of_the_others_keep_their_default() -> None:
    doors = Doors.model_validate({"late": {"back": 0.9}, "by_door": {"back": {"bike": 1.0}}})
    assert doors.late == {"front": 0.1, "back": 0.9}
    assert doors.by_door == {"front": {"foot": 0.5, "bike": 0.5}, "back": {"foot": 0.0, "bike": 1.0}}
    assert Doors().late == {"front": 0.1, "back": 0.2}


@pytest.mark.parametrize(
    "fields, named",
    [
        ({"codes": {"51": 0.5}}, r"codes.*sum to 0\.5; allowed: shares from 0 to 1 that sum to 1"),
        ({"codes": {"99": 1.0}}, "codes.*unknown names 99; allowed: 51, 05, N7"),
        ({"codes": {"51": 1.5, "05": -0.5}}, r"codes\.51.*less than or equal to 1"),
        ({"codes": {"51": float("nan")}}, r"codes\.51.*finite"),
        ({"late": {"side": 0.5}}, "late.*unknown names side; allowed: front, back"),
        ({"by_door": {"back": {"foot": 0.2}}}, r"by_door.*back: the shares sum to 0\.2"),
        ({"by_door": {"back": {"boat": 1.0}}}, "by_door.*back: unknown names boat; allowed: foot, bike"),
        ({"wide": 2}, "wide"),
    ],
)
def test_what_is_not_allowed_is_refused(fields: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=f"(?s){named}"):
        Doors.model_validate(fields)
    with pytest.raises(ConfigError, match=rf"(?s)doors\.({named})"):
        HouseConfig.create(doors=fields)


def test_an_unknown_field_lists_those_of_its_group() -> None:
    with pytest.raises(ConfigError, match=r"unknown field 'doors\.wide'; known: codes, late, pairs, by_door, width$"):
        HouseConfig.create(doors={"wide": 2})
    with pytest.raises(ConfigError, match=r"unknown field 'dors'; known: seed, .*doors, rooms$"):
        HouseConfig.create(dors={})
    assert known_fields(HouseConfig, ("rooms",)) == list(HouseConfig.model_fields)


def test_dotted_changes_leave_what_else_is_set() -> None:
    base = HouseConfig.create(doors={"width": 2.0}, holiday_multipliers={"black_friday": 3.0}, rooms=5)
    changed = base.changed({"doors.late.back": 0.5, "holiday_multipliers.christmas_day": 0.0, "seed": 7})
    assert (changed.doors.width, changed.doors.late) == (2.0, {"front": 0.1, "back": 0.5})
    assert changed.holiday_multipliers == {"black_friday": 3.0, "christmas_day": 0.0}
    assert (changed.rooms, changed.seed) == (5, 7)
    assert "label_mode" not in changed.model_fields_set
    assert base.changed({"doors": {"late": {"back": 0.5}}}).doors.width == 1.0  # a whole group, not a field in it
    assert base.changed({"holiday_multipliers": {"cyber_monday": 2.0}}).holiday_multipliers == {"cyber_monday": 2.0}


@pytest.mark.parametrize("name", ["rooms.size", "doors.width.left"])
def test_a_field_without_fields_is_refused(name: str) -> None:
    base = HouseConfig.create(rooms=5, doors={"width": 2.0})
    with pytest.raises(ConfigError, match=rf"'{name}': '{name.rpartition('.')[0]}' has no fields of its own"):
        base.changed({name: 1})


def test_defaults_are_not_in_the_canonical_config() -> None:
    assert HouseConfig.create(doors={"width": 1.0, "late": {"back": 0.2}}).canonical() == "{}"
    config = HouseConfig.create(doors={"width": 2.0, "codes": {"51": 1.0}})
    assert config.canonical() == '{"doors":{"codes":{"05":0.0,"51":1.0,"N7":0.0},"width":2.0}}'
    assert HouseConfig.model_validate_json(config.canonical()) == config


def test_leaves_reach_into_groups() -> None:
    names = list(leaves(HouseConfig))
    assert names[-6:] == ["doors.codes", "doors.late", "doors.pairs", "doors.by_door", "doors.width", "rooms"]
    assert "doors" not in names
    assert leaves(HouseConfig)["doors.width"].description == "Width."

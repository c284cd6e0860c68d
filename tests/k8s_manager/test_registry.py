"""Which processes a configuration names, and where their files are found."""

import shutil
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import processes
from k8s_manager import registry
from k8s_manager.errors import ConfigError, UnknownProcess
from k8s_manager.registry import Registry
from k8s_manager.settings import Settings, read_config

GREET = Path(__file__).parent.parent / "data" / "processes" / "greet" / "process.cwl"
REPOSITORY = Path(processes.__file__).parent.parent


def settings(folder: Path) -> Settings:
    return Settings(folder / "pygeoapi-config.yml", folder / "var", "sqlite://", folder / "work")


def config(cwl: str, name: str = "greet") -> dict[str, Any]:
    processor = {"name": "k8s_manager.processor.CwlProcessor", "cwl": cwl}
    return {"resources": {name: {"type": "process", "processor": processor}}}


def test_processes_are_found_by_the_processor_of_their_resource(tmp_path: Path) -> None:
    entries = config(str(GREET))
    entries["resources"]["places"] = {"type": "collection", "providers": []}
    entries["resources"]["other"] = {"type": "process", "processor": {"name": "HelloWorld"}}

    assert list(Registry.from_config(entries, settings(tmp_path)).processes) == ["greet"]


def test_the_shipped_configuration_names_the_chain() -> None:
    path = REPOSITORY / "pygeoapi-config.yml"
    found = Registry.from_config(read_config(path, {}), settings(REPOSITORY))

    assert "orchard-monitoring" in found.processes


def test_an_unknown_process_is_answered_with_those_that_exist(tmp_path: Path) -> None:
    found = Registry.from_config(config(str(GREET)), settings(tmp_path))

    assert found.get("greet").title == "Greet somebody"
    with pytest.raises(UnknownProcess, match="there is no process 'gret'; configured are greet"):
        found.get("gret")


def test_a_relative_file_is_looked_up_in_three_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, current = tmp_path / "beside", tmp_path / "current"
    for folder in (beside, current):
        (folder / "mine").mkdir(parents=True)
    monkeypatch.chdir(current)
    given = "mine/process.cwl"

    with pytest.raises(ConfigError) as raised:
        registry.find("greet", given, beside / "pygeoapi-config.yml")
    for folder in (beside, current, REPOSITORY):
        assert str(folder / given) in str(raised.value)

    shutil.copy(GREET, current / given)
    assert registry.find("greet", given, beside / "c.yml") == current / given
    shutil.copy(GREET, beside / given)
    assert registry.find("greet", given, beside / "c.yml") == beside / given
    installed = "processes/ingest/process.cwl"
    assert registry.find("ingest", installed, beside / "c.yml") == REPOSITORY / installed


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("welcome", r"process welcome: .* has the id 'greet'; name the resource 'greet'"),
        ("Greet", "has the id 'greet'"),
    ],
)
def test_the_resource_has_the_name_of_the_process(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        Registry.from_config(config(str(GREET), name), settings(tmp_path))


def test_hyphens_and_underscores_are_told_apart(tmp_path: Path) -> None:
    chain = config("processes/orchard_monitoring/process.cwl", "orchard_monitoring")

    with pytest.raises(ConfigError, match="hyphens and underscores differ"):
        Registry.from_config(chain, settings(tmp_path))


def test_an_entry_without_a_file_is_named(tmp_path: Path) -> None:
    entries = config("x")
    del entries["resources"]["greet"]["processor"]["cwl"]

    with pytest.raises(ConfigError, match="process greet: `processor` needs `cwl`"):
        Registry.from_config(entries, settings(tmp_path))


def test_another_package_of_the_same_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = types.ModuleType("processes")
    other.__spec__ = processes.__spec__
    monkeypatch.setitem(sys.modules, "processes", other)
    monkeypatch.setattr(registry, "processes", other)

    with pytest.raises(ConfigError, match="is not the one of this project; uninstall it"):
        Registry.from_config({}, settings(tmp_path))

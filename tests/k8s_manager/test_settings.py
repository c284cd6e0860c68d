"""Settings: environment beats file, and what is wrong is said in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8s_manager.errors import ConfigError
from k8s_manager.settings import Settings, expand

CONFIG = """
server:
  manager:
    name: k8s_manager.manager.KubernetesManager
    workers: 3
    lease_s: 5
    datasets:
      meadows: {crs: "EPSG:25832", area: [0, 1, 2, 3], writers: [chain], title: {en: Meadows}}
"""


def config(folder: Path, text: str = CONFIG) -> Path:
    path = folder / "config.yml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


def test_environment_beats_file_and_file_beats_default(tmp_path: Path) -> None:
    env = {
        "CDI_HOME": str(tmp_path / "home"),
        "CDI_WORKERS": "7",
        "CDI_OUTSIDE_INPUT_HOSTS": "a.org,b.org",
    }
    settings = Settings.load(env, config(tmp_path))
    assert (settings.workers, settings.lease_s, settings.port) == (7, 5.0, 5000)
    assert settings.outside.input_hosts == ("a.org", "b.org")
    assert settings.database_url == f"sqlite:///{tmp_path / 'home' / 'cdi.db'}"
    assert settings.workspace == tmp_path / "home" / "workspace"
    assert settings.datasets["meadows"].area == (0.0, 1.0, 2.0, 3.0)
    assert settings.datasets["meadows"].writers == ("chain",)


def test_a_title_may_be_one_text_for_all_languages(tmp_path: Path) -> None:
    text = CONFIG.replace("{en: Meadows}", "Meadows").replace("[chain]", "chain")
    meadows = Settings.load({}, config(tmp_path, text)).datasets["meadows"]
    assert meadows.title == {"en": "Meadows", "de": "Meadows"}
    assert meadows.writers == ("chain",)


def test_switches_are_read_as_words_and_numbers(tmp_path: Path) -> None:
    for text, value in (("1", True), ("true", True), ("0", False), ("False", False)):
        settings = Settings.load({"CDI_ALLOW_ANONYMOUS": text}, config(tmp_path))
        assert settings.allow_anonymous is value


@pytest.mark.parametrize(
    ("env", "word"),
    [
        ({"CDI_WORKERS": "many"}, "CDI_WORKERS"),
        ({"CDI_ALLOW_ANONYMOUS": "perhaps"}, "CDI_ALLOW_ANONYMOUS"),
        ({"CDI_BACKEND": "cloud"}, "local or kubernetes"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, env: dict[str, str], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        Settings.load(env, config(tmp_path))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("server: [", "not valid YAML"),
        ("\udcff", "not valid YAML"),
        ("metadata: {}", "no section 'server'"),
        ("server: {manager: []}\nresources: []", "resources"),
        ("server: {manager: [1]}", "server.manager"),
        ("server: {manager: {datasets: [a]}}", "server.manager.datasets"),
        ("server: {manager: {datasets: {A: {crs: x, writers: [y]}}}}", "lower case"),
        ("server: {manager: {datasets: {a: {writers: [y]}}}}", "expected crs"),
        ("server: {manager: {datasets: {a: {crs: x, writers: [y]}}}}", "as EPSG:25832"),
        *(
            (f"server: {{manager: {{datasets: {{a: {{crs: 'EPSG:25832', {more}}}}}}}}}", word)
            for more, word in (
                ("writers: {y: z}", "expected ids of processes"),
                ("writers: [y], titel: Meadows", "titel not understood"),
                ("writers: [y], title: [Meadows]", "title is .* expected a text"),
                ("writers: [y], note: {fr: Vergers}", "note is .* expected a text"),
                ("writers: [y], area: [1, 2, 3]", "expected four numbers"),
                ("writers: [y], area: [3, 2, 1, 4]", "left, bottom, right, top"),
                ("writers: [y], area: NRW", "expected four numbers"),
            )
        ),
        ("server:\n  url: ${NOWHERE}", "NOWHERE"),
    ],
)
def test_a_wrong_file_is_named_with_what_was_expected(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        Settings.load({}, config(tmp_path, text))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match="CDI_CONFIG"):
        Settings.load({"CDI_CONFIG": "/nowhere/config.yml"})


def test_variables_take_their_default_when_they_are_not_set() -> None:
    assert expand("${A:-x} ${B:-}", {"A": "1"}) == "1 "

"""The report stands alone, says in two languages what it must, and lets no data act as markup."""

import re
from html.parser import HTMLParser

import pytest

from processes.publish.inputs import attributions, inputs_of
from processes.publish.report import VERDICT_NAMES, read_reasons
from tests.processes.publish.conftest import EAST, item


class Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_the_report_loads_nothing_from_elsewhere_and_runs_no_script(make_run, release_of):
    page = Elements((release_of(make_run()) / "report.html").read_text())
    assert not [tag for tag, _ in page.found if tag in ("script", "link", "img", "iframe")]
    assert not [tag for tag, attrs in page.found if {"src", "href"} & set(attrs)]
    assert any(tag == "svg" for tag, _ in page.found)


def test_values_out_of_data_are_escaped(make_run, release_of):
    made = make_run()
    evil = "</td><script>alert(1)</script><b title='\""
    made.objects["municipality"] = evil
    made.objects["reasons"] = f'["{evil[:-1]}"]'.replace("'", "")
    made.missing = {"missing": [{"product": evil, "reason": evil}], "notes": [evil]}
    made.items[0]["properties"]["cdi:attribution"] = evil
    page = Elements((release_of(made) / "report.html").read_text())
    assert not [tag for tag, _ in page.found if tag in ("script", "b")]
    assert page.text.count("alert(1)") >= 4


def test_the_report_speaks_german_and_english(make_run, release_of):
    text = (release_of(make_run()) / "report.html").read_text()
    reasons = read_reasons()
    for words in (*VERDICT_NAMES.values(), reasons["trees-enough"], reasons["one-source-only"]):
        assert Elements(text).text.count(words["de"]) >= 1
        assert Elements(text).text.count(words["en"]) >= 1


def test_the_map_draws_every_object_in_the_colour_of_its_verdict(make_run, release_of):
    text = (
        release_of(make_run(verdicts=["confirmed"] * 3 + ["rejected"])) / "report.html"
    ).read_text()
    drawn = {
        colour: path.count("M")
        for path, colour in re.findall(r'<path d="([^"]+)" fill="(#[0-9a-f]{6})"', text)
    }
    assert drawn == {"#2b7a3d": 3, "#b3261e": 1}


def test_the_scale_bar_is_as_long_as_it_says(make_run, release_of):
    text = (release_of(make_run()) / "report.html").read_text()
    pixels = float(re.search(r"v6h([0-9.]+)v-6", text)[1])
    metres = int(re.search(r'font-size="13">([0-9]+) m<', text)[1])
    # The area is 1000 m wide and high; height decides: 1000 m in 720 pixels less two margins of 12.
    assert metres == 200
    assert pixels == pytest.approx(200 * (720 - 24) / 1000, abs=0.1)


def test_a_test_bench_says_so_and_real_data_do_not(make_run, release_of):
    made = make_run("made-up")
    made.items[0]["properties"]["cdi:test_bench"] = True
    assert "Prüfstand" in (release_of(made) / "report.html").read_text()
    assert "Prüfstand" not in (release_of(make_run("real")) / "report.html").read_text()


def test_a_release_that_keeps_made_up_objects_stays_a_test_bench(make_run, release_of):
    made = make_run("made-up", prefix="m")
    made.items[0]["properties"]["cdi:test_bench"] = True
    first = release_of(made, "000001")
    second = release_of(make_run("real", EAST, prefix="r"), "000002", previous=first)
    assert "Prüfstand" in (second / "report.html").read_text()


def test_what_was_missing_is_listed(make_run, release_of):
    made = make_run()
    made.missing = {
        "missing": [{"product": "dop", "source": "nrw", "name": "dop10_1", "reason": "not there"}],
        "notes": [],
    }
    assert "dop nrw dop10_1: not there" in (release_of(made) / "report.html").read_text()


def test_inputs_are_named_with_date_licence_and_the_words_their_owners_ask_for():
    inputs = inputs_of(
        [
            item("a", "ndom", "2022-05-14", attribution="Geobasis NRW"),
            item("b", "sentinel-2-l2a", "2023-06-01", licence="Copernicus licence"),
            item("c", "sentinel-2-l2a", "2024-01-01", licence="Copernicus licence"),
        ]
    )
    assert [(entry["product"], entry["date"], entry["count"]) for entry in inputs] == [
        ("ndom", "2022-05-14", 1),
        ("sentinel-2-l2a", "2023-06-01/2024-01-01", 2),
    ]
    assert attributions(inputs) == [
        "Geobasis NRW, dl-de/zero-2-0",
        "Contains modified Copernicus Sentinel data 2023-2024, Copernicus licence",
    ]


def test_what_nobody_counted_is_a_dash_and_not_zero(make_run, release_of):
    made = make_run(verdicts=["uncertain"])
    made.objects["trees"] = [None]
    made.objects["confidence"] = [None]
    made.trees = made.trees.iloc[:0]
    made.trees.attrs["geometry_type"] = "Polygon"
    text = (release_of(made) / "report.html").read_text()
    assert '<td class="n">–</td><td class="n">0.25</td><td class="n">–</td>' in text

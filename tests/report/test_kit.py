"""How every report writes numbers, tables, error bars and what its scripts read."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

import pytest

from persistence_pipeline.report.kit.figures import error_bars, fitted_line, new_panels
from persistence_pipeline.report.kit.page import compressed, script_json
from persistence_pipeline.report.kit.tables import latex_table, make_table, markdown_table
from persistence_pipeline.report.kit.text import bounds_text, interval_text, number, ratio_text, true_minus
from persistence_pipeline.report.links import Links
from persistence_pipeline.report.settings_table import settings_table


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (-0.5, ".2f", "−0.50"),
        (0.5, "+.2f", "+0.50"),
        (1234, ",", "1,234"),
        (0.125, ".1%", "12.5%"),
        (-1.5e-7, ".1e", "−1.5e-07"),
        (-0.001, "+.2f", "0.00"),
        (-0.0, ".0%", "0%"),
        (None, ".2f", "–"),
        (float("nan"), "d", "–"),
    ],
)
def test_a_number_has_a_true_minus_or_is_a_dash(value: float | None, spec: str, text: str) -> None:
    assert number(value, spec) == text


def test_negative_numbers_in_a_text_have_a_true_minus() -> None:
    assert true_minus("[-0.025, 0.735] of S-H, -3") == "[−0.025, 0.735] of S-H, −3"


def test_intervals_and_ratios() -> None:
    ratio = {"estimate": -0.1, "low": -0.25, "high": 0.0, "defined": True}
    assert interval_text(ratio) == "−0.10 [−0.25, 0.00]"
    assert ratio_text(ratio) == "−0.10 [−0.25, 0.00]"
    assert ratio_text({**ratio, "defined": False}) == "undefined"
    assert interval_text({"estimate": 1.0, "low": None, "high": None}) == "+1.00"
    assert interval_text(None) == ratio_text({}) == "–"
    assert bounds_text({"estimate": 1.0}) == ""


def test_a_table_writes_each_column_in_its_way_and_a_missing_key_as_a_dash() -> None:
    columns = [("name", "who", str.upper), ("share", "share", ".0%"), ("share", "again", ".2f")]
    table = make_table([{"name": "a|b", "share": -0.5}, {"name": "c"}], columns)
    assert table == (["who", "share", "again"], [["A|B", "−50%", "−0.50"], ["C", "–", "–"]])
    assert markdown_table(table).splitlines()[2] == "| A\\|B | −50% | −0.50 |"
    latex = latex_table(table, "Scores of S > H, in %")
    assert r"A|B & $-$50\% & $-$0.50 \\" in latex
    assert r"\caption{Scores of S $>$ H, in \%}" in latex and r"\label{tab:scores-of-s-h-in-}" in latex
    assert latex.index(r"\caption") < latex.index(r"\begin{tabular}")


def test_a_cell_that_leads_somewhere_is_its_text_everywhere_else() -> None:
    def lead(row: Mapping[str, Any], key: str) -> str | None:
        return f"#{row['name']}" if key == "share" else None

    columns = [("name", "who", str), ("share", "share", ".2f")]
    plain = make_table([{"name": "a", "share": 1.0}], columns)
    linked = make_table([{"name": "a", "share": 1.0}, {"name": "b"}], columns, lead)
    assert linked[1][0] == plain[1][0] and markdown_table((linked[0], linked[1][:1])) == markdown_table(plain)
    assert linked[1][0][1].href == "#a" and not hasattr(linked[1][1][1], "href"), "a dash leads nowhere"


def test_a_large_document_is_held_compressed_the_same_at_any_time() -> None:
    document = {"text": ["</script>", "ü\u2028"] * 500}
    packed = compressed(document)
    assert packed == compressed(document) and len(packed) < 300 and not set("<>&") & set(packed)
    assert json.loads(gzip.decompress(base64.b64decode(packed))) == document


def test_error_bars_end_at_the_bounds_and_are_absent_without_them() -> None:
    bars = error_bars([{"estimate": -0.5, "low": -1.0, "high": 0.0}, {"estimate": 1.0, "low": None}], width=0)
    assert bars == {"type": "data", "array": [0.5, 0.0], "arrayminus": [0.5, 0.0], "width": 0}


def test_panels_stand_in_rows_and_look_alike() -> None:
    figure = new_panels(list("abc"), 400, cols=2)
    layout = figure.to_dict()["layout"]
    assert layout["xaxis3"]["gridcolor"] == layout["xaxis"]["gridcolor"] and "xaxis4" in layout
    line: Any = fitted_line({"slope": 2.0, "intercept": 1.0}, [0.0, 1.0])
    assert list(line.y) == [1.0, 3.0]


def test_what_scripts_read_cannot_end_the_script() -> None:
    document = {"text": "</script><!-- & \u2028"}
    text = script_json(document)
    assert not set("<>&\u2028") & set(text) and json.loads(text) == document


def test_a_setting_of_one_objective_stands_in_its_column_alone() -> None:
    stage = {"source": "llama", "seed": 0, "parent": "llama_s0", "settings": {"loss": "sigmoid"}}
    policies: dict[str, dict[str, object]] = {"llama_s0": {"source": "llama", "seed": 0}} | {
        f"{ordering}{10 * rate:.0f}": {
            "ordering": ordering,
            "factors": {"helpfulness.learning_rate": rate},
            **stage,
        }
        for ordering in ("safety", "helpfulness")
        for rate in (0.1, 0.2)
    }
    training = {"safety": {"learning_rate": 0.3}, "helpfulness": {"learning_rate": 0.3}}
    header, rows = settings_table({"policies": policies, "training": training}, Links([], "test_combination"))
    assert header == ["setting", "safety", "helpfulness"]
    assert rows == [["loss", "sigmoid", "sigmoid"], ["learning rate", "0.3", "0.1, 0.2"]]

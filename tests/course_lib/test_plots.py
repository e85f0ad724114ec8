"""The words and tables of the shared figures say what the data say."""

import warnings

import numpy as np
import pytest

from course_lib import plots

PICTURES = np.zeros((3, 48, 48, 3), dtype=np.uint8)


def test_learning_curves_name_start_end_and_floor():
    shown = plots.learning_curves({"linear": [(0, 0.31), (100, 0.72)], "MLP": [(0, 0.30), (50, 0.6)]}, 0.38)
    for said in ("linear goes from 0.31 to 0.72", "MLP goes from 0.30 to 0.60", "0.38 without a picture"):
        assert said in shown.alt
    assert shown.table.cells() == [["0", "0.310", "0.300"], ["50", "", "0.600"], ["100", "0.720", ""]]


def test_curves_without_a_floor_do_not_invent_one():
    assert "without a picture" not in plots.learning_curves({"gate": [(0, 0.0), (9, 0.2)]}).alt


def test_bars_by_kind_give_every_height_in_words():
    shown = plots.by_kind({"blind": {"colour": 0.17, "where": 0.11}, "MLP": {"colour": 0.9, "where": 0.8}})
    assert "blind: colour 0.17, where 0.11; MLP: colour 0.90, where 0.80" in shown.alt
    assert shown.table.cells() == [["blind", "0.170", "0.110"], ["MLP", "0.900", "0.800"]]


def test_dots_tell_every_run_and_not_only_the_mean():
    alt = plots.dots({"linear": [0.7, 0.75], "MLP": [0.8, 0.85]}, 0.3).alt
    assert "linear: 0.700, 0.750" in alt
    assert "MLP: 0.800, 0.850" in alt


def test_a_matrix_names_its_largest_cell_and_tables_the_rest():
    values = np.array([[0.1, 0.2, 0.0], [0.9, 0.3, 0.4]])
    shown = plots.matrix(values, ["a", "b"], ["x", "y", "z"], title="influence")
    assert "Largest: 0.9 at b, x" in shown.alt
    assert shown.table.cells() == [["a", "0.100", "0.200", "0.000"], ["b", "0.900", "0.300", "0.400"]]


@pytest.mark.parametrize(
    "values", [np.zeros((2, 2)), np.full((2, 2), -1.0)], ids=["all zero", "all negative"]
)
def test_a_flat_matrix_is_drawn_all_the_same(values):
    assert plots.matrix(values, ["a", "b"], ["x", "y"], title="flat").png.startswith(b"\x89PNG")


def test_tables_of_yes_and_no_count_and_list_every_entry():
    panels = {"left": np.array([[True, False, True]]), "right": np.zeros((1, 3), dtype=bool)}
    shown = plots.yes_or_no(panels, ["a"], ["x", "y", "z"], title="who sees whom", across=2)
    assert "left: 2 of 3; right: 0 of 3" in shown.alt
    assert shown.table.cells() == [["left", "a", "1", "0", "1"], ["right", "a", "0", "0", "0"]]


def test_maps_count_rows_and_columns_from_one():
    maps = np.zeros((3, 3, 3))
    maps[0, 2, 1] = maps[1, 0, 0] = maps[2, 1, 2] = 0.8
    shown = plots.looks(PICTURES, maps, ["first", "second", "third"])
    for said in (
        "first: most at row 3, column 2 (0.80)",
        "second: most at row 1, column 1",
        "third: most at row 2, column 3",
    ):
        assert said in shown.alt
    assert shown.table.cells()[0][1:] == ["0.000"] * 7 + ["0.800", "0.000"]


def test_pictures_and_titles_must_match_in_number():
    with pytest.raises(ValueError, match="zip"):
        plots.album(PICTURES, ["only one"])


def test_tokens_are_ordered_whatever_the_order_given():
    shown = plots.against_tokens({"all": [(36, 0.8), (1, 0.3), (9, 0.9)], "where": [(9, 0.7)]})
    assert "all: 0.30 at 1, 0.90 at 9, 0.80 at 36" in shown.alt
    assert [row[0] for row in shown.table.cells()] == ["1", "9", "36"]
    assert shown.table.cells()[1] == ["9", "0.900", "0.700"]


def test_no_figure_stays_open():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.album(PICTURES, ["a", "b", "c"])
    assert pyplot.get_fignums() == []

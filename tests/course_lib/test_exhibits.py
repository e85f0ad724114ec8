"""Figures carry their words and their numbers."""

import pytest
from matplotlib.figure import Figure

from course_lib.exhibits import Table, exhibit


def test_a_figure_without_words_is_refused():
    with pytest.raises(ValueError, match="alternative text"):
        exhibit(Figure(), "  ")


def test_the_image_carries_its_alternative_text_escaped():
    html = exhibit(Figure(), 'a "ring" < a circle')._repr_html_()
    assert 'alt="a &quot;ring&quot; &lt; a circle"' in html
    assert 'src="data:image/png;base64,' in html


def test_the_same_figure_gives_the_same_bytes():
    first, second = (exhibit(Figure(figsize=(1, 1)), "empty") for _ in range(2))
    assert first.png == second.png


def test_a_table_shows_every_number_in_text_and_in_html():
    table = Table(["name", "parameters", "right"], [["MLP", 20979712, 0.9], ["<none>", 0, 0.25]])
    for number in ("20,979,712", "0.900", "0.250"):
        assert number in str(table)
        assert number in table._repr_html_()
    assert "&lt;none&gt;" in table._repr_html_()
    assert (
        len({line.index("0.") for line in str(table).splitlines()[2:]}) == 1
    )  # columns stand below each other


def test_truth_values_are_words_not_numbers():
    assert Table(["ok"], [[True]]).cells() == [["yes"]]

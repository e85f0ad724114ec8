"""Exhibits: a figure that a notebook shows together with its description and its numbers.

A picture alone shuts some readers out. So a figure here always travels with an alternative text, and a
heat map with a table of the numbers behind it. Displayed as the last value of a cell, an exhibit becomes one
`<img alt=...>` with the table folded below it; printed, it is its text.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from matplotlib.figure import Figure

# Okabe and Ito's palette, which stays distinct for every common kind of colour vision. Markers and hatches
# repeat the difference, so that nothing is said by colour alone.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, RED, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#8A8A8A"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "--")
DPI = 110


@dataclass(frozen=True)
class Table:
    """Rows under a header, shown as a table in a notebook and as aligned columns in text.

    Args:
        header: one title a column.
        rows: cells; a float is shown with three digits after the point, a whole number with commas.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[object]]

    def cells(self) -> list[list[str]]:
        """Every cell as text."""
        return [[_text(cell) for cell in row] for row in self.rows]

    def __str__(self) -> str:
        lines = [[str(title) for title in self.header], *self.cells()]
        widths = [max(len(line[k]) for line in lines) for k in range(len(self.header))]
        lines.insert(1, ["-" * width for width in widths])
        return "\n".join(_aligned(line, widths) for line in lines)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        head = "".join(
            f"<th scope='col' style='text-align:left'>{escape(str(title))}</th>" for title in self.header
        )
        body = "".join(
            "<tr>" + "".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.cells()
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


@dataclass(frozen=True)
class Exhibit:
    """One figure, what it shows in words, and the numbers behind it.

    Args:
        png: the drawn figure.
        alt: the alternative text: what a reader who cannot see the figure needs to know.
        table: the numbers, where the figure is a heat map or a chart one cannot read off.
    """

    png: bytes
    alt: str
    table: Table | None = None

    def __str__(self) -> str:
        return self.alt if self.table is None else f"{self.alt}\n{self.table}"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        picture = base64.b64encode(self.png).decode("ascii")
        style = "max-width:100%;background:white"
        html = f'<img alt="{escape(self.alt)}" style="{style}" src="data:image/png;base64,{picture}">'
        if self.table is not None:
            html += f"<details><summary>The same as numbers</summary>{self.table._repr_html_()}</details>"
        return html


def exhibit(figure: Figure, alt: str, table: Table | None = None) -> Exhibit:
    """Draw a figure into an exhibit.

    Raises:
        ValueError: there is no alternative text.
    """
    if not alt.strip():
        raise ValueError("an exhibit needs an alternative text: say what the figure shows.")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None})
    return Exhibit(buffer.getvalue(), alt, table)


def _text(cell: object) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.3f}"
    if isinstance(cell, int):
        return f"{cell:,}"
    return str(cell)


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()

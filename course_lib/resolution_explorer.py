"""How many tokens is a picture of any size, read whole or in tiles, and what share of the context is that?

    resolution_explorer(picture_tokens)    width and height, whole or in tiles, and the share of the context

With ipywidgets in a live kernel there are controls; without, one figure that is complete.
"""

from collections.abc import Callable, Mapping
from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course_lib.exhibits import BLUE, GREY, Exhibit, Table, exhibit
from course_lib.explorers import explorer
from course_lib.real_sizes import CLIP_L

PATCH, TILE = CLIP_L.patch, CLIP_L.image  # of the encoder; a tile is what it reads at once


def resolution_explorer(picture_tokens: Callable[..., int], live: bool | None = None) -> Any:
    """A picture of any width and height, whole or in tiles: its tokens, and its share of the context.

    Args:
        picture_tokens: (width, height, patch, merge, tile, max_tiles) -> visual tokens, as
            `course_lib.cost_model.picture_tokens`; a thumbnail is among them where there are several tiles.
        live: True for controls, False for the figure alone; None decides by the machine.
    """

    def draw(
        width: int = 1008,
        height: int = 672,
        tiling: str = "in tiles",
        merge: int = 1,
        context: int = 8192,
        max_tiles: int = 6,
    ) -> Exhibit:
        tile = TILE if tiling == "in tiles" else None
        return _resolution(picture_tokens, width, height, tile, merge, context, max_tiles)

    def controls(widgets: Any) -> dict[str, Any]:
        wide = {"style": {"description_width": "initial"}}
        steps = {"min": 112, "max": 1344, "step": 14}
        return {
            "width": widgets.IntSlider(value=1008, description="width in pixels", **steps, **wide),
            "height": widgets.IntSlider(value=672, description="height in pixels", **steps, **wide),
            "tiling": widgets.ToggleButtons(
                options=["whole", "in tiles"], value="in tiles", description="read", **wide
            ),
            "merge": widgets.ToggleButtons(options=[1, 2, 4], description="merge", **wide),
            "context": widgets.SelectionSlider(
                options=[2048, 4096, 8192, 32768, 131072],
                value=8192,
                description="context in tokens",
                **wide,
            ),
            "max_tiles": widgets.IntSlider(value=6, min=1, max=16, description="tiles at most", **wide),
        }

    return explorer(draw, controls, live)


def tiles_of(width: int, height: int, tile: int | None) -> tuple[int, int]:
    """Columns and rows of tiles; one of each where there is no tiling."""
    return (1, 1) if tile is None else (-(-width // tile), -(-height // tile))


def _resolution(
    picture_tokens: Callable[..., int],
    width: int,
    height: int,
    tile: int | None,
    merge: int,
    context: int,
    max_tiles: int,
) -> Exhibit:
    chosen = ("whole" if tile is None else "in tiles", merge)
    rows: list[list[object]] = []
    counted: dict[tuple[str, int], int | str] = {}
    for how, side in (("whole", None), ("in tiles", TILE)):
        for factor in sorted({1, 2, merge}):
            try:
                found: int | str = picture_tokens(
                    width, height, PATCH, merge=factor, tile=side, max_tiles=max_tiles
                )
            except ValueError as problem:
                found = str(problem)
            counted[how, factor] = found
            across, down = tiles_of(width, height, side)
            read = across * down + (across * down > 1)
            if isinstance(found, str):
                rows.append([how, factor, read, "does not fit", "", ""])
            else:
                rows.append([how, factor, read, found, f"{found / context:.1%}", context // found])
    figure = Figure(figsize=(10.5, 4.4 + 0.2 * max(0, len(counted) - 4)))
    _picture(figure.add_axes((0.0, 0.02, 0.42, 0.9)), width, height, tile, merge, counted[chosen])
    _shares(figure.add_axes((0.56, 0.16, 0.43, 0.72)), counted, chosen, context)
    where = "whole" if tile is None else f"in tiles of {TILE} x {TILE}"
    table = Table(["read", "merge", "pictures for the encoder", "tokens", "share", "pictures that fit"], rows)
    return exhibit(figure, _resolution_said(width, height, where, counted, chosen, context), table)


def _resolution_said(
    width: int,
    height: int,
    where: str,
    counted: Mapping[tuple[str, int], int | str],
    chosen: tuple[str, int],
    context: int,
) -> str:
    across, down = tiles_of(width, height, None if chosen[0] == "whole" else TILE)
    said = [
        f"A picture of {width} x {height} pixels, read {where}, blocks of {chosen[1]} x {chosen[1]} merged."
    ]
    if across * down > 1:
        said.append(f"{across} x {down} tiles lie over it, and a thumbnail stands beside it.")
    if chosen[0] == "in tiles" and (across * TILE, down * TILE) != (width, height):
        said.append(
            f"The tiles are {across * TILE} x {down * TILE} pixels; what is beyond the picture is padding."
        )
    for (how, factor), found in counted.items():
        name = f"{how}, merge {factor}"
        if isinstance(found, str):
            said.append(f"{name}: {found}")
        else:
            said.append(f"{name}: {found} tokens, {found / context:.1%} of a context of {context}.")
    return " ".join(said)


def _picture(axes: Axes, width: int, height: int, tile: int | None, merge: int, found: int | str) -> None:
    """The picture, its tiles or its patches, and the thumbnail."""
    across, down = tiles_of(width, height, tile)
    side = TILE if tile is None else tile
    full = (width, height) if tile is None else (across * side, down * side)
    many = tile is not None and across * down > 1
    beyond = side + 90 if many else 0
    axes.set_xlim(-20, full[0] + beyond + 20)
    axes.set_ylim(full[1] + 60, -90)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.add_patch(Rectangle((0, 0), *full, facecolor="white", edgecolor=GREY, hatch="..", lw=0.5))
    axes.add_patch(Rectangle((0, 0), width, height, facecolor="#DCEBF7", edgecolor="black", lw=1))
    cell = PATCH * merge
    if not isinstance(found, str):
        for x in range(0, full[0] + 1, cell):
            axes.plot([x, x], [0, full[1]], color="white", lw=0.5)
        for y in range(0, full[1] + 1, cell):
            axes.plot([0, full[0]], [y, y], color="white", lw=0.5)
    for i in range(across if tile is not None else 0):
        for j in range(down):
            axes.add_patch(Rectangle((i * side, j * side), side, side, fill=False, edgecolor=BLUE, lw=2))
            name = str(j * across + i + 1)
            axes.text((i + 0.5) * side, (j + 0.5) * side, name, fontsize=11, ha="center", va="center")
    if many:
        left = full[0] + 90
        axes.add_patch(Rectangle((left, 0), side, side, facecolor="#DCEBF7", edgecolor=BLUE, lw=2))
        axes.text(left + side / 2, side / 2, "all of it,\nsmall", fontsize=8, ha="center", va="center")
    if full != (width, height):
        axes.text(0, full[1] + 12, "dots: padding, which costs tokens too", fontsize=8, va="top")
    tokens = "" if isinstance(found, str) else f": {found:,} tokens"
    axes.text(0, -30, f"{width} x {height} pixels{tokens}", fontsize=10, va="bottom")


def _shares(
    axes: Axes, counted: Mapping[tuple[str, int], int | str], chosen: tuple[str, int], context: int
) -> None:
    for y, (key, found) in enumerate(counted.items()):
        if isinstance(found, str):
            axes.text(context * 0.01, y, fill(found, 58), fontsize=7, va="center")
            continue
        inside = min(found, context)
        axes.barh(y, context, facecolor="white", edgecolor=GREY, height=0.55, lw=0.6)
        hatch, colour = ("//", BLUE) if key == chosen else ("", "#9CC3E0")
        axes.barh(y, inside, color=colour, hatch=hatch, edgecolor="white", height=0.55, lw=0)
        said = f" {found:,}: {found / context:.1%}" + (" (too many)" if found > context else "")
        if inside < 0.6 * context:
            axes.text(inside, y, said, fontsize=8.5, va="center")
        else:
            axes.text(0, y, said, fontsize=8.5, va="center", color="white", weight="bold")
    labels = [f"{how}, merge {factor}" + (" ◂" if (how, factor) == chosen else "") for how, factor in counted]
    axes.set_yticks(range(len(counted)), labels, fontsize=8.5)
    axes.invert_yaxis()
    axes.set_xlim(0, context)
    axes.set_xlabel(f"tokens of a context of {context:,}", fontsize=8.5)
    axes.tick_params(axis="x", labelsize=8)
    for place in ("top", "right", "left"):
        axes.spines[place].set_visible(False)
    axes.set_title("share of the context that one picture takes", fontsize=10, loc="left")

"""Where each word looks, to point at: a row of words, its pictures, and a table of what each word reads.

A pointer on a word shows what the word reads: its picture stays light where it looks, all else goes dark. A
click keeps the word, a second click lets it go; Tab and the arrow keys do the same. Two menus choose the
block and the head. All this is HTML and CSS, so that it works where no script may run. Where a page's own
CSS may not either (a notebook that JupyterLab does not trust), the table and a still figure are left. In a
live kernel three more menus, of ipywidgets, write one word's numbers into their cells.

Axes in this file:
    y x  pixels      r c  rows and columns of a picture's visual tokens
"""

import base64
import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from matplotlib.image import imsave

from course_lib import plots
from course_lib.exhibits import Exhibit, Table, exhibit
from course_lib.explorers import explorer, is_live
from course_lib.gaze import Gaze, share

VEIL = 0.85  # how dark a place becomes that is not read at all

# "&" is the page's own class. What has OFF in the page is turned on from here, hence each !important: where
# no style may work it stays off, and what is left makes sense. JupyterLab drops `hidden` from a page that it
# does not trust, and keeps this. The table's colours must win over a dark notebook's.
OFF = 'style="display:none"'
# Without it JupyterLab takes the arrow keys for itself. It looks for it on what has the focus.
KEYS = 'data-lm-suppress-shortcuts="true"'
STYLE = """
& { max-width: 60em; color: #111; background: #fff; padding: .5em }
& .menus, & .row { display: block !important; border: 0; margin: 0; padding: .2em 0; line-height: 2 }
& .menus span { margin-right: 1.5em }
& .row input { position: absolute; opacity: 0; width: 1px; height: 1px; margin: 0 }
& .word, & .free { display: inline-block; padding: 0 .3em; border: 1px solid #bbb; border-radius: 3px;
  margin: 0 .15em; cursor: pointer; line-height: 1.6 }
& .free { border-style: dashed }
& .off { display: none; background: #0072b2; color: #fff; font-weight: bold }
& input:checked + .word { display: none }
& input:checked + .word + .off { display: inline-block }
& input:focus-visible + label, & input:focus-visible + .word + .off {
  outline: 3px solid #d55e00; outline-offset: 1px }
& .sides { display: flex; flex-wrap: wrap; gap: 1em; align-items: flex-start }
& .stage { position: relative; display: flex; flex: 0 0 auto; width: 22em; max-width: 100% }
& .stage img { image-rendering: pixelated; margin: 0; border-radius: 0;
  max-width: none !important }
& .veils { display: block !important; position: absolute; inset: 0 }
& .panel, & .veil, & .said { display: none }
& .panel i, & .panel .veil { position: absolute; top: 0; height: 100% }
& .stage > img, & .panel i, & .panel .veil { box-sizing: border-box; border-right: 3px solid #fff }
& .panel i { background: rgba(0, 0, 0, VEIL) }
& .sides table { margin: 0; font-size: .9em; color: #111 }
& .sides table td, & .sides table th { text-align: left; padding: .1em .5em }
& .sides table tr:nth-child(n) { background: #fff }
""".replace("VEIL", str(VEIL))


def still(seen: Gaze, layer: int = -1, head: int | None = None) -> Exhibit:
    """A small map for each word that reads a picture, and a table of all words.

    Args:
        layer: which block; -1 is the last.
        head: which head; None is their mean.
    """
    layer %= len(seen.layers)
    reading = [t for t, picture in enumerate(seen.index) if picture]
    columns = 6
    figure = Figure(figsize=(1.5 * columns, 1.85 * max(1, math.ceil(len(reading) / columns))))
    for place, token in enumerate(reading):
        axes = figure.add_subplot(math.ceil(len(reading) / columns), columns, place + 1)
        picture = seen.pictures[seen.index[token] - 1]
        extent = (0.0, 1.0, 0.0, 1.0)
        axes.imshow(picture, interpolation="nearest", extent=extent)
        axes.imshow(_veil(seen.map(layer, head, token)), interpolation="nearest", extent=extent)
        axes.set_title(f"{token + 1} {seen.words[token]}", fontsize=8)
        axes.set_axis_off()
    table = _table(seen, layer, head)
    said = "; ".join(f"{row[1]} {row[2]}" for row in table.rows)
    who = "mean of the heads" if head is None else f"head {head + 1}"
    opening = f"Pictures, dark where a word does not look; {seen.layers[layer]}, {who}"
    return exhibit(figure, f"{opening}: {said}.", table)


def one_word(seen: Gaze, token: int, layer: int = -1, head: int | None = None) -> Exhibit:
    """One word: the picture it reads above the map, with every weight written into its cell."""
    layer %= len(seen.layers)
    picture = seen.index[token]
    shown = seen.pictures[max(picture, 1) - 1][None]
    title = f"{seen.words[token]}: {seen.said(layer, head, token)}"
    return plots.looks(shown, seen.map(layer, head, token)[None], [title], what=f"what {token + 1} reads")


def _table(seen: Gaze, layer: int, head: int | None) -> Table:
    rows = [[t + 1, word, seen.said(layer, head, t)] for t, word in enumerate(seen.words)]
    return Table(["", "word", "what it reads"], rows)


def looking(seen: Gaze, live: bool | None = None) -> Any:
    """The row of words to point at. In a live kernel it is displayed, and menus for one word's numbers come.

    Args:
        live: True for the menus, False for the page alone; None decides by the machine.
    """
    if not (is_live() if live is None else live):
        return Page(seen)
    from IPython.display import display

    heads = [("mean of the heads", None), *((f"head {h + 1}", h) for h in range(seen.weights.shape[1]))]

    def draw(token: int = 0, layer: int = 0, head: int | None = None) -> Exhibit:
        return one_word(seen, token, layer, head)

    def controls(widgets: Any) -> dict[str, Any]:
        words = [(f"{t + 1} {word}", t) for t, word in enumerate(seen.words)]
        first = next((t for t, picture in enumerate(seen.index) if picture), 0)
        layers = [(name, place) for place, name in enumerate(seen.layers)]
        return {
            "token": widgets.Dropdown(options=words, value=first, description="word"),
            "layer": widgets.Dropdown(options=layers, value=len(layers) - 1, description="block"),
            "head": widgets.Dropdown(options=heads, value=None, description="head"),
        }

    # An output of its own: it is saved with the notebook, which menus are not.
    display(Page(seen))  # type: ignore[no-untyped-call]
    return explorer(draw, controls, True)


@dataclass(frozen=True)
class Page:
    """The row of words as a page to point at. Printed, it is the table of words."""

    seen: Gaze

    @property
    def alt(self) -> str:
        """What a reader who cannot see the page needs to know."""
        return still(self.seen).alt

    def __str__(self) -> str:
        return f"{self._told}\n{_table(self.seen, len(self.seen.layers) - 1, None)}"

    def __repr__(self) -> str:
        return str(self)

    @property
    def _told(self) -> str:
        rows, columns = self.seen.weights.shape[-2:]
        return (
            f"Lightest is each word's own largest weight; spread evenly over {rows} x {columns} places, each "
            f"would be {share(1 / (rows * columns))}. These weights, put through v_proj and o_proj, give "
            f"what the layers returned to within {max(self.seen.gap, 1e-9):.0e}."
        )

    def _repr_html_(self) -> str:
        seen = self.seen
        last, count = len(seen.layers) - 1, len(seen.pictures)
        heads = [None, *range(seen.weights.shape[1])]
        key = hashlib.sha256(repr((seen.words, seen.index)).encode() + seen.weights.tobytes()).hexdigest()[:8]
        name = f"gaze-{key}"
        layer_menu = _menu(name, "l", "block", seen.layers, last)
        head_menu = _menu(name, "h", "head", ["mean", *(str(h + 1) for h in heads[1:])], 0)
        words = "".join(
            f'<input type="radio" {KEYS} name="{name}-t" id="{name}-t{t}" aria-describedby="{name}-r{t}">'
            f'<label for="{name}-t{t}" class="word t{t}">{escape(word)}</label>'
            f'<label for="{name}-none" class="word off t{t}" aria-hidden="true">{escape(word)}</label>'
            for t, word in enumerate(seen.words)
        )
        none = (
            f'<input type="radio" {KEYS} name="{name}-t" id="{name}-none" checked>'
            f'<label for="{name}-none" class="free">follow the pointer</label>'
        )
        rows = "".join(self._row(name, t, heads, last) for t in range(len(seen.words)))
        panels = "".join(self._panel(t, heads) for t in range(len(seen.words)))
        wide = f"width:{_percent(1, count)};max-width:12em"
        pictures = "".join(
            f'<img alt="picture {n + 1}" style="{wide}" src="{_png(picture)}">'
            for n, picture in enumerate(seen.pictures)
        )
        return (
            f"<style>{_style(name, len(seen.words), len(seen.layers), len(heads))}</style>"
            f'<div class="gaze {name}">'
            f'<fieldset class="menus" {OFF}>{layer_menu}{head_menu}</fieldset>'
            f'<div class="row" role="radiogroup" aria-label="words; choose one to keep it" {OFF}>'
            f"{none}{words}</div>"
            f'<div class="sides"><div class="stage">{pictures}<div class="veils" {OFF}>{panels}</div></div>'
            "<table><thead><tr><th scope='col'>word</th><th scope='col'>what it reads</th></tr></thead>"
            f"<tbody>{rows}</tbody></table></div>"
            f"<details><summary>The same, standing still</summary>{still(seen)._repr_html_()}</details>"
            f"<p><small>{escape(self._told)}</small></p></div>"
        )

    def _row(self, name: str, token: int, heads: Sequence[int | None], last: int) -> str:
        seen = self.seen
        texts: dict[str, list[str]] = {}
        for layer in range(len(seen.layers)):
            for place, head in enumerate(heads):
                texts.setdefault(seen.said(layer, head, token), []).append(f"l{layer}h{place}")
        usual = seen.said(last, None, token)
        said = "".join(
            f'<span class="said {" ".join(where)}"{"" if text == usual else " " + OFF}>{escape(text)}</span>'
            for text, where in texts.items()
        )
        word = escape(seen.words[token])
        return f'<tr class="t{token}"><td>{word}</td><td id="{name}-r{token}">{said}</td></tr>'

    def _panel(self, token: int, heads: Sequence[int | None]) -> str:
        """Everything dark but the picture that is read, and over that one a veil for each block and head."""
        seen, n = self.seen, len(self.seen.pictures)
        of = seen.index[token]
        dark = "".join(
            f'<i style="left:{_percent(k, n)};width:{_percent(1, n)}"></i>' for k in range(n) if k != of - 1
        )
        where = f"left:{_percent(of - 1, n)};width:{_percent(1, n)}"
        veils = "".join(
            f'<img class="veil l{layer}h{place}" alt="{escape(seen.said(layer, head, token))}" '
            f'style="{where}" src="{_png(_veil(seen.map(layer, head, token)))}">'
            for layer in range(len(seen.layers))
            for place, head in enumerate(heads)
            if of
        )
        return f'<div class="panel p{token}">{dark}{veils}</div>'


def _menu(name: str, letter: str, title: str, options: Sequence[str], chosen: int) -> str:
    group = f"{name}-{letter}"
    buttons = "".join(
        f'<input type="radio" {KEYS} name="{group}" id="{group}{k}"{" checked" * (k == chosen)}>'
        f'<label for="{group}{k}">{escape(option)}</label>'
        for k, option in enumerate(options)
    )
    return f'<span role="radiogroup" aria-label="{title}"><b>{title}</b> {buttons}</span>'


def _style(root: str, tokens: int, layers: int, heads: int) -> str:
    """Which panel, row and sentence show: those of the word that is kept, else of the one pointed at."""
    free = f".{root}:has(#{root}-none:checked)"
    panels, rows = list[str](), list[str]()
    for t in range(tokens):
        kept = f".{root}:has(#{root}-t{t}:checked)"
        panels += [f"{kept} .p{t}", f"{free}:has(.t{t}:hover) .p{t}"]
        rows += [f"{kept} tr.t{t}", f"{free}:has(.word.t{t}:hover) tr.t{t}", f"{free} tr.t{t}:hover"]
    shown = "".join(
        f".{root}:has(#{root}-l{a}:checked):has(#{root}-h{b}:checked) :is(.veil, .said).l{a}h{b}"
        "{display:inline !important}"
        for a in range(layers)
        for b in range(heads)
    )
    return (
        f"{STYLE.replace('&', '.' + root)}{','.join(panels)}{{display:block}}"
        # The row's own colour is an nth-child of .sides; two identifiers outweigh it.
        f"{','.join(rows)}{{background:#ffe9a8 !important;outline:2px solid #e69f00}}{shown}"
    )


def _veil(values: Float[np.ndarray, "r c"]) -> UInt8[np.ndarray, "r c 4"]:
    """Clear where the weight is largest, dark where it is 0: lightness alone tells, not hue."""
    highest = max(float(values.max()), 1e-9)
    veil = np.zeros((*values.shape, 4), dtype=np.uint8)
    veil[..., 3] = np.round(255 * VEIL * (1 - values / highest)).astype(np.uint8)
    return veil


def _png(pixels: UInt8[np.ndarray, "y x c"]) -> str:
    buffer = io.BytesIO()
    imsave(buffer, pixels, format="png")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.4g}%"

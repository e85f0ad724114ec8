"""Makes a stranger's text harmless before it is shown to anybody.

`text` is for terminals and for places that escape HTML themselves. `markdown` is for pages that do not:
nbgrader's formgrader and feedback render markdown cells with whatever HTML is in them, in the instructor's
own session.
"""

import html as escaping
import re

import nh3
from nbconvert.filters.markdown import markdown2html

# ESC sequences: CSI, OSC (ended by BEL or ST), and the two-character ones.
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])|\x9b[0-?]*[ -/]*[@-~]"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Characters that change the order in which others are read: what is shown would not be what is written.
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f]")
# TeX commands with which MathJax would make links, load extensions or set styles. Every backslash before one
# goes: were only the last taken from `\\href`, what is left would be the command. A TeX name ends where its
# letters end, so `\href1` is one too.
_TEX = re.compile(r"\\+(?=(?:href|require|cssId|class|style|bbox|data|unicode|mmlToken)(?![A-Za-z]))")

TAGS = {
    *("p", "br", "hr", "div", "span", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "code", "kbd"),
    *("em", "strong", "b", "i", "u", "s", "del", "sub", "sup", "ul", "ol", "li", "dl", "dt", "dd"),
    *("table", "thead", "tbody", "tr", "th", "td", "details", "summary", "a"),
}


def text(stranger: str, longest: int = 100_000) -> str:
    """Without terminal escapes, control characters and reversed writing; cut to `longest` characters."""
    plain = str(stranger)[: 2 * longest].encode("utf-8", "replace").decode("utf-8")
    plain = _ESCAPES.sub("", plain.replace("\r\n", "\n"))
    return _DIRECTION.sub("", _CONTROLS.sub("", plain))[:longest]


def html(stranger: str) -> str:
    """Only tags and attributes of an allow-list; links only to the web."""
    return nh3.clean(
        stranger, tags=TAGS, attributes={"a": {"href", "title"}}, url_schemes={"http", "https", "mailto"}
    )


def markdown(stranger: str) -> str:
    """Markdown that renders as it would have, with nothing alive left in it.

    It is rendered, cleaned, and handed back as one line of HTML: a block of HTML without a line end is passed
    on unread by every markdown renderer, so that nothing in it can become markup a second time.
    """
    cleaned = html(str(markdown2html(text(stranger))))
    # Only now are entities resolved (`&#92;href`, `&#x202e;`, `&#13;`), so what text() and _TEX forbid is
    # taken out of what a browser would read, not of what the learner wrote.
    return block(_TEX.sub("", text(cleaned, len(cleaned))))


def quoted(stranger: str, longest: int) -> str:
    """Text to stand in HTML as it is, where MathJax may read it: escaped, and cut to `longest` characters."""
    return escaping.escape(_TEX.sub("", text(stranger, longest)))


def block(harmless_html: str) -> str:
    """HTML as one block on one line, which no markdown renderer looks into."""
    return "<div>" + harmless_html.strip().replace("\n", "&#10;") + "</div>"

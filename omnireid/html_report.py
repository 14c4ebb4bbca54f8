"""A report as one self-contained HTML page: tables, curves, ranked lists with green and red frames."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from omnireid.benchmark import BY_PERSON_AND_OUTFIT, RankedList, RowResult
from omnireid.evaluation import Evaluation
from omnireid.loading.image import read_image
from omnireid.protocols import PROTOCOLS
from omnireid.report import Fact, percent
from omnireid.summary import (
    HEADLINE_COLUMNS,
    NUM_TEXT_COLUMNS,
    SENTENCE_COLUMNS,
    STEERING_COLUMNS,
    headline_rows,
    sentence_rows,
    steering_rows,
)
from omnireid.tasks import TASKS

THUMBNAIL = (64, 128)  # width and height in the page
STYLE = """
:root{color-scheme:light dark;--ink:#1a1a1a;--soft:#666;--line:#ddd;--paper:#fff;
--good:#1a8f3c;--bad:#c62828}
@media(prefers-color-scheme:dark){:root{--ink:#eee;--soft:#aaa;--line:#444;--paper:#161616}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:74rem;
margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem}p,figcaption,.soft{color:var(--soft)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{padding:.3rem .45rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th{vertical-align:bottom}th.n{width:1%}
td.fact{overflow-wrap:anywhere}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}td.n{white-space:nowrap}
.list{display:flex;gap:4px;overflow-x:auto;align-items:flex-start;margin:.3rem 0 1.2rem}
.list figure{margin:0;flex:none;text-align:center;font-size:11px}.list .gap{width:14px;flex:none}
.list img{display:block;border:3px solid var(--line);width:64px;height:128px;object-fit:cover}
.list img.right{border-color:var(--good)}.list img.wrong{border-color:var(--bad)}
.list img.clothes{height:64px}
.says{max-width:60rem;margin:0}svg{max-width:100%;height:auto;background:#fff}
@media(max-width:60rem){
.scores tr{display:grid;grid-template-columns:repeat(5,1fr);gap:.3rem .6rem;padding:.6rem 0;
border-bottom:1px solid var(--line)}
.scores tr:first-child,.scores td:first-child::before{display:none}
.scores td{border:0;padding:0;text-align:left}.scores td.n{text-align:left}
.scores td::before{content:attr(data-head);display:block;font-size:.75rem;line-height:1.2;
white-space:normal;color:var(--soft)}
.scores td:first-child{grid-column:1/-1;font-weight:600}
.scores td:nth-child(2){grid-column:span 2}.scores td:nth-child(3){grid-column:span 3}}
"""


@dataclass(frozen=True)
class Curve:
    """Values over training steps, one line of the figure."""

    name: str
    steps: Sequence[int]
    values: Sequence[float]


def html_page(
    title: str,
    results: Sequence[RowResult],
    *,
    untrained: Sequence[Evaluation] = (),
    curves: Mapping[str, Sequence[Curve]] | None = None,
    provenance: Mapping[str, Fact] | None = None,
    introduction: str = "",
) -> str:
    """Write the page.

    Args:
        title: Its heading.
        results: Rows of the benchmark, in their order.
        untrained: Evaluations of the network before training, or none.
        curves: Figures of curves over training steps, by title.
        provenance: How the numbers were made, printed at the end.
        introduction: A paragraph below the heading, plain text.

    Raises:
        InputError: An image of a ranked list cannot be read.
    """
    parts = [f"<h1>{html.escape(title)}</h1>"]
    if introduction:
        parts.append(f"<p>{html.escape(introduction)}</p>")
    evaluations = [scored for result in results for scored in result.evaluations]
    table = _table(HEADLINE_COLUMNS, headline_rows(evaluations, untrained))
    parts += [f"<h2>One model, {_count(results)}</h2>{table}", _rules(results)]
    steered = steering_rows(evaluations)
    if steered:
        parts.append(_steering_section(steered))
    worded = sentence_rows(evaluations)
    if worded:
        parts.append(f"<h2>Scores over all sentences of a bank</h2>{_table(SENTENCE_COLUMNS, worded)}")
    if curves:
        parts.append("<h2>Training</h2>" + "".join(_figure(name, lines) for name, lines in curves.items()))
    parts += [_lists_section(result) for result in results]
    if provenance:
        facts = "".join(
            f"<tr><td>{html.escape(name)}</td><td class=fact>{html.escape(str(fact))}</td></tr>"
            for name, fact in provenance.items()
        )
        parts.append(f"<h2>Provenance</h2><div class=wide><table>{facts}</table></div>")
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{html.escape(title)}</title><style>{STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )


def _count(results: Sequence[RowResult]) -> str:
    count = len({result.row.task for result in results})
    return f"{count} tasks" if count > 1 else "one task"


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table whose cells name their columns, which a narrow screen shows row by row, as blocks."""
    kinds = ["" if place < NUM_TEXT_COLUMNS else " class=n" for place in range(len(head))]
    names = [html.escape(name) for name in head]
    heads = "".join(
        f"<th{kind}>{name.replace('− ', '−&nbsp;')}</th>" for kind, name in zip(kinds, names, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td{kind} data-head='{name}'>{html.escape(cell)}</td>"
            for kind, name, cell in zip(kinds, names, row, strict=True)
        )
        + "</tr>"
        for row in body
    )
    return f"<div class=wide><table class=scores><tr>{heads}</tr>{rows}</table></div>"


def _rules(results: Sequence[RowResult]) -> str:
    names = dict.fromkeys(result.headline.protocol for result in results)
    items = "".join(
        f"<li><b>{html.escape(PROTOCOLS[name].title)}</b>: {html.escape(PROTOCOLS[name].description)}</li>"
        for name in names
    )
    summary = "<summary class=soft>What each protocol counts as a correct match</summary>"
    return f"<details>{summary}<ul class=soft>{items}</ul></details>"


def _steering_section(rows: Sequence[Sequence[str]]) -> str:
    explained = (
        "mAP when the query is given the right instruction, another person's (“wrong”), or a neutral one "
        "(“none”). In the paper's protocol each gallery image carries its own caption or clothes crop. "
        "A real gallery has neither, so the same queries are also ranked against a gallery whose images "
        f"carry a neutral sentence. “{PROTOCOLS[BY_PERSON_AND_OUTFIT].title}” counts the right person in "
        "another outfit as wrong."
    )
    heading = f"<h2>Does the model follow instructions?</h2><p>{html.escape(explained)}</p>"
    return heading + _table(STEERING_COLUMNS, rows)


def _figure(title: str, curves: Sequence[Curve]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.8), layout="constrained")
    axes = figure.subplots()
    for curve in curves:
        axes.plot(curve.steps, curve.values, label=curve.name, linewidth=1.2)
    axes.set(xlabel="step", title=title)
    axes.legend(fontsize=8, ncols=3, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()[buffer.getvalue().index("<svg") :]


def _lists_section(result: RowResult) -> str:
    scored = result.headline
    parts = [f"<h2>{html.escape(TASKS[scored.task].title.capitalize())}: {html.escape(scored.dataset)}</h2>"]
    said = "; ".join((*result.warnings, *result.notes))
    if said:
        parts.append(f"<p class=soft>{html.escape(said)}</p>")
    parts += [_ranked_list(shown, scored.query_asked) for shown in result.lists]
    return "".join(parts)


def _ranked_list(shown: RankedList, label: str) -> str:
    said = "instruction: these clothes" if shown.sentence is None else f"“{shown.sentence}”"
    said = f"{said} · AP {percent(shown.average_precision)}"
    cells = []
    if shown.image is not None:
        cells.append(f"<figure>{_image(shown.image, 'query')}query</figure>")
    if shown.clothes is not None:
        cells.append(f"<figure>{_image(shown.clothes, 'clothes')}instruction</figure>")
    cells.append("<div class=gap></div>")
    for rank, (path, right) in enumerate(shown.results, start=1):
        verdict = "right" if right else "wrong"
        cells.append(f"<figure>{_image(path, verdict)}{rank}</figure>")
    hint = html.escape(label, quote=True)
    return f"<p class=says title='{hint}'>{html.escape(said)}</p><div class=list>{''.join(cells)}</div>"


def _image(path: str, kind: str) -> str:
    """A small copy of an image inside the page; ``kind`` is its frame and its alternative text."""
    image = Image.fromarray(read_image(path))
    image = image.resize((64, 64) if kind == "clothes" else THUMBNAIL, Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    data = base64.b64encode(buffer.getvalue()).decode()
    alternative = f"{kind}: {html.escape(Path(path).name, quote=True)}"
    return f"<img class={kind} alt='{alternative}' src='data:image/jpeg;base64,{data}'>"

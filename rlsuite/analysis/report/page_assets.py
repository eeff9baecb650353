"""The style sheet and the script of a report, inlined so that the page is one file."""

from __future__ import annotations

STYLE = """\
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1f2328; --faint: #5b6470; --line: #e1e4e8; --stripe: #f6f8fa;
  --accent: #0072b2;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --ink: #e3e6ea; --faint: #9aa4b0; --line: #2d333b; --stripe: #1b1f25;
    --accent: #56b4e9;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif;
}
main { max-width: 1180px; margin: 0 auto; padding: 2.2rem 1.4rem 5rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
header p { color: var(--faint); margin: 0 0 1rem; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; }
nav { border-block: 1px solid var(--line); padding: .55rem 0; }
nav a { color: var(--accent); text-decoration: none; font-size: .9rem; }
nav a:hover { text-decoration: underline; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .7rem; }
.note { color: var(--faint); font-size: .9rem; max-width: 52rem; margin: .5rem 0; }
.scroll { overflow: auto; max-height: 36rem; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; }
th { position: sticky; top: 0; background: var(--stripe); text-align: left; }
th, td { padding: .34rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody tr:last-child td { border-bottom: 0; }
tbody tr:hover { background: var(--stripe); }
.num { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th button {
  all: unset; cursor: pointer; font-weight: 600; white-space: nowrap;
}
th button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
th[aria-sort="ascending"] button::after { content: " ↑"; }
th[aria-sort="descending"] button::after { content: " ↓"; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .8rem; }
.figures { display: grid; gap: 0 1.4rem; align-items: start; }
.figures { grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); }
figure { margin: .9rem 0 1.6rem; min-width: 0; }
figure img {
  display: block; width: 100%; max-width: 38rem; height: auto; background: #fff;
  border-radius: 6px; border: 1px solid var(--line);
}
@media (max-width: 34rem) { main { padding: 1rem .5rem 3rem; } }
figcaption { color: var(--faint); font-size: .87rem; margin-top: .45rem; max-width: 52rem; }
@media print { .scroll { max-height: none; overflow: visible; } nav { display: none; } }
"""

SCRIPT = """\
"use strict";
// Click a heading to sort by its column; again to reverse. Empty keys stay last either way.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const column = head.cellIndex;
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => {
      const cell = row.cells[column];
      const text = cell.dataset.key ?? cell.textContent;
      return text === "" || isNaN(text) ? text : Number(text);
    };
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = typeof x === "number" && typeof y === "number"
        ? x - y : String(x).localeCompare(String(y));
      return down ? -order : order;
    };
    const body = head.closest("table").tBodies[0];
    body.append(...[...body.rows].sort(compare));
  });
}
"""

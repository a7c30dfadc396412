"""The report's page around its content: style for light and dark, and a policy that lets it load nothing."""

from __future__ import annotations

from typing import Final

PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>@title@</title>
<style>
:root {
  --paper: #f6f5f1; --card: #ffffff; --ink: #1d2126; --faint: #6d747d; --line: #e2e0d9;
  --accent: #1f7a6d; --had: #e4e7e3; --hot: #d9572b; --warn: #fdf0dc; --warn-ink: #7a4a06;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1c2024; --ink: #e6e8ea; --faint: #939ba4; --line: #2c3238;
    --accent: #4cc2ae; --had: #2d3439; --hot: #e2683c; --warn: #3a2c14; --warn-ink: #f3cf94;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 40px 24px 64px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif;
}
main { max-width: 980px; margin: 0 auto; }
h1 { font-size: 28px; line-height: 1.2; letter-spacing: -.015em; margin: 0 0 14px; text-wrap: balance; }
section > h2 { font-size: 18px; letter-spacing: -.005em; margin: 0 0 2px; }
section, .card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
section { padding: 20px 24px; margin-top: 16px; }
section > p { margin: 0 0 14px; color: var(--faint); }
p.warning {
  background: var(--warn); color: var(--warn-ink); padding: 12px 16px; border-radius: 10px; margin: 0 0 10px;
}
p.note { color: var(--faint); margin: 0 0 6px; }
.faint, small { color: var(--faint); }
.cards {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(205px, 1fr)); gap: 16px; margin-top: 22px;
}
.card { padding: 16px 18px; }
.card h2 { font-size: 13px; font-weight: 600; color: var(--faint); margin: 0; }
.card p { margin: 0; font-variant-numeric: tabular-nums; }
.card .big { font-size: 30px; font-weight: 650; letter-spacing: -.02em; line-height: 1.25; }
.card .faint { font-size: 13px; }
.card span { white-space: nowrap; }
.meter { height: 6px; border-radius: 3px; background: var(--had); margin: 8px 0; overflow: hidden; }
.meter i { display: block; height: 100%; border-radius: 3px; background: var(--accent); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 8px 10px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
thead th { color: var(--faint); font-weight: 500; font-size: 13px; }
tbody th { text-align: left; font-weight: 550; }
tbody tr:last-child > * { border-bottom: 0; }
tr.kept > * { background: color-mix(in srgb, var(--accent) 11%, transparent); }
tr.kept > th { box-shadow: inset 3px 0 var(--accent); }
tr.broken > th { box-shadow: inset 3px 0 var(--hot); }
th small { display: block; font-weight: 400; white-space: normal; max-width: 30ch; }
figure { margin: 0; }
figcaption { font-size: 13px; color: var(--faint); margin-bottom: 4px; }
.courses { display: grid; grid-template-columns: repeat(auto-fit, minmax(260px, 1fr)); gap: 20px; }
.strip + .strip { margin-top: 14px; }
.strip > div { display: flex; gap: 8px; }
.strip img { display: block; flex: 0 1 auto; min-width: 0; border-radius: 8px; }
svg { display: block; width: 100%; height: auto; }
.scroll > svg { min-width: 640px; }
svg text {
  font: 12px system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; fill: var(--ink);
  font-variant-numeric: tabular-nums;
}
svg .label, svg .faint { fill: var(--faint); }
svg .had { fill: var(--had); }
svg .kept { fill: var(--accent); }
svg .heat { fill: color-mix(in srgb, var(--hot) var(--heat), var(--had)); }
svg .grid { stroke: var(--line); }
svg .course { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; }
svg .dot { fill: var(--accent); }
svg .cut { fill: var(--card); stroke: var(--hot); stroke-width: 2; }
svg .learnt { stroke: var(--hot); stroke-dasharray: 2 3; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 6px 20px; margin: 8px 0 0; }
dt { color: var(--faint); }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 600px) {
  body { padding: 24px 12px; }
  section { padding: 16px; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: 8px; }
}
@media print { body { background: #fff; padding: 0; } section, .card { break-inside: avoid; } }
</style>
</head>
<body><main>
@body@
</main></body>
</html>
"""

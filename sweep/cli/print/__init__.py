"""What the commands print of plans, records and verdicts, as tables and as plain values for JSON.

Each module imports only what it shows: commands that read only a store start without torch.

console.py        the console, a progress bar, a trial on one line
launches.py       a plan, how a launch or a retry ended
status.py         the status of sweeps, failures, problems of a store
merging.py        how merging stores ended
trials.py         one stored trial, and its rerun
masks.py          the layers of a mask, the overlap of two, files that were exported
reports.py        a report's files, verdicts
catalogue.py      methods, architectures, shipped experiments
methods_page.py   docs/methods.md
columns_page.py   docs/report-columns.md
tables_page.py    docs/tables.md
schema.py         the views of SQL
markdown.py       docstrings as Markdown
"""

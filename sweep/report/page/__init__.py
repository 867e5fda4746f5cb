"""The report as one page of HTML, ``report.html``: it asks for no other file and no address.

page.html, style.css, script.js   the template, its style, and the sorting and filtering of the table of trials
page.py             what the template is given, and its text
write.py            write_page: from panels and stores to the file; stop_reloading
content.py          from panels, figures and sweeps to what the template is given
panel_section.py    the section of one panel
findings.py         what the runs show at each sparsity
sentences.py        sentences drawn from comparisons
images.py           figures as data URIs
trial_rows.py       the table of trials, as JSON
failed_trials.py    trials without a result, by kind of failure
cost.py             time and FLOPs in all and by method
provenance.py       code, machines, data and configs
"""

from sweep.report.page.write import PageSource, stop_reloading, write_page

__all__ = ["PageSource", "stop_reloading", "write_page"]

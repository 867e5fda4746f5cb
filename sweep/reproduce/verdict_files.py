"""The files of a verdict: ``verdict.csv``, ``verdict.md`` and one figure a network, with the published points."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import InputError
from sweep.report.csv_rows import to_csv
from sweep.report.figures import style
from sweep.report.figures.accuracy import accuracy_figure
from sweep.report.figures.published_points import PublishedPoint
from sweep.report.folder import remove_outdated
from sweep.reproduce.published import Number
from sweep.reproduce.reproduction import Reproduction
from sweep.reproduce.tables import tables, tally, verdict_rows
from sweep.reproduce.verdict import Verdict


@dataclass(frozen=True)
class VerdictFiles:
    """The files written."""

    table: Path
    page: Path
    figures: tuple[Path, ...]

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file."""
        return (*self.figures, self.page, self.table)


def write(reproduction: Reproduction, verdicts: Sequence[Verdict], out: Path) -> VerdictFiles:
    """Write the verdict and its figures into ``out``, which is created if missing; files of the same name are replaced.

    Figures of an earlier verdict that are no longer drawn are removed.

    Raises:
        InputError: ``out`` cannot be written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"verdict: cannot write to {out}: {error.strerror}; name another folder with --out") from None
    epochs = reproduction.sweep.training.epochs
    figures = {verdict.title: _draw(verdict, out) for verdict in verdicts}
    files = VerdictFiles(
        out / "verdict.csv", out / "verdict.md", tuple(path for paths in figures.values() for path in paths)
    )
    files.table.write_text(to_csv(verdict_rows(verdicts, epochs)), encoding="utf-8")
    files.page.write_text(_page(reproduction, verdicts, files.figures), encoding="utf-8")
    remove_outdated(out, "verdict", files.all)
    return files


def _draw(verdict: Verdict, out: Path) -> list[Path]:
    """The report's figure with the published points; no files where no run completed."""
    panel = verdict.panel
    if panel is None or not any(cell.completed for cell in panel.cells):
        return []
    numbers = [row.published for row in verdict.rows if isinstance(row.published, Number)]
    points = [PublishedPoint(number.method, number.sparsity, number.value, number.std) for number in numbers]
    return style.save(accuracy_figure(panel, points), out / f"reproduce-{panel.file_name}")


def _page(reproduction: Reproduction, verdicts: Sequence[Verdict], figures: Sequence[Path]) -> str:
    """The verdict as Markdown."""
    rows = [row for verdict in verdicts for row in verdict.rows]
    parts = [f"# {reproduction.sweep.name}: {tally(rows)}"]
    if reproduction.left_out:
        parts.append(f"Left out: {reproduction.left_out} published rows outside the grid as it was set.")
    parts += [f"![{path.stem}]({path.name})" for path in figures if path.suffix == ".png"]
    for table in tables(verdicts, reproduction.sweep.training.epochs):
        parts += [f"## {table.title}", table.markdown()]
    return "\n\n".join(parts) + "\n"

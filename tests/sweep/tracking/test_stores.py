"""Several stores on one MLflow, and one store that is moved, came from elsewhere or has a name that a URI cannot hold."""

import contextlib
import os
import shutil
import sqlite3
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweep.config.grid import trial_id
from sweep.config.trial_config import TrialConfig
from sweep.store import Store
from sweep.store.identity import FOLDER, identities
from sweep.store.merging import merge
from sweep.tracking import artifacts, mlflow_run
from sweep.tracking.artifacts import set_all_locations
from sweep.tracking.client import Client
from sweep.tracking.uri import default_uri, sqlite_file, sqlite_uri

from .helpers import launched, outcome, sweep, synced, tallies
from .mlflows import Server, copy, free_port, shown

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
]  # mlflow and what it imports warn of their own affairs


@pytest.fixture
def other(tmp_path: Path, trials: list[TrialConfig]) -> Store:
    """A store of the same sweep and the same trials, with outcomes of its own."""
    found = Store(tmp_path / "other")
    for trial in trials[:3]:
        found.write(outcome(trial, test_accuracy=0.25))
    found.write_sweep(launched("away", trials))
    return found


def stores_shown(database: Path) -> dict[str, Counter[str]]:
    """How many runs each trial, and the sweep, has of each store."""
    return {name: Counter(run["tags"][mlflow_run.STORE] for run in found) for name, found in shown(database).items()}


def test_two_stores_of_one_sweep_on_one_mlflow_leave_each_others_runs_alone(
    filled: Store, other: Store, trials: list[TrialConfig], empty: Path, tmp_path: Path
) -> None:
    database = copy(empty, tmp_path / "lab/mlflow.db")
    uri = sqlite_uri(database)
    assert (tallies(filled, uri=uri), tallies(other, uri=uri)) == ([(12, 0, 0)], [(3, 0, 0)])
    before = {run["run"] for found in shown(database).values() for run in found}
    assert (tallies(filled, uri=uri), tallies(other, uri=uri)) == ([(0, 12, 0)], [(0, 3, 0)])
    other.write(outcome(trials[0], test_accuracy=0.5))
    assert tallies(other, uri=uri) == [(1, 2, 0)]
    (one,), (two,) = identities(filled.files), identities(other.files)
    both, alone = Counter({one: 1, two: 1}), Counter({one: 1})
    shared = {trial_id(trial) for trial in trials[:3]} | {"the sweep"}
    assert stores_shown(database) == {name: both if name in shared else alone for name in shown(database)}
    assert len(before & {run["run"] for found in shown(database).values() for run in found}) == len(before) - 1


def test_runs_that_do_not_say_their_store_become_those_of_the_store_that_holds_what_they_show(
    filled: Store, other: Store, trials: list[TrialConfig], empty: Path, tmp_path: Path
) -> None:
    database = copy(empty, tmp_path / "lab/mlflow.db")
    uri = sqlite_uri(database)
    tallies(filled, uri=uri)
    forget_stores(database)
    old = {name: found[0]["run"] for name, found in shown(database).items()}
    assert tallies(other, uri=uri) == [(3, 0, 0)]  # which shows others, and takes none of them
    assert tallies(filled, uri=uri) == [(0, 12, 0)]
    (mine,) = identities(filled.files)
    for name, found in shown(database).items():
        assert (
            old[name] in {run["run"] for run in found if run["tags"][mlflow_run.STORE] == mine} or name == "the sweep"
        )


def test_in_a_stores_own_database_all_runs_are_its_own(
    filled: Store, trials: list[TrialConfig], database: Path
) -> None:
    tallies(filled)
    forget_stores(database)
    filled.write(outcome(trials[0], test_accuracy=0.125))
    assert tallies(filled) == [(1, 11, 0)]
    (mine,) = identities(filled.files)
    assert stores_shown(database) == {name: Counter({mine: 1}) for name in shown(database)}


def forget_stores(database: Path) -> None:
    """Make runs of them as earlier versions wrote them."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("delete from tags where key = ?", (mlflow_run.STORE,))


def test_a_store_has_one_id_wherever_it_lies_and_a_merged_one_has_those_of_both(tmp_path: Path) -> None:
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    (first,), (second,) = identities(one.files), identities(two.files)
    assert first != second and identities(one.files) == (first,)
    (tmp_path / "one").rename(tmp_path / "moved")
    moved = Store(tmp_path / "moved")
    assert identities(moved.files) == (first,)
    shutil.copytree(tmp_path / "two", tmp_path / "moved", dirs_exist_ok=True)
    (tmp_path / "moved" / FOLDER / "notes.txt").write_text("")
    assert identities(moved.files) == tuple(sorted((first, second)))


def test_two_launches_that_make_an_id_at_once_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = Store(tmp_path), Store(tmp_path)
    put = one.files.put
    monkeypatch.setattr(one.files, "put", lambda *arguments: (identities(two.files), put(*arguments)))
    assert identities(one.files) == identities(two.files)
    assert len(identities(one.files)) == 2


def test_the_id_of_a_store_on_s3_stays(s3: str) -> None:
    uri = f"s3://test:test@ids/a?{s3}"
    assert identities(Store(uri).files) == identities(Store(uri).files)
    assert identities(Store(uri).files) != identities(Store(uri.replace("/a?", "/b?")).files)


def test_a_store_that_cannot_be_written_to_has_an_id_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / FOLDER).write_text("in the way")
    files = Store(tmp_path / "store").files
    assert identities(files) == identities(files) and len(identities(files)[0]) == 32


# places


def places(database: Path) -> set[str]:
    """What the database says of where artifacts lie."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        found = connection.execute("select artifact_location from experiments where name = 'away'").fetchall()
        found += connection.execute("select artifact_uri from runs where lifecycle_stage = 'active'").fetchall()
    return {place for (place,) in found}


def places_of(database: Path) -> set[str]:
    """What it should say: places relative to itself, the same wherever the store is."""
    runs = [run["run"] for found in shown(database).values() for run in found]
    return {"mlflow-artifacts:/away", *(f"mlflow-artifacts:/away/{run}/artifacts" for run in runs)}


def own_run(database: Path) -> str:
    (run,) = shown(database)["the sweep"]
    return str(run["run"])


def test_the_figures_of_a_moved_store_are_served_from_where_it_is_now(
    filled: Store, database: Path, tmp_path: Path
) -> None:
    assert tallies(filled) == [(12, 0, 0)]
    moved = tmp_path / "at 50%3F? of #1"
    database.parent.rename(moved)
    database = moved / "mlflow.db"
    set_all_locations(database)  # as `sweep ui` does
    with Server(database, free_port()) as server:
        query = f"{server.uri}/get-artifact?run_uuid={own_run(database)}&path=config.json"
        assert b'"name": "away"' in urllib.request.urlopen(query, timeout=30).read()
    assert tallies(Store(moved)) == [(0, 12, 0)]
    assert sorted(os.listdir(tmp_path)) == sorted([moved.name, "away.yaml"])  # neither the old nor any other folder


def test_syncing_a_moved_store_writes_into_it_and_nowhere_else(filled: Store, database: Path, tmp_path: Path) -> None:
    assert tallies(filled) == [(12, 0, 0)]
    moved = tmp_path / "moved"
    database.parent.rename(moved)
    store = Store(moved)
    forget_config(moved / "mlflow.db")
    assert tallies(store) == [(0, 12, 0)]
    assert not (tmp_path / "results").exists()
    assert places(moved / "mlflow.db") == places_of(moved / "mlflow.db")


def forget_config(database: Path) -> None:
    """So that the next sync writes it again."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("delete from tags where key = ?", (mlflow_run.CONFIG,))


TAMPERED = [
    "{}/elsewhere",
    "file://{}/elsewhere",
    "s3://bucket/elsewhere",
    "../../elsewhere",
    "mlflow-artifacts:/../../elsewhere",
    "mlflow-artifacts://127.0.0.1:9/elsewhere",
]


def tamper(database: Path, place: str, experiment: bool = True) -> None:
    """Let the runs, and the experiment, name ``place`` for their files."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        if experiment:
            connection.execute("update experiments set artifact_location = ?", (place,))
        connection.execute("update runs set artifact_uri = ?", (place,))


@pytest.mark.parametrize("experiment", [True, False], ids=["experiment", "runs alone"])
@pytest.mark.parametrize("place", TAMPERED)
def test_a_tampered_database_leads_nowhere(
    filled: Store, trials: list[TrialConfig], database: Path, tmp_path: Path, place: str, experiment: bool
) -> None:
    assert tallies(filled) == [(12, 0, 0)]
    forget_config(database)
    tamper(database, place.format(tmp_path), experiment)
    filled.write(outcome(trials[0]))
    before = sorted(os.listdir(tmp_path))
    assert tallies(filled) == [(1, 11, 0)]
    assert sorted(os.listdir(tmp_path)) == before
    files = database.parent / "mlflow-artifacts/away"
    assert (files / own_run(database) / "artifacts/config.json").exists()
    (again,) = shown(database)[trial_id(trials[0])]
    assert (files / again["run"] / "artifacts/layers.csv").exists()
    assert places(database) == places_of(database)


@pytest.mark.parametrize("place", ["file://{}/elsewhere", "mlflow-artifacts://127.0.0.1:9/elsewhere"])
def test_a_server_of_a_tampered_database_leads_nowhere(
    filled: Store, database: Path, tmp_path: Path, place: str
) -> None:
    assert tallies(filled) == [(12, 0, 0)]
    forget_config(database)
    tamper(database, place.format(tmp_path))
    before = sorted(os.listdir(tmp_path))
    with Server(database, free_port()) as server:
        ran = sweep("sync", filled.uri, "--uri", server.uri)
    assert ran.returncode == 1 and "sweep writes none there" in ran.stderr, ran.stderr
    assert sorted(os.listdir(tmp_path)) == before


def test_a_folder_of_ids_that_is_a_link_out_of_the_store_is_not_written_to(
    filled: Store, database: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    shutil.rmtree(database.parent / FOLDER, ignore_errors=True)
    (database.parent / FOLDER).symlink_to(tmp_path / "mine")
    assert tallies(filled) == [(12, 0, 0)]
    assert tallies(filled) == [(0, 12, 0)]
    assert not list((tmp_path / "mine").iterdir())


def test_a_database_that_is_a_link_out_of_the_store_is_written_to_only_if_it_is_named(
    filled: Store, database: Path, tmp_path: Path
) -> None:
    mine = copy(database, tmp_path / "mine" / "mlflow.db")
    database.unlink()
    database.symlink_to(mine)
    before = mine.read_bytes()
    for command in (["sync", filled.uri], ["ui", "--store", filled.uri]):
        ran = sweep(*command)
        assert ran.returncode == 2 and f"--uri sqlite:///{mine}" in ran.stderr
    assert mine.read_bytes() == before
    assert "12 exported" in sweep("sync", filled.uri, "--uri", f"sqlite:///{mine}").stdout


def test_links_in_a_store_lead_nowhere(filled: Store, database: Path, tmp_path: Path) -> None:
    assert tallies(filled) == [(12, 0, 0)]
    artifacts = database.parent / "mlflow-artifacts/away" / own_run(database) / "artifacts"
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    (artifacts / "config.json").unlink()
    (artifacts / "config.json").symlink_to(mine)
    forget_config(database)
    assert tallies(filled) == [(0, 12, 0)]
    assert mine.read_text() == "mine" and not (artifacts / "config.json").is_symlink()
    shutil.rmtree(artifacts)
    (tmp_path / "outside").mkdir()
    artifacts.symlink_to(tmp_path / "outside")
    forget_config(database)
    ran = sweep("sync", filled.uri)
    assert "leads out of the folder of the database" in ran.stderr and ran.returncode == 1
    assert not list((tmp_path / "outside").iterdir())


def test_a_database_that_cannot_be_corrected_is_shown_as_it_is(
    filled: Store, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tallies(filled) == [(12, 0, 0)]
    before = places(database)
    moved = tmp_path / "moved"
    database.parent.rename(moved)
    connect = sqlite3.connect

    def read_only(file: Path, **options: float) -> sqlite3.Connection:
        return connect(f"{file.as_uri()}?mode=ro", uri=True, **options)

    with monkeypatch.context() as patch:
        patch.setattr(artifacts.sqlite3, "connect", read_only)
        set_all_locations(moved / "mlflow.db")
    assert places(moved / "mlflow.db") == before
    (tmp_path / "empty.db").touch()
    set_all_locations(tmp_path / "empty.db")  # not one of MLflow's


def test_a_place_that_somebody_chose_in_a_database_of_their_own_stays_and_nothing_is_written_there(
    filled: Store, empty: Path, tmp_path: Path
) -> None:
    database = copy(empty, tmp_path / "lab/mlflow.db")
    uri, chosen = sqlite_uri(database), tmp_path / "chosen"
    Client(uri).create_experiment("away", artifact_location=chosen.as_uri())
    ran = sweep("sync", filled.uri, "--uri", uri)
    assert ran.returncode == 1 and "12 exported" in ran.stdout
    assert f"keeps files of runs at {chosen.as_uri()}" in ran.stderr and "sweep writes none there" in ran.stderr
    assert not chosen.exists() and len(shown(database)) == 13
    assert tallies_with_errors(filled, uri) == [(0, 12, 0)]
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:  # as its owner allows then
        connection.execute("update experiments set artifact_location = 'mlflow-artifacts:/away'")
    assert tallies(filled, uri=uri) == [(12, 0, 0)]  # the tables of layers that were left out
    assert tallies(filled, uri=uri) == [(0, 12, 0)]
    assert len(list(database.parent.glob("mlflow-artifacts/away/*/artifacts/layers.csv"))) == 12


def tallies_with_errors(store: Store, uri: str) -> list[tuple[int, int, int]]:
    return [(each.exported, each.up_to_date, each.busy) for each in synced([store], uri)]


def test_a_database_that_is_gone_is_not_made_again_by_a_sync(
    filled: Store, trials: list[TrialConfig], tmp_path: Path
) -> None:
    filled.write_sweep(launched("away", trials, uri=f"sqlite:///{tmp_path}/old/mlflow.db"))
    ran = sweep("sync", filled.uri)
    assert ran.returncode == 2 and "there is no database any more" in ran.stderr
    assert not (tmp_path / "old").exists()


NAMES = [
    "lr%3D0.1",
    "what?",
    "a#b",
    "a b",
    "100%",
    "%25",
    "a&b=c;d",
    "ünï",
    "q?uri=true&mode=ro",
    "a+b",
    "@:",
    "'\"",
    "5$",
]


@pytest.fixture
def unchanged(tmp_path: Path) -> Iterator[Path]:
    """A folder in which nothing appears but what the test puts there."""
    folder = tmp_path / "all"
    folder.mkdir()
    yield folder
    assert {path.name for path in folder.iterdir()} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_store_in_a_folder_of_any_name_has_its_mlflow(
    unchanged: Path, name: str, trials: list[TrialConfig], empty: Path
) -> None:
    store = Store(unchanged / name)
    store.write(outcome(trials[0]))
    uri = default_uri(store)
    assert sqlite_file(uri) == unchanged / name / "mlflow.db"
    copy(empty, unchanged / name / "mlflow.db")
    assert tallies(store) == [(1, 0, 0)]
    database = unchanged / name / "mlflow.db"
    assert shown(database).keys() == {trial_id(trials[0]), "the sweep"}
    (trial,) = shown(database)[trial_id(trials[0])]
    assert (unchanged / name / "mlflow-artifacts/away" / trial["run"] / "artifacts/layers.csv").exists()


def test_a_new_database_is_made_in_a_folder_of_any_name(unchanged: Path, trials: list[TrialConfig]) -> None:
    store = Store(unchanged / NAMES[0])
    store.write(outcome(trials[0]))
    assert tallies(store) == [(1, 0, 0)]
    assert (unchanged / NAMES[0] / "mlflow.db").exists()


def test_syncing_two_stores_shows_what_syncing_the_merged_one_shows(
    filled: Store, trials: list[TrialConfig], empty: Path, tmp_path: Path
) -> None:
    other, merged = Store(tmp_path / "elsewhere"), Store(tmp_path / "merged")
    for trial in trials[:2]:
        other.write(outcome(trial, test_accuracy=0.25, cluster="elsewhere"))  # another result
    other.write(outcome(trials[2], host="elsewhere", seconds=1.0))  # the same
    other.write_sweep(launched("away", trials[:3]))
    one, two = (copy(empty, tmp_path / name / "mlflow.db") for name in ("one", "two"))
    assert tallies(other, filled, uri=sqlite_uri(one)) == [(3, 0, 0), (9, 0, 0)]
    merge([filled, other], merged)
    assert tallies(merged, uri=sqlite_uri(two)) == [(12, 0, 0)]
    assert tallies(other, filled, uri=sqlite_uri(one)) == [(0, 3, 0), (0, 9, 0)]

    def runs(database: Path) -> dict[str, object]:
        own = {mlflow_run.STORE, mlflow_run.NOTE}
        return {
            name: [{**run["tags"], **dict.fromkeys(own, "")} | {"metrics": run["metrics"], "params": run["params"]}]
            for name, found in shown(database).items()
            for run in found
            if name != "the sweep"
        }

    assert runs(one) == runs(two)
    tag = runs(two)[trial_id(trials[0])][0][mlflow_run.OTHER_RESULTS]
    assert tag.endswith(str(filled.outcomes([trial_id(trials[0])])[trial_id(trials[0])].name))
    for name in ("one", "two"):  # nor does a merge lose what is shown of either: its ids are theirs
        assert tallies(merged, uri=sqlite_uri(tmp_path / name / "mlflow.db")) == [(0, 12, 0)]

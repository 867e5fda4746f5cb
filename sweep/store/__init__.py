"""The store: the sweep's only state, and the only package that touches Parquet.

    trials/<trial id>-<outcome>.parquet    one row: the trial, and how it ended
    epochs/<trial id>-<outcome>.parquet    one row an epoch
    masks/<trial id>-<outcome>.parquet     one row a masked tensor
    {trials,epochs,masks}/fold-….parquet   the same of many trials, made by ``sweep compact``
    sweeps/<name>.parquet                  one row: what its last launch asked for, and earlier ones
    identity/<32 hex digits>.id            tells the store from others, where MLflow shows several
    checkpoints/<trial id>.pt              how far a trial is that has not ended
    leases/                                which launches run, and which trials they have taken
    damaged/                               files that could not be read, set aside by a launch

under a local folder or any ``pyarrow.fs`` URI (``s3://…``, ``gs://…``). Plain Parquet: pandas, Polars and DuckDB
read it. What it promises, on a local disk and on an object store alike:

* **A file is whole or absent.** Each is serialised in memory first; locally it is written beside its place, synced
  and renamed, on an object store it is there once all of it is. Readers never see half of one.
* **A record is whole or absent.** Every outcome of a trial has a name of its own (8 hex digits) and files of its own,
  never changed once they are written. The trial's row is written last and names the outcome: where it says
  ``completed``, mask and epochs are there, also for whoever reads while others write, replace and fold. Files that no
  row names do not count.
* **Nothing that completed is lost.** A completed outcome gives way to a later completed one alone, and is deleted
  after that one is whole. So outcomes may be written, and stores merged by copying files, in any order.
* **Nothing runs twice.** A launch takes a trial before it runs it (:mod:`sweep.store.leases`), and leaves it alone if
  another has ended it meanwhile.
* **A damaged file never hides the others.** It is left out and named in :attr:`Store.damaged`; a launch moves it to
  ``damaged/`` and runs the trial again; ``sweep verify`` tells of each.
* **Nothing exists until something is stored.** Reading an absent store is reading an empty one.
* **Every file says its schema version.** Older ones are read, newer ones refused.

files.py      a folder, here or on an object store: list, read, put, delete
parquet.py    records to bytes and back, in today's schema
layout.py     what files are called, and what each may hold
reading.py    their rows, while others write, replace and fold them
store.py      Store: outcomes of trials, sweeps, checkpoints
folding.py    many small files made one, with readers and writers running
claims.py     the trials that a launch takes, and what it writes
status.py     the state of each sweep
sweeps.py     which trials a sweep has
status.py     how many of them are completed, running, failed and missing
claims.py     the trials that a launch has taken
lookup.py     a trial by the beginning of its id
identity.py   which store this is
leases.py     who runs what
verify.py     everything checked against everything
"""

from sweep.store.store import OutcomeKey, Store

__all__ = ["OutcomeKey", "Store"]

"""The store: the sweep's only state, and the only package that touches Parquet.

    trials/<trial id>-<outcome>.parquet    one row: the trial, and how it ended
    epochs/<trial id>-<outcome>.parquet    one row an epoch
    masks/<trial id>-<outcome>.parquet     one row a masked tensor
    weights/<trial id>-<outcome>.parquet   one row a tensor of the trained network, where ``compute.keep_weights`` asks
    {trials,…,weights}/fold-….parquet      the same of many trials, made by ``sweep compact``
    sweeps/<name>.parquet                  one row: the trials that its launches planned
    identity/<32 hex digits>.id            distinguishes the store from others in MLflow
    checkpoints/<trial id>.pt              the state of a trial that has not ended
    leases/                                which launches run, which trials they have taken, and requests to end
    calibrations/                          what pieces of trials take, measured for plans; may be deleted
    probes/                                what trials take of a GPU, measured; may be deleted
    conflicts/                             a store of other results of completed trials, which ``sweep merge`` keeps
    damaged/                               files that could not be read, set aside by a launch

under a local folder or any ``pyarrow.fs`` URI (``s3://…``, ``gs://…``). Plain Parquet: pandas, Polars and DuckDB
read it. What it guarantees, on a local disk and on an object store:

* **A file is complete or absent.** It is serialised in memory first. On a local disk it is written to a temporary
  file, synced and renamed; an object store shows an object only once its upload is complete.
* **A record is complete or absent.** Every outcome of a trial has an id (8 hex digits) and its own files, which never
  change. The trial's row is written last and holds the outcome's id: a ``completed`` row means that mask and epochs
  are stored, also for readers while other processes write, replace and fold. Files whose outcome is in no row do not
  count.
* **A completed outcome is never lost.** Only a later completed outcome replaces it, and it is deleted after that one
  is stored. So outcomes may be written in any order. ``sweep merge`` deletes none whose result it does not keep.
* **No trial runs twice.** A launch takes a trial before it runs it (:mod:`sweep.store.leases`), and skips it if
  another launch has ended it since.
* **A damaged file never hides the others.** Readers skip it and add it to :attr:`Store.damaged`; a launch moves it to
  ``damaged/`` and runs the trial again; ``sweep verify`` lists all of them.
* **Nothing is created before the first record.** An absent store reads as an empty one.
* **Every file states its schema version.** Older versions are read, newer ones refused.

files.py        files in a local folder or on an object store: list, read, put, delete
parquet.py      records to Parquet bytes and back, in the current schema
layout.py       names of files, and checks of their contents
reader.py       rows of files, while other processes write, replace and fold them
store.py        Store: outcomes of trials, sweeps, checkpoints
same_result.py  which outcomes of a trial have the same result, and what differs between others
conflicts.py    trials with several results, in one store or in several
merging.py      several stores brought into one; merge_result.py, merged_sweeps.py and outcome_files.py are its parts
folding.py      many small files merged into a few big ones, while others read and write
claims.py       the trials that a launch takes, and what it stores of them
sweeps.py       which trials a sweep has
estimates.py    what a launch expected its trials to take, compared with what they took
status.py       how many of them are completed, running, failed and missing
lookup.py       a trial by the beginning of its id
identity.py     the id of a store
leases.py       which launch runs which trial
requests.py     what launches are asked to do: stop, cancel
verify.py       checks every file, and the records against each other
"""

from sweep.store.store import OutcomeKey, Store

__all__ = ["OutcomeKey", "Store"]

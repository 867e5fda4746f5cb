"""One trial: a config in, records out. Imports no ray, mlflow or click.

run.py             run one trial; a failure is a record
attempts.py        repeat a failed trial where that may help
preemptions.py     how often a trial's machine was taken away
settings.py        how a trial is run: device, sweep, compute
dataset.py         its images, checked against its settings
experiment.py      what is done: prune, train, test
setup.py           what all methods at one seed start from: images, initial weights, first batches
training_run.py    one training, with its checkpoints
progress.py        how far the trial is: its record and its checkpoint
checkpoints.py     when a checkpoint is saved, and which one is loaded
stage.py           how far a running trial is, for whoever watches it
callbacks.py       what the caller hears of, and how it stops a trial
record_fields.py   fields of the record, by where they come from
mask_records.py    records of the masks
weight_records.py  records of the final weights, where they are kept
work.py            the passes that a trial is expected to take, by its kind
cost.py            passes and floating-point operations
hashes.py          hashes of weights, batches and masks
gpu_use.py         what a trial takes of a GPU, measured
networks.py        the networks of the grid, built for the images
shapes.py          a shipped network's multiply-accumulates, counted without a pass
timing.py          what pieces of a trial take, measured
provenance.py      the code, machine and versions that it ran with
code_version.py    what code all machines of a launch must have in common
machine.py         the cores and the memory that this process may use
checkout.py        the git commit of the code
"""

"""One trial: a config in, records out. Knows no ray, mlflow or click.

run.py            run one trial; a failure is a record
settings.py       how a trial is run: device, sweep, `compute`
attempts.py       run it again where that may help
experiment.py     from the images to the accuracy
checkpoints.py    how far a trial is, saved as it goes
metrics.py        what is recorded of it
networks.py       the networks of the grid, built for the images
provenance.py     the code, machine and versions that it ran with
machine.py        the cores and the memory that this process may use
checkout.py       the git commit of the code
"""

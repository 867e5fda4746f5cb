"""What a YAML says: read, checked, and expanded into trials.

yaml_tree.py       the file, its lines, and --set
validate.py        a mapping to a dataclass, with errors that name the key
axes.py            the values of the grid's axes: architecture, method, sparsity, seed, ablation
combinations.py    Grid: axes, paired axes, exclusions and inclusions, and the combinations that they make
grid_reader.py     the section ``grid`` of a YAML to a Grid
config.py          SweepConfig: one YAML
compute.py         Compute: where trials run
trial_identity.py  the identity of a trial as text, and its id
trial_config.py    TrialConfig: one trial, and its identity
grid.py            every trial of a sweep, its id and its title
flatten.py         a config as one mapping from dotted keys to values
fingerprints.py    which images a config of your own data means
quick.py           a quick try of a sweep: fewer epochs and images
shipped.py         the configs that come with the program
remarks.py         what is probably not meant
"""

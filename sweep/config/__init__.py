"""What a YAML says: read, checked, and expanded into trials.

yaml_tree.py      the file, its lines, and --set
validate.py       a mapping to a dataclass, with errors that name the key
axes.py           the axes of the grid: architecture, method, sparsity, seed, ablation
config.py         SweepConfig and TrialConfig
compute.py        the section `compute`: where trials run, and what each takes
grid.py           every trial of a sweep, its id and its title
fingerprints.py   which images a config of your own data means
shipped.py        the configs that come with the program
remarks.py        what is probably not meant
"""

"""The command `sweep`."""

import click

from sweep import collector
from sweep.cli.common import CommandGroup


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sweep")
def main() -> None:
    """Sparsity sweeps: which pruning-at-initialization method keeps which network trainable at which sparsity.

    \b
    Begin with:
      sweep launch digits     five methods on real images, minutes on a laptop
      sweep report            tables and figures of what is in results/
    """
    collector.collect_rarely()

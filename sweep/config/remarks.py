"""What a config asks for that is probably not meant. None of it is an error."""

from sweep.config.config import SweepConfig


def config_warnings(sweep: SweepConfig) -> list[str]:
    """One line each, naming the key."""
    epochs, milestones = sweep.training.epochs, sweep.training.milestones
    late = [milestone for milestone in milestones if epochs and milestone >= epochs]
    if not late:
        return []
    which = "none of them is" if len(late) == len(milestones) else f"{', '.join(map(str, late))} is not"
    return [
        f"training.milestones: {list(milestones)} in a training of {epochs} epochs: {which} reached, so the learning"
        " rate does not drop there"
    ]

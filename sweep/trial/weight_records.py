"""From the tested network to the records of its weights, one a tensor."""

from collections.abc import Iterable

from torch import nn

import pruning
from pruning.packed_weights import pack_weights, weights_digest
from sweep.records import WeightRecord


def weight_records(trial_id: str, model: nn.Module, masks: pruning.Masks) -> Iterable[WeightRecord]:
    """One record for each tensor of the network's state, in its order: parameters and buffers.

    Args:
        trial_id: of the trial.
        model: whose removed weights are zero.
        masks: of the model, by parameter name.
    """
    for position, (name, tensor) in enumerate(model.state_dict().items()):
        dtype, values = pack_weights(tensor, masks.get(name))
        shape = tuple(tensor.shape)
        yield WeightRecord(
            trial_id=trial_id,
            tensor=name,
            position=position,
            shape=shape,
            dtype=dtype,
            masked=name in masks,
            values=values,
            hash=weights_digest(dtype, values, shape),
        )

"""Setup: what every method at one seed starts from: images, initial weights and the batches of round one."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

import pruning
from pruning.diagnostics import Diagnostics, diagnose
from pruning.macs import macs, positions
from pruning.problem import Batch
from sweep.config.trial_config import TrialConfig
from sweep.trial.hashes import sha256, tensor_bytes, weights_hash
from sweep.trial.networks import drawn_network
from training import data, seeding
from training.optimizer import steps_per_epoch

AnyDataset = data.Dataset | data.StreamedDataset


class Setup:
    """The network, the images and the pruning batches of a trial. All draws derive from its seed.

    Attributes:
        trial, device: as given.
        splits: training, validation and test images.
        model: the network, at its initial weights until it is trained.
        first_batches: pruning batches of round one, as many as the config asks for.
        input_shape: channels, height, width.
        positions: uses of each weight for one image, see :func:`pruning.macs.positions`.
        macs_dense: multiply-accumulates of the dense network for one image.
        images: number of training images.
        steps: optimizer steps in one epoch.
        fields: fields of the record that are equal for all methods at this seed.

    Args:
        trial: what is run.
        dataset: its images.
        device: where it runs.
    """

    def __init__(self, trial: TrialConfig, dataset: AnyDataset, device: str):
        self.trial, self.device = trial, torch.device(device)
        self.splits = data.split(dataset, trial.data, trial.seed, self.device)
        self.model = self.build("weights")
        self.first_batches = self._draw(trial.pruning.batches, "pruning batches", 1)
        self.input_shape = tuple(self.first_batches[0][0].shape[1:])
        self.positions = positions(self.model, self.input_shape)
        self.macs_dense = macs(pruning.prunable(self.model), self.positions, torch.numel)
        self.images = len(self.splits.train)
        self.steps = steps_per_epoch(self.images, trial.training.batch_size)
        self.fields = self._fields(dataset)

    def build(self, purpose: str) -> nn.Module:
        """The network with weights drawn from (seed, purpose)."""
        model = drawn_network(self.trial, purpose, self.device)
        # pruning computes its gradients in the memory layout of training, too
        return model.to(memory_format=torch.channels_last) if self.trial.training.channels_last else model  # type: ignore[call-overload]

    def batches(self, step: int, number: int) -> list[Batch]:
        """The pruning batches of one round, drawn from (seed, "pruning batches", round) whatever the method.

        Args:
            step: the round, from 1.
            number: how many the method needs. Those beyond the config's ``pruning.batches`` are drawn separately, so
                that the first ones are the same for all methods.
        """
        settings = self.trial.pruning
        if step == 1 and number == settings.batches:
            return self.first_batches
        batches = self._draw(settings.batches, "pruning batches", step)
        for extra in range(settings.batches, number):
            batches += self._draw(1, f"pruning batches, batch {extra}", step)
        return batches

    def _draw(self, number: int, purpose: str, step: int) -> list[Batch]:
        settings = self.trial.pruning
        return self.splits.train.sample(
            number * settings.batch_size,
            seeding.generator(self.trial.seed, purpose, step),
            batch_size=settings.batch_size,
            balanced=settings.sampling == "balanced",
            augment=settings.augment,
        )

    def diagnose(self, masks: pruning.Masks) -> Diagnostics:
        """Diagnostics of the network under these masks, on the batches of round one whatever the method."""
        settings = self.trial.pruning
        train_mode = settings.mode == "train"
        return diagnose(self.model, masks, self.first_batches, settings.loss, train_mode, exclude=settings.exclude)

    def macs_removed(self, masks: Mapping[str, torch.Tensor]) -> int:
        """Multiply-accumulates of the removed weights for one image."""
        removed = {name: ~mask for name, mask in masks.items()}
        return macs(removed, self.positions, torch.count_nonzero)

    def _fields(self, dataset: AnyDataset) -> dict[str, Any]:
        order = self.splits.train.order(seeding.generator(self.trial.seed, "training", 1))
        return {
            "data_encoding": dataset.encoding,
            "data_fingerprint": dataset.fingerprint,
            "data_content": dataset.content,
            "classes": dataset.classes,
            "initial_weights_hash": weights_hash(self.model),
            "training_order_hash": sha256([order.numpy().tobytes()]),
            "pruning_batches_hash": sha256(tensor_bytes(t) for batch in self.first_batches for t in batch),
        }

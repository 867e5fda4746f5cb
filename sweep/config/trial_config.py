"""TrialConfig: everything that decides one trial, typed and frozen, and the identity that its id is a hash of."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pruning.ablations import NONE
from pruning.config import PruneConfig
from sweep.config import validate
from sweep.config.axes import Choice, read_ablation, read_architecture, read_method, read_seed, read_sparsity
from sweep.config.trial_identity import canonical, identity_fields, is_omitted
from sweep.config.yaml_tree import plain
from sweep.errors import InputError
from training.config import DataConfig, TrainConfig


@dataclass(frozen=True)
class TrialConfig:
    """Everything that decides the result of one trial, and where its data is.

    Attributes:
        data: the images.
        architecture: the network, with all its options and its initialisation.
        method: the pruning method, with all its options.
        sparsity: fraction of the prunable weights that is removed.
        seed: of the initial weights, the batches and everything else that is drawn.
        pruning: settings of scoring.
        training: how the network is trained.
        ablation: the control made of the method's mask, one of :data:`pruning.ablations.ABLATIONS`.
    """

    data: DataConfig
    architecture: Choice
    method: Choice
    sparsity: float
    seed: int
    pruning: PruneConfig
    training: TrainConfig
    ablation: str = NONE

    @property
    def method_label(self) -> str:
        """The method and its ablation: ``force rounds=300 ablation=invert``."""
        return self.method.label if self.ablation == NONE else f"{self.method.label} ablation={self.ablation}"

    def identity(self) -> dict[str, Any]:
        """The values that the trial's id is a hash of: all fields except those that only say where the data is.

        ``ablation: none`` is left out of the identity, so ids of older trials do not change.
        """
        return {name: _plain(part) for name, part in self._parts().items()}

    def identity_json(self) -> str:
        """:func:`canonical` of :meth:`identity`, quickly: trials of one sweep share most parts of it."""
        return "{" + ",".join(f'"{name}":{_text(part)}' for name, part in sorted(self._parts().items())) + "}"

    def _parts(self) -> dict[str, Any]:
        """The fields of the identity."""
        names = [f.name for f in dataclasses.fields(self) if f.name != "ablation" or self.ablation != NONE]
        return {name: getattr(self, name) for name in names}

    def as_dict(self) -> dict[str, Any]:
        """The whole config in plain values; :func:`trial_from` reads it back."""
        omitted = [f.name for f in dataclasses.fields(DataConfig) if is_omitted(f, getattr(self.data, f.name))]
        data = {name: value for name, value in dataclasses.asdict(self.data).items() if name not in omitted}
        return {**self.identity(), "data": data}

    def to_json(self) -> str:
        """Canonical JSON of :meth:`as_dict`."""
        return canonical(self.as_dict())


_TEXTS: dict[int, tuple[Any, str]] = {}  # by the address of a part: the part, which keeps its address, and its text
_MOST_TEXTS = 4096


def _text(part: Any) -> str:
    """:func:`canonical` of a part of an identity. Parts of many trials are the same object, which is written once.

    Equal parts that are not the same object are written again: 0 and 0.0 are equal, and their texts differ.
    """
    if isinstance(part, (str, int, float)):
        return canonical(part)
    known = _TEXTS.get(id(part))
    if known is None or known[0] is not part:
        if len(_TEXTS) >= _MOST_TEXTS:
            _TEXTS.clear()
        known = _TEXTS[id(part)] = part, canonical(_plain(part))
    return known[1]


def _plain(part: Any) -> Any:
    """A part of an identity in plain values."""
    if isinstance(part, Choice):
        return part.as_dict()
    return identity_fields(part) if dataclasses.is_dataclass(part) else part


def trial_from(values: Mapping[str, Any]) -> TrialConfig:
    """The trial that :meth:`TrialConfig.as_dict` wrote (to a stored record, or a message to a worker).

    Raises:
        InputError: it is no trial's config, or from a version with other fields.
    """
    where = "stored trial config"
    try:
        return TrialConfig(
            data=validate.read(DataConfig, plain(values["data"], where), "data"),
            architecture=read_architecture(plain(values["architecture"], where), "architecture"),
            method=read_method(plain(values["method"], where), "method"),
            sparsity=read_sparsity(plain(values["sparsity"], where), "sparsity"),
            seed=read_seed(plain(values["seed"], where), "seed"),
            pruning=validate.read(PruneConfig, plain(values["pruning"], where), "pruning"),
            training=validate.read(TrainConfig, plain(values["training"], where), "training"),
            ablation=read_ablation(plain(values.get("ablation", NONE), where), "ablation"),
        )
    except KeyError as error:
        raise InputError(f"{where}: {error.args[0]}: is missing") from None

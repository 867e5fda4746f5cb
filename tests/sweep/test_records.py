"""The records and the schemas that derive from them."""

from dataclasses import fields

import pyarrow as pa
import pytest

from pruning.docstrings import attributes
from sweep.records import EpochRecord, MaskRecord, RoundRecord, TrialRecord, schema, table


@pytest.mark.parametrize("record", [TrialRecord, EpochRecord, MaskRecord, RoundRecord])
def test_the_schema_has_every_field_in_order(record):
    assert schema(record).names == [f.name for f in fields(record)]


@pytest.mark.parametrize("record", [TrialRecord, EpochRecord, MaskRecord, RoundRecord])
def test_the_docstring_says_what_every_field_means_in_the_same_order(record):
    assert list(attributes(record, "Attributes")) == [f.name for f in fields(record)]


def test_types_and_nullability_follow_the_annotations():
    found = schema(TrialRecord)
    assert found.field("trial_id") == pa.field("trial_id", pa.string(), nullable=False)
    assert found.field("test_accuracy") == pa.field("test_accuracy", pa.float64(), nullable=True)
    assert found.field("started").type == pa.timestamp("us", tz="+00:00")
    assert schema(MaskRecord).field("shape").type == pa.list_(pa.int64())
    assert schema(MaskRecord).field("packed").type == pa.binary()
    assert [f.name for f in found.field("rounds").type.value_type] == [f.name for f in fields(RoundRecord)]


def test_every_file_says_its_schema_version_and_record():
    assert schema(EpochRecord).metadata == {b"sweep.schema": b"3", b"sweep.record": b"EpochRecord"}


def test_rows_come_back_as_they_went_in():
    row = EpochRecord("a", 1, 0.5, 0.75, None, None, 0.1, 1000.0, 2.0)
    assert EpochRecord(**table(EpochRecord, [row]).to_pylist()[0]) == row

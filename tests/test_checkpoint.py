"""Saved samples of an unfinished run: read back equal, only for the same inputs, never half."""

from __future__ import annotations

import numpy as np

from hwsim.activity import Activity, SampleOutcome
from hwsim.checkpoint import Checkpoint, decode, encode, merge
from tests.result_builder import activity


def with_output() -> Activity:
    made = activity(1)
    made.outcomes = [SampleOutcome(0, 3, None, 2, np.array([[0.1, 1 / 3], [2.0**-1000, -0.0]]))]
    made.schedule, made.notes, made.events = ["for k"], ["a note"], 12
    return made


def test_an_activity_survives_json_exactly():
    made = with_output()
    again = decode(encode(made))
    assert again.outcomes[0].output.tobytes() == made.outcomes[0].output.tobytes()
    made.outcomes[0].output = again.outcomes[0].output = None
    assert again == made
    again.count(0, 0, 0, "new", "action", 2)
    assert again.counts[0, 0, 0, "new", "action"] == 2


def test_a_saved_sample_is_found_for_the_same_inputs_only(tmp_path):
    Checkpoint(tmp_path, "key").save(4, activity(1))
    assert Checkpoint(tmp_path, "key").load(4) == activity(1)
    assert Checkpoint(tmp_path, "other").load(4) is None
    assert Checkpoint(tmp_path, "key").load(5) is None


def test_a_broken_file_is_a_sample_that_is_not_there(tmp_path):
    checkpoint = Checkpoint(tmp_path, "key")
    checkpoint.save(0, activity(1))
    file = next(checkpoint.folder.iterdir())
    for content in ("", "{", '{"key": "key"}', '{"key": "key", "activity": {}}', "[]"):
        file.write_text(content)
        assert checkpoint.load(0) is None


def test_a_finished_run_keeps_no_samples(tmp_path):
    checkpoint = Checkpoint(tmp_path, "key")
    checkpoint.save(0, activity(1))
    checkpoint.clear()
    assert list(tmp_path.iterdir()) == []
    checkpoint.clear()


def test_merged_samples_equal_one_run():
    whole = activity(2)
    first, second = activity(1), activity(2)
    for mapping in (second.counts, second.cycles, second.latency, second.span, second.operations):
        for key in [key for key in mapping if key[0] == 0]:
            del mapping[key]
    del second.ticks[0]
    second.outcomes = second.outcomes[1:]
    merged = Activity()
    merge(merged, first)
    merge(merged, second)
    assert merged == whole

"""What the job and the service say to each other, and what they make of it."""

import numpy as np
import pytest

from mitra.graph import graph_pb2 as pb
from mitra.graph.contract import answers_message, answers_of, features_of, lookup_request
from mitra.graph.features import all_columns
from mitra.graph.questions import Answers, Question

COLUMNS = all_columns(("customer", "device"), (86_400_000,))


@pytest.mark.parametrize("questions", [0, 1, 2, 700])
def test_answers_go_over_the_wire_as_protobuf_writes_them(questions: int) -> None:
    values = np.random.default_rng(3).random((questions, len(COLUMNS)))
    values[values < 0.2] = np.nan
    answers = Answers(values, (values > 0.9).astype(np.uint8))
    message = answers_message(answers)
    usual = pb.Answers(values=values.ravel().tolist(), capped=answers.capped.tobytes())
    assert message.SerializeToString() == usual.SerializeToString()
    found = answers_of(pb.Answers.FromString(message.SerializeToString()), questions, len(COLUMNS))
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_array_equal(found.capped, answers.capped)


def test_features_are_said_once_for_all_groups_that_ask_for_the_same() -> None:
    groups = [
        (kind, columns, [Question(kind, "x", 1)])
        for kind, columns in (
            ("customer", COLUMNS),
            ("device", COLUMNS),
            ("address", COLUMNS[:2]),
            ("account", COLUMNS[:2]),
        )
    ]
    request = lookup_request(groups)
    assert [group.type for group in request.groups] == ["customer", "device", "address", "account"]
    assert [len(group.features) for group in request.groups] == [len(COLUMNS), 0, 2, 0]
    assert features_of(request.groups[0]) == COLUMNS

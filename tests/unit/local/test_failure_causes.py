"""The cause of a failed task is found in Flink's logs, under all that Java wraps around it."""

from pathlib import Path

from mitra.local.job import failure_causes

LOG = """\
2026-01-01 10:00:00,000 INFO  Task [] - fine
2026-01-01 10:00:01,000 WARN  Task [] - history (1/1)#0 (a_b_0_0) switched from RUNNING to FAILED with failure cause:
java.lang.reflect.InvocationTargetException
\tat org.apache.flink.Operator.processElement(Operator.java:146)
Caused by: java.lang.RuntimeException
\tat org.apache.flink.Iterator.hasNext(Iterator.java:1)
Caused by: pemja.core.PythonException: <class 'ValueError'>: shape (0,0)
\tat /work/mitra/history/past.decode_past(past.py:234)
\tat pemja.core.object.PyIterator.next(Native Method)
\t... 20 more
2026-01-01 10:00:02,000 INFO  Task [] - history (1/1)#0 switched from RUNNING to FAILED on x @ localhost (dataPort=-1).
java.lang.reflect.InvocationTargetException
Caused by: pemja.core.PythonException: the same, told once more
"""


def test_the_innermost_cause_is_told_with_its_python_frames(tmp_path: Path) -> None:
    (tmp_path / "flink.log").write_text(LOG, encoding="utf-8")
    assert failure_causes(tmp_path) == [
        "pemja.core.PythonException: <class 'ValueError'>: shape (0,0)\n  at /work/mitra/history/past.decode_past(past.py:234)"
    ]


def test_a_failure_without_wrapping_is_told_as_it_is(tmp_path: Path) -> None:
    line = "2026-01-01 10:00:01,000 WARN  Task [] - a switched from RUNNING to FAILED with failure cause: java.lang.OutOfMemoryError"
    (tmp_path / "flink.log").write_text(f"{line}\n\tat a.B.c(B.java:1)\n", encoding="utf-8")
    assert failure_causes(tmp_path) == ["java.lang.OutOfMemoryError"]
    assert failure_causes(tmp_path / "nothing") == []

"""flink-conf.yaml: what is read, what is refused, and that Flink knows every setting in it."""

import itertools
import zipfile
from pathlib import Path

import pytest

from mitra import flink_conf
from mitra.errors import MitraError, ProblemsError
from mitra.local.files import checkout


def test_the_settings_that_state_depends_on_are_pinned() -> None:
    settings = flink_conf.read()
    assert settings["python.execution-mode"] == "thread"
    assert settings["pipeline.max-parallelism"] == "128"
    assert settings["table.local-time-zone"] == "UTC"
    assert settings["state.backend.type"] == "rocksdb"


def test_flink_knows_every_setting() -> None:
    pyflink = pytest.importorskip("pyflink", reason="PyFlink is not installed")
    texts = []
    for folder, pattern in (
        ("lib", "flink-dist-*.jar"),
        ("lib", "flink-table-api-java-uber-*.jar"),
        ("opt", "flink-python-*.jar"),
    ):
        [jar] = Path(pyflink.__path__[0]).joinpath(folder).glob(pattern)
        with zipfile.ZipFile(jar) as classes:
            # Options are string constants of classes that are named so, and lie in them as they are.
            texts += [
                classes.read(name) for name in classes.namelist() if name.endswith(("Options.class", "Option.class"))
            ]
    known = b"\n".join(texts)
    names = [*flink_conf.read(), *flink_conf.LOCAL]
    assert [name for name in names if name.encode() not in known] == []


def test_every_setting_has_its_reason_above_it() -> None:
    root = checkout()
    assert root is not None
    lines = (root / flink_conf.FILE).read_text(encoding="utf-8").splitlines()
    for before, line in itertools.pairwise(lines):
        if line and not line.startswith("#"):
            assert before, f"no comment above: {line}"


def test_values_stay_the_texts_that_were_written() -> None:
    text = "a.b: yes\na.c: 10 s\na.d: 0128\na.e: '1.50'\n"
    assert flink_conf.parse(text) == {"a.b": "yes", "a.c": "10 s", "a.d": "0128", "a.e": "1.50"}


def test_an_empty_file_has_no_settings() -> None:
    assert flink_conf.parse("# nothing\n") == {}


def test_all_problems_come_at_once_with_their_lines() -> None:
    text = "a.b: 1\n\nstate:\n  backend: x\na.b: 2\na.c:\na.d: [1]\n7: x\n"
    with pytest.raises(ProblemsError) as raised:
        flink_conf.parse(text, "my.yaml")
    assert str(raised.value).splitlines() == [
        "my.yaml: 5 problems",
        "line 3: not a Flink setting's name; key='state'",
        "  such as state.backend.type",
        "line 5: set twice; key=a.b",
        "  line 1 has it first: keep one",
        "line 6: no value; key=a.c",
        "  give one, or delete the line",
        "line 7: nested; key=a.d",
        "  write the full name on one line: a.b.c: value",
        "line 8: not a Flink setting's name; key='7'",
        "  such as state.backend.type",
    ]


@pytest.mark.parametrize(
    ("text", "line"), [("a.b: 1\nc.d: [1\n", "line 3"), ("- a\n", "line 1"), ("a.b: 1\n\tc.d: 2\n", "line 2")]
)
def test_what_is_not_yaml_names_its_line(text: str, line: str) -> None:
    with pytest.raises(ProblemsError, match=line):
        flink_conf.parse(text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MitraError, match=r"path=.*none\.yaml"):
        flink_conf.read(tmp_path / "none.yaml")


def test_a_local_run_adds_its_own_and_overrides_win() -> None:
    settings = flink_conf.for_local_run({"a.b": "1", "rest.port": "8081"}, {"a.b": "2", "c.d": "3"})
    assert settings == {"a.b": "2", "rest.port": "0", "rest.address": "127.0.0.1", "c.d": "3"}


def test_settings_become_arguments_of_flink() -> None:
    assert flink_conf.arguments({"a.b": "10 s"}) == ["-Da.b=10 s"]


@pytest.mark.parametrize(("value", "mb"), [("512m", 512), ("1g", 1024), ("1 GB", 1024), ("2048k", 2), ("1048576", 1)])
def test_memory_sizes_in_mb(value: str, mb: int) -> None:
    assert flink_conf.size_mb("a.b", value) == mb


def test_a_wrong_memory_size_names_its_key() -> None:
    with pytest.raises(MitraError, match=r"a\.b=lots"):
        flink_conf.size_mb("a.b", "lots")

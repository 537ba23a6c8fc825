"""The command line: what it prints where, and its exit status."""

import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import mitra.cli
from mitra import __version__
from mitra.cli import COMMANDS, commands, main
from mitra.errors import MitraError

ROOT = Path(__file__).resolve().parents[3]
HANDBOOK = str(ROOT / "examples" / "handbook" / "pipeline.yaml")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A command `check` that does what the test says, by its `run`."""
    module: Any = types.ModuleType("mitra.cli.check")
    module.add_arguments = lambda parser: parser.add_argument("--number", type=int)
    monkeypatch.setitem(sys.modules, "mitra.cli.check", module)
    return module


def test_help_names_the_commands_that_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("check", "topics", "schema"))
    assert set(commands()) <= set(COMMANDS)


def test_a_command_whose_module_is_not_there_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mitra.cli.COMMANDS, "not_built", "nothing")
    assert "not_built" not in commands()


def test_help_loads_nothing_heavy() -> None:
    """Numba, PyFlink and pyarrow take seconds to load together; the help takes none of them."""
    code = "import sys, mitra.cli; mitra.cli.main(['--help']); print([m for m in sys.modules if '.' not in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    loaded = done.stdout.splitlines()[-1]
    for heavy in ("numba", "numpy", "pyarrow", "pyflink", "kafka", "duckdb", "xgboost", "rich", "yaml"):
        assert f"'{heavy}'" not in loaded


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mitra {__version__}\n"


@pytest.mark.parametrize(
    "words", [[], ["nothing"], ["check"], ["check", "--nothing"], ["--nothing"], ["topics", "a", "b"]]
)
def test_a_wrong_call_has_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert "usage: mitra" in captured.out + captured.err


def test_an_error_is_told_on_stderr_with_status_1(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def run(_: Any) -> int:
        raise MitraError("amount=3 is wrong; do better")

    command.run = run
    assert main(["check"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "mitra check: amount=3 is wrong; do better\n"
    assert not captured.out


def test_ctrl_c_has_status_130(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def run(_: Any) -> int:
        raise KeyboardInterrupt

    command.run = run
    assert main(["check"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_anything_else_is_called_a_defect_and_shown(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def run(_: Any) -> int:
        raise ZeroDivisionError("by nought")

    command.run = run
    assert main(["check"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "mitra check: this is a defect of Mitra: ZeroDivisionError: by nought"
    assert lines[-1] == "ZeroDivisionError: by nought"


def test_a_commands_status_is_the_programs(command: Any) -> None:
    command.run = lambda args: args.number
    assert main(["check", "--number", "7"]) == 7


def test_a_reader_that_has_gone_is_no_defect() -> None:
    done = subprocess.run(
        f"{sys.executable} -m mitra.cli schema decision | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("{", "")


def test_check_says_nothing_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", HANDBOOK]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("nothing wrong: 1 event type, 2 entities, 15 features")
    assert second == (
        "a duplicate gets the first decision for 60d, and counts once in an entity's history while fewer than 3,584 newer "
        "events of it have come"
    )
    assert main(["check", HANDBOOK, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["duplicates"] == {"answered_for_ms": 60 * 86_400_000, "counted_once_within_events": 3_584}


def test_check_tells_everything_wrong_for_people_and_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("name: bad\ndelivery: twice\n", encoding="utf-8")
    assert main(["check", str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"{path}: 2 problems\n")
    assert main(["check", str(path), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert not said["ok"]
    assert [(problem["path"], problem["line"]) for problem in said["problems"]] == [("events", None), ("delivery", 2)]


@pytest.mark.parametrize("name", ["decision", "dead-letter", "label", "outcome", "probe", "probe-result"])
def test_schema_prints_one_schema(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", name]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == name


def test_schema_of_a_transaction_needs_its_pipeline(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "transaction"]) == 1
    assert "mitra schema transaction PIPELINE" in capsys.readouterr().err
    assert main(["schema", "transaction", HANDBOOK]) == 0
    assert "TX_AMOUNT" in json.loads(capsys.readouterr().out)["properties"]


def test_schema_names_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert "dead-letter" in capsys.readouterr().out.split()
    assert main(["schema", "decison"]) == 1
    assert 'did you mean "decision"?' in capsys.readouterr().err


def test_a_misspelt_command_is_told_which_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chek"]) == 2
    assert "mitra: there is no command chek; did you mean check?\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FileExistsError(17, "File exists", "README.md"), "'README.md': File exists"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
)
def test_what_the_machine_refuses_is_no_defect(
    command: Any, capsys: pytest.CaptureFixture[str], error: OSError, told: str
) -> None:
    def run(_: Any) -> int:
        raise error

    command.run = run
    assert main(["check"]) == 1
    assert capsys.readouterr().err == f"mitra check: {told}\n"


@pytest.mark.parametrize(("folder", "found"), [("nothing", "is no folder"), (".", "is a folder without a manifest")])
def test_a_folder_that_is_no_model_is_refused_before_anything_starts(
    folder: str, found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, payments = tmp_path / "output", tmp_path / "payments.csv"
    payments.write_text("TRANSACTION_ID\n", encoding="utf-8")
    words = [HANDBOOK, "--transactions", str(payments), "--model", str(tmp_path / folder), "--output", str(output)]
    assert main(["replay", *words]) == 1
    assert found in capsys.readouterr().err
    assert not output.exists()

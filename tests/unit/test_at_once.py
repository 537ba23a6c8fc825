"""What `make test` runs side by side: shown in order, ended together."""

import signal
import subprocess
import sys
import time
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "at_once.py"
WAITS = """
import time
from pathlib import Path
import pytest

@pytest.fixture
def thing():
    Path("NAME.began").touch()
    yield
    Path("NAME.ended").touch()

def test_that_waits(thing):
    time.sleep(60)
"""


def call(folder: Path, *names: str, more: str = "") -> list[str]:
    pytest = f"{sys.executable} -m pytest -q -p no:cacheprovider {more}"
    return [sys.executable, str(SCRIPT), *(f"{name}: {pytest} {folder}/test_{name}.py" for name in names)]


def wait_for(folder: Path, pattern: str, count: int, running: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + 60
    while len(list(folder.glob(pattern))) < count:
        assert running.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_commands_are_shown_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "test_slow.py").write_text("import time\ndef test_it(): time.sleep(0.5)\n")
    (tmp_path / "test_quick.py").write_text("def test_it(): pass\ndef test_that(): pass\n")
    done = subprocess.run(call(tmp_path, "slow", "quick"), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    places = [done.stdout.index(text) for text in ("== slow", "1 passed", "== quick", "2 passed")]
    assert places == sorted(places)


def test_the_first_that_fails_ends_the_others(tmp_path: Path) -> None:
    (tmp_path / "test_wrong.py").write_text(
        "from pathlib import Path\ndef test_it():\n    while not Path('two.began').exists(): pass\n    assert False\n"
    )
    (tmp_path / "test_two.py").write_text(WAITS.replace("NAME", "two"))
    done = subprocess.run(call(tmp_path, "wrong", "two"), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "1 failed" in done.stdout
    assert done.stderr == "wrong: failed, status=1; what ran beside it is ended\n"
    assert (tmp_path / "two.ended").exists()


def test_ctrl_c_ends_all_of_them_with_what_their_fixtures_started(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"test_{name}.py").write_text(WAITS.replace("NAME", name))
    with subprocess.Popen(call(tmp_path, "one", "two"), cwd=tmp_path, stdout=subprocess.DEVNULL) as running:
        wait_for(tmp_path, "*.began", 2, running)
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
    assert sorted(path.name for path in tmp_path.glob("*.ended")) == ["one.ended", "two.ended"]

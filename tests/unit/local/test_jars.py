"""Jars: only bytes that the lock names are ever used, and a broken download goes on where it stopped."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mitra.errors import MitraError
from mitra.local import jars as jar_sets
from mitra.local.jars import Jar, fetch, is_whole

BYTES = bytes(range(256)) * 1000


def jar_of(content: bytes) -> Jar:
    return Jar("org.example", "thing", "1.0", "", hashlib.sha256(content).hexdigest())


class Repository(ThreadingHTTPServer):
    """A Maven repository with one jar. It breaks the first `breaks` answers off in the middle."""

    def __init__(self, content: bytes, *, breaks: int = 0, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content, self.breaks, self.status = content, breaks, status
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/maven"


class Answer(BaseHTTPRequestHandler):
    server: Repository

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.server.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
        body = self.server.content[start:]
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        if start and not body:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.breaks:
            self.server.breaks -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator:
    started = []
    monkeypatch.setattr(fetch.time, "sleep", lambda _: None)

    def start(content: bytes, **how: int) -> Repository:
        repository = Repository(content, **how)
        threading.Thread(target=repository.serve_forever, args=(0.01,), daemon=True).start()
        started.append(repository)
        return repository

    yield start
    for repository in started:
        repository.shutdown()
        repository.server_close()


def get(jar: Jar, target: Path, remotes: list[str], local: Path | None = None) -> None:
    fetch._fetch_one(jar, target, local or target / "no-repository", remotes, lambda _: None)


def test_a_jar_is_fetched_under_its_name(tmp_path: Path, serve) -> None:
    jar = jar_of(BYTES)
    get(jar, tmp_path, [serve(BYTES).url])
    assert (tmp_path / "thing-1.0.jar").read_bytes() == BYTES
    assert [path.name for path in tmp_path.iterdir()] == ["thing-1.0.jar"]


def test_a_broken_download_goes_on_where_it_stopped(tmp_path: Path, serve) -> None:
    repository = serve(BYTES, breaks=2)
    get(jar_of(BYTES), tmp_path, [repository.url])
    assert (tmp_path / "thing-1.0.jar").read_bytes() == BYTES
    assert repository.asked[0] == ""
    assert len(repository.asked) == 3
    assert all(wanted.startswith("bytes=") for wanted in repository.asked[1:])


def test_a_part_left_by_an_earlier_run_is_used(tmp_path: Path, serve) -> None:
    (tmp_path / "thing-1.0.jar.part").write_bytes(BYTES[:1000])
    repository = serve(BYTES)
    get(jar_of(BYTES), tmp_path, [repository.url])
    assert repository.asked == ["bytes=1000-"]
    assert (tmp_path / "thing-1.0.jar").read_bytes() == BYTES


def test_a_part_with_other_bytes_is_thrown_away(tmp_path: Path, serve) -> None:
    (tmp_path / "thing-1.0.jar.part").write_bytes(b"x" * 1000)
    get(jar_of(BYTES), tmp_path, [serve(BYTES).url])
    assert (tmp_path / "thing-1.0.jar").read_bytes() == BYTES


def test_false_bytes_never_get_the_name(tmp_path: Path, serve) -> None:
    with pytest.raises(MitraError, match="the bytes are not those of the lock"):
        get(jar_of(BYTES), tmp_path, [serve(BYTES[::-1]).url])
    assert list(tmp_path.iterdir()) == []


def test_the_next_repository_is_tried(tmp_path: Path, serve) -> None:
    get(jar_of(BYTES), tmp_path, [serve(b"", status=404).url, serve(BYTES).url])
    assert is_whole(tmp_path / "thing-1.0.jar", jar_of(BYTES))


def test_a_jar_that_nobody_has_is_named_with_the_way_out(tmp_path: Path, serve) -> None:
    with pytest.raises(MitraError) as raised:
        get(jar_of(BYTES), tmp_path, [serve(b"", status=404).url])
    assert str(raised.value) == (
        "a jar could not be fetched; jar=org.example:thing:1.0, the repository answered 404; "
        f"check the network and try again, or put the file at {tmp_path / 'thing-1.0.jar'}"
    )


def test_the_local_maven_repository_comes_first_if_its_bytes_are_right(tmp_path: Path, serve) -> None:
    jar = jar_of(BYTES)
    place = tmp_path / "m2" / jar.place
    place.parent.mkdir(parents=True)
    place.write_bytes(BYTES)
    get(jar, tmp_path, [], tmp_path / "m2")
    assert is_whole(tmp_path / jar.filename, jar)
    place.write_bytes(b"half")
    (tmp_path / jar.filename).unlink()
    repository = serve(BYTES)
    get(jar, tmp_path, [repository.url], tmp_path / "m2")
    assert len(repository.asked) == 1


def test_every_locked_jar_has_a_checksum() -> None:
    for name in jar_sets.NAMES:
        locked = jar_sets.locked(name)
        assert locked
        assert all(len(jar.sha256) == 64 for jar in locked)
        assert len({jar.filename for jar in locked}) == len(locked)


def test_a_damaged_jar_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jar = jar_of(BYTES)
    asked: list[Jar] = []
    monkeypatch.setattr(jar_sets, "locked", lambda _: [jar])
    monkeypatch.setattr(jar_sets, "folder", lambda _: tmp_path)
    monkeypatch.setattr(fetch, "fetch", lambda _name, wanted, _target: asked.extend(wanted))
    (tmp_path / jar.filename).write_bytes(BYTES)
    assert jar_sets.jars("kafka") == [tmp_path / jar.filename]
    assert asked == []
    (tmp_path / jar.filename).write_bytes(BYTES[:-1])
    jar_sets.jars("kafka")
    assert asked == [jar]


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(MitraError, match=r"name=spark; there are flink, kafka"):
        jar_sets.jars("spark")

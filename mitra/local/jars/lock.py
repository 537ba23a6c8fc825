"""Resolves the wanted jars with jgo and writes the lock files: versions and sha256 of everything they need."""

import tempfile
from pathlib import Path

from jgo.env import EnvironmentBuilder, EnvironmentSpec, LockFile
from jgo.maven import MavenContext

from mitra.local.jars import lock_path


def resolve(name: str) -> bool:
    """Resolve `NAME.toml` into `NAME.lock.toml`, and tell whether that changed it."""
    path = lock_path(name)
    spec = EnvironmentSpec.load(path.with_name(f"{name}.toml"))
    with tempfile.TemporaryDirectory(prefix="mitra-lock-") as scratch:
        context = MavenContext(repo_cache=Path(scratch), timeout=30)
        wanted = EnvironmentBuilder(context=context, cache_dir=Path(scratch)).spec_to_dependencies(spec)
        inputs, transitive = context.resolver.resolve(wanted)
        scopes = {"compile", "runtime"}
        # A dependency may be a bill of materials, which is a POM and no jar.
        needed = [*inputs, *(dep for dep in transitive if dep.scope in scopes and dep.type != "pom")]
        needed.sort(key=lambda dep: (dep.groupId, dep.artifactId))
        lock = LockFile.from_resolved_dependencies(needed, environment_name=name)
    if path.exists():
        before = LockFile.load(path).dependencies
        if [entry.to_dict() for entry in before] == [entry.to_dict() for entry in lock.dependencies]:
            return False
    lock.save(path)
    return True

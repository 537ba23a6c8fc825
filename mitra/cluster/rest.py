"""The little of Flink's REST API that a submission needs."""

import http.client
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from mitra.errors import MitraError

_TIMEOUT_S = 5.0
_CAUSE_LINES = 12


class ClusterError(MitraError):
    """The Flink cluster can't be reached, can't take the job, or fails it."""


class ClusterClient:
    """Asks a JobManager; `address` is its HOST:PORT. Every call raises ClusterError within seconds if nothing answers."""

    def __init__(self, address: str) -> None:
        """Take the address; nothing is asked yet. Raises ClusterError where it is none."""
        parts = urlsplit(f"//{address.removeprefix('http://').rstrip('/')}")
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if not host or not port or parts.path:
            raise ClusterError(
                f"--jobmanager={address} is no HOST:PORT; the port is that of Flink's REST API, often 8081"
            )
        self.host = host
        self.port = port
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def get(self, path: str) -> Any:
        """Return the JSON that a path answers."""
        return self._ask(path, "GET")

    def cancel(self, job: str) -> None:
        """Cancel a job; its last checkpoint stays."""
        self._ask(f"/jobs/{job}?mode=cancel", "PATCH")

    def running(self, name: str) -> list[str]:
        """Return the ids of the jobs of that name that have not ended."""
        ended = {"FINISHED", "CANCELED", "FAILED"}
        jobs = self.get("/jobs/overview")["jobs"]
        return [job["jid"] for job in jobs if job["name"] == name and job["state"] not in ended]

    def settings(self) -> dict[str, str]:
        """Return the JobManager's own settings."""
        return {entry["key"]: entry["value"] for entry in self.get("/jobmanager/config")}

    def has_python(self) -> bool:
        """Tell whether the JobManager's own class path has Flink's Python operators."""
        return any("flink-python" in path for path in self.get("/jobmanager/environment")["classpath"])

    def state(self, job: str) -> str:
        """Return a job's state, such as RUNNING."""
        return str(self.get(f"/jobs/{job}")["state"])

    def failures(self, job: str) -> list[str]:
        """Return the causes of a job's failures so far, the newest first."""
        entries = self.get(f"/jobs/{job}/exceptions?maxExceptions=20")["exceptionHistory"]["entries"]
        return [innermost_cause(entry["stacktrace"]) for entry in entries]

    def _ask(self, path: str, method: str) -> Any:
        request = urllib.request.Request(f"http://{self.address}{path}", method=method)
        # A proxy of the environment knows nothing of the cluster.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_TIMEOUT_S) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            said = " ".join(error.read(500).decode(errors="replace").split())
            raise ClusterError(f"the cluster at {self.address} refuses {path}; status={error.code}: {said}") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise ClusterError(
                f"no Flink cluster answers at --jobmanager={self.address} ({reason}); is it running, "
                "and is this the port of its REST API (often 8081)?"
            ) from error
        except ValueError as error:
            raise ClusterError(f"what answers at --jobmanager={self.address} is not Flink's REST API") from error


def innermost_cause(trace: str) -> str:
    """Return the innermost cause in a Java stack trace, with the lines of its Python trace if it has one."""
    cause: list[str] = []
    for line in trace.splitlines():
        if not cause or line.startswith("Caused by: "):
            cause = [line.removeprefix("Caused by: ")]
        elif not line.startswith("\t") or ".py:" in line:
            cause.append(line.replace("\t", "  "))
    return "\n".join(line for line in cause[:_CAUSE_LINES] if line.strip())

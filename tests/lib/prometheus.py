"""A Prometheus of the machine's package, in a folder of its own: it scrapes exporters and runs
queries."""
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from .daemon import BUILD, SLOW, temporary_folder

RULES = os.path.join(BUILD, "tools", "exporter", "pierre-dbd.rules.yml")
DASHBOARD = os.path.join(BUILD, "tools", "exporter", "pierre-dbd.json")


def lacks():
    """Returns why no Prometheus can run here, or None."""
    absent = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else None


def promtool(*words, stdin=None):
    """Returns (exit code, all output)."""
    done = subprocess.run(
        ["promtool", *words],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120 * SLOW,
    )
    return done.returncode, done.stdout


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


class Prometheus:
    """targets: addresses to scrape under the job of the rules; every: the interval."""

    def __init__(self, targets, every="1s"):
        self.folder = temporary_folder()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        configuration = {
            "global": {"scrape_interval": every, "evaluation_interval": every},
            "rule_files": [RULES],
            "scrape_configs": [
                {"job_name": "pierre-dbd", "static_configs": [{"targets": list(targets)}]}
            ],
        }
        path = os.path.join(self.folder, "prometheus.yml")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(configuration, file)  # JSON is YAML
        with open(os.path.join(self.folder, "log"), "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={path}",
                    f"--storage.tsdb.path={self.folder}/data",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        deadline = time.monotonic() + 30 * SLOW
        while not self.is_ready():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8") as file:
            return file.read()

    def api(self, path, **query):
        """The `data` of an answer; ValueError with Prometheus' words when it refuses."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=30 * SLOW) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as problem:
            raise ValueError(f"{query}: {problem.read().decode()}") from None

    def query(self, expression):
        """Returns [(labels, number)] of the present moment."""
        found = self.api("query", query=expression)["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def range(self, expression, begin, end, step):
        """Returns [(labels, [(time, number)])]."""
        found = self.api("query_range", query=expression, start=begin, end=end, step=step)
        return [
            (one["metric"], [(float(at), float(value)) for at, value in one["values"]])
            for one in found["result"]
        ]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20 * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def panels():
    """Returns the panels of the dashboard that have queries."""
    with open(DASHBOARD, encoding="utf-8") as file:
        return [panel for panel in json.load(file)["panels"] if "targets" in panel]


def expression(target, interval, instance=".*"):
    """A query of the dashboard, with its variables as Grafana fills them."""
    found = target["expr"].replace("$__rate_interval", interval).replace("$instance", instance)
    assert "$" not in found, found
    return found

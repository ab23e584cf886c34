#!/usr/bin/env python3
"""Draws the dashboard from a real run: two daemons under a load that comes and goes, one on SQLite
and one that reads from two standbys of PostgreSQL, which fail in turn; their exporters, and a
Prometheus, which answers the dashboard's own queries. Matplotlib draws it (python3-matplotlib), not
Grafana.

usage: tests/exporter/picture.py BUILD FILE.png [SECONDS]     (240)"""
import contextlib
import math
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
COLUMNS = 4
LEGENDS = 6
CHEAP = ("--bcrypt-cost", "8")  # passwords would take all of a small machine
# Of Grafana: the size of one, and its name.
UNITS = {
    "s": (1, "s"),
    "bytes": (2**20, "MiB"),
    "Bps": (2**20, "MiB/s"),
    "percentunit": (0.01, "%"),
    "reqps": (1, "/s"),
    "ops": (1, "/s"),
    "rowsps": (1, "/s"),
    "short": (1, ""),
}
INTERVAL, STEP = "10s", 2


def legend(text, labels):
    for name, value in labels.items():
        text = text.replace("{{" + name + "}}", value)
    return text


def series(server, panel, begin, end):
    """Yields (legend, times, numbers) of a panel, in its unit."""
    from lib.prometheus import expression

    scale, _ = UNITS[panel["fieldConfig"]["defaults"]["unit"]]
    for target in panel["targets"]:
        for labels, points in server.range(expression(target, INTERVAL), begin, end, STEP):
            times = [at - begin for at, _ in points]
            numbers = [value / scale for _, value in points]
            if any(not math.isnan(number) and number for number in numbers):
                yield legend(target["legendFormat"], labels), times, numbers


def draw_panel(axis, panel, found, names):
    """The lines of a panel; the legend names those that reach highest."""
    defaults = panel["fieldConfig"]["defaults"]
    _, unit = UNITS[defaults["unit"]]
    axis.set_title(panel["title"] + (f" ({unit})" if unit else ""), fontsize=9, loc="left")
    axis.tick_params(labelsize=7)
    axis.grid(alpha=0.3)
    found = sorted(found, key=lambda one: -max(n for n in one[2] if not math.isnan(n)))
    for i, (text, times, numbers) in enumerate(found):
        for instance, name in names.items():
            text = text.replace(instance, name)
        axis.plot(times, numbers, linewidth=1, label=text if i < LEGENDS else None)
    if not found:
        axis.text(0.5, 0.5, "all 0", transform=axis.transAxes, ha="center", color="gray")
    else:
        axis.legend(fontsize=6, loc="best", framealpha=0.7, handlelength=1, labelspacing=0.2)
    if "min" in defaults:
        axis.set_ylim(bottom=0)
    elif found:
        axis.set_yscale("log")


def draw(server, names, begin, end, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from PIL import Image
    from lib.prometheus import panels

    shown = [panel for panel in panels() if panel["type"] == "timeseries"]
    rows = math.ceil(len(shown) / COLUMNS)
    figure, axes = pyplot.subplots(rows, COLUMNS, figsize=(16, 2.3 * rows), layout="constrained")
    for axis in axes.flat[len(shown) :]:
        axis.axis("off")
    for axis, panel in zip(axes.flat, shown):
        axis.set_xlim(0, end - begin)
        draw_panel(axis, panel, list(series(server, panel, begin, end)), names)
    figure.savefig(path, dpi=72)
    with Image.open(path) as whole:  # few colours: a quarter of the size
        whole.convert("RGB").quantize(48).save(path, optimize=True)


@contextlib.contextmanager
def dead(server):
    server.kill()
    try:
        yield
    finally:
        server.launch()


def load(daemons, standbys, seconds):
    """Waves of clients, with a quiet time between them. In some a standby does not replay, or is
    dead."""
    from lib.busy import Busy

    first, second = standbys
    faults = (contextlib.nullcontext, first.paused, contextlib.nullcontext, lambda: dead(second))
    until, wave = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        wave += 1
        with contextlib.ExitStack() as stack:
            stack.enter_context(faults[wave % len(faults)]())
            for daemon in daemons:
                for i in range(1 + wave % 3 * 2):
                    stack.enter_context(Busy(daemon, 0.002, f"busy-{wave}-{i}@example.com"))
            time.sleep(min(25, max(0, until - time.monotonic())))
        time.sleep(min(8, max(0, until - time.monotonic())))


def main():
    if len(sys.argv) not in (3, 4):
        raise SystemExit(__doc__)
    os.environ["PIERRE_TEST_BUILD"] = os.path.abspath(sys.argv[1])
    from lib.daemon import Daemon
    from lib.exporter import Exporter
    from lib.prometheus import Prometheus
    from lib.standbys import Standbys

    seconds = float(sys.argv[3]) if len(sys.argv) == 4 else 240
    with (
        Standbys(2) as group,
        Daemon("sqlite", options=CHEAP) as one,
        group.daemon(*CHEAP) as two,
        Exporter(one.socket_path) as first,
        Exporter(two.socket_path) as second,
        Prometheus([first.target, second.target]) as server,
    ):
        names = {first.target: "sqlite", second.target: "postgresql"}
        for number, standby in enumerate(group.standbys, 1):
            names[f"127.0.0.1:{standby.port}"] = f"standby{number}"
        names[f"127.0.0.1:{group.primary.port}"] = "primary"
        begin = time.time() + 12
        load((one, two), group.standbys, seconds + 12)
        draw(server, names, begin, begin + seconds, sys.argv[2])


if __name__ == "__main__":
    main()

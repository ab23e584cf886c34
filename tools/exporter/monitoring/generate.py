#!/usr/bin/env python3
"""Makes what Prometheus and Grafana read from alarms.toml and dashboard.toml.

    generate.py rules       the rules of the alarms, as YAML
    generate.py tests FILE  tests of these rules for promtool; FILE is the path of the rules
    generate.py table       the table in docs/observe.md
    generate.py dashboard   the dashboard, as JSON

An alarm without a case in which it fires and one in which it stays silent is refused."""
import json
import os
import re
import sys
import tomllib

HERE = os.path.dirname(os.path.abspath(__file__))
JOB = "pierre-dbd"
SUMMARY = "pierre-dbd on {{ $labels.instance }}: %s"
EVERY, AT = "30s", "15m"
COLUMNS, HEIGHT = 24, 8  # of Grafana's grid
SELECTED = f'job="{JOB}",instance=~"$instance"'


def read(name):
    with open(os.path.join(HERE, name), "rb") as file:
        return tomllib.load(file)


def alarms():
    found = read("alarms.toml")["alarm"]
    for alarm in found:
        unknown = set(alarm) - {
            *("name", "title", "severity", "for", "expr", "meaning", "fires", "silent")
        }
        if unknown or not alarm.get("fires") or not alarm.get("silent"):
            sys.exit(f"{alarm['name']}: {unknown or 'needs a case that fires and a silent one'}")
    return found


def plain(text):
    """Without the marks of Markdown."""
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).replace("`", "")


def annotations(alarm, instance="{{ $labels.instance }}"):
    meaning = plain(alarm["meaning"])
    return {
        "summary": (SUMMARY % alarm["title"]).replace("{{ $labels.instance }}", instance),
        "description": meaning[0].upper() + meaning[1:] + ".",
    }


def quoted(text):
    """A double-quoted scalar of YAML is written as a string of JSON."""
    return json.dumps(text, ensure_ascii=False)


def rules():
    yield "# Alarms of pierre-dbd. Load this file by rule_files of prometheus.yml."
    yield "groups:"
    yield "  - name: pierre-dbd"
    yield "    rules:"
    for alarm in alarms():
        yield f"      - alert: {alarm['name']}"
        yield f"        expr: {quoted(alarm['expr'])}"
        if "for" in alarm:
            yield f"        for: {alarm['for']}"
        yield f"        labels: {{severity: {alarm['severity']}}}"
        yield "        annotations:"
        for name, text in annotations(alarm).items():
            yield f"          {name}: {quoted(text)}"


def labelled(series, instance):
    """Returns a series of a case, with the labels that a scrape adds, and its values."""
    name, labels, values = re.fullmatch(r"(\w+)(?:\{(.*)\})? (.*)", series).groups()
    more = "" if labels and "job=" in labels else f'job="{JOB}",'
    return {
        "series": f'{name}{{{more}instance="{instance}"{"," + labels if labels else ""}}}',
        "values": values,
    }


def alert(alarm, given, instance):
    labels = {"severity": alarm["severity"], "job": JOB, "instance": instance}
    return {
        "exp_labels": {**labels, **given.get("labels", {})},
        "exp_annotations": annotations(alarm, instance),
    }


def cases():
    """Yields (time, alarm, instance, case, whether it fires). Each case is an instance of its
    own, so that one run of promtool tries many."""
    for alarm in alarms():
        for word in ("fires", "silent"):
            for i, given in enumerate(alarm[word]):
                instance = f"{alarm['name']}-{word}-{i}"
                yield given.get("at", AT), alarm, instance, given, word == "fires"


def tests(path):
    """JSON is YAML."""
    groups = {}
    for at, alarm, instance, given, fires in cases():
        series, expected = groups.setdefault(at, ([], {}))
        series += [labelled(one, instance) for one in given["series"]]
        alerts = expected.setdefault(alarm["name"], [])
        alerts += [alert(alarm, given, instance)] if fires else []
    return {
        "rule_files": [path],
        "evaluation_interval": EVERY,
        "tests": [
            {
                "interval": EVERY,
                "input_series": series,
                "alert_rule_test": [
                    {"eval_time": at, "alertname": name, "exp_alerts": alerts}
                    for name, alerts in expected.items()
                ],
            }
            for at, (series, expected) in groups.items()
        ],
    }


def table():
    yield "| alarm | when | meaning and remedy |"
    yield "|---|---|---|"
    for alarm in alarms():
        lasting = f" for {alarm['for']}" if "for" in alarm else ""
        expr = alarm["expr"].replace("|", "\\|")
        yield f"| {alarm['title']} | `{expr}`{lasting} | {alarm['meaning']} |"


def panels():
    """Yields (row's title, panel) of dashboard.toml."""
    for row in read("dashboard.toml")["row"]:
        for panel in row["panel"]:
            yield row["title"], panel


def target(letter, legend, expr):
    expr = expr.replace("$I", SELECTED).replace("$R", "$__rate_interval")
    return {
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "refId": letter,
        "expr": expr,
        "legendFormat": legend,
    }


def field(panel):
    found = {"unit": panel.get("unit", "short")}
    if panel.get("scale") == "log":
        return {**found, "custom": {"scaleDistribution": {"type": "log", "log": 10}}}
    return {**found, "min": 0}


def drawn(number, panel, place):
    kind = panel.get("kind", "timeseries")
    found = {
        "id": number,
        "type": kind,
        "title": panel["title"],
        "description": panel.get("doc", ""),
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": place,
        "fieldConfig": {"defaults": field(panel), "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            target(chr(ord("A") + i), legend, expr)
            for i, (legend, expr) in enumerate(panel["queries"].items())
        ],
    }
    if kind == "stat":
        text = "name" if panel["title"] == "Versions" else "value_and_name"
        found["options"] = {"textMode": text, "reduceOptions": {"calcs": ["lastNotNull"]}}
    return found


def variable(name, label, **more):
    return {"name": name, "label": label, "refresh": 1, **more}


def dashboard():
    shown, y, number = [], 0, 0
    rows = {}
    for title, panel in panels():
        rows.setdefault(title, []).append(panel)
    for title, row in rows.items():
        number += 1
        place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        shown.append({"id": number, "type": "row", "title": title, "gridPos": place})
        y += 1
        for i, panel in enumerate(row):
            number += 1
            width = COLUMNS // 4
            place = {"x": i % 4 * width, "y": y + i // 4 * HEIGHT, "w": width, "h": HEIGHT}
            shown.append(drawn(number, panel, place))
        y += (len(row) + 3) // 4 * HEIGHT
    return {
        "title": read("dashboard.toml")["title"],
        "uid": "pierre-dbd",
        "tags": ["pierre-dbd"],
        "schemaVersion": 37,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                variable("datasource", "Data source", type="datasource", query="prometheus"),
                variable(
                    "instance",
                    "Instance",
                    type="query",
                    datasource={"type": "prometheus", "uid": "${datasource}"},
                    query=f'label_values(pierre_dbd_build_info{{job="{JOB}"}}, instance)',
                    multi=True,
                    includeAll=True,
                    allValue=".*",
                    current={"text": "All", "value": "$__all"},
                ),
            ]
        },
        "panels": shown,
    }


def main():
    match sys.argv[1:]:
        case ["rules"]:
            print("\n".join(rules()))
        case ["tests", path]:
            print(json.dumps(tests(path), indent=1))
        case ["table"]:
            print("\n".join(table()))
        case ["dashboard"]:
            print(json.dumps(dashboard(), indent=2))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()

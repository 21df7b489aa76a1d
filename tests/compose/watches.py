#!/usr/bin/env python3
"""Fails unless a Prometheus sees so many programs up, has loaded every alert, knows every metric that
the alerts and the dashboard name, and understands every query of the dashboard.

Arguments: the folder monitoring/, the address of the Prometheus, the number of loaders and listeners."""

import json
import re
import sys
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen


def ask(path, **query):
    with urlopen(f"{address}/api/v1/{path}?{urlencode(query)}", timeout=10) as answer:
        return json.load(answer)["data"]


def queries(dashboard):
    targets = [target for panel in dashboard["panels"] for target in panel["targets"]]
    # Those for Postgres are run by the tests.
    targets = [target for target in targets if target["datasource"]["type"] == "prometheus"]
    return [target["expr"].replace("$__rate_interval", "1m") for target in targets]


monitoring, address, programs = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
alerts = (monitoring / "alerts.yml").read_text()
dashboards = [file.read_text() for file in monitoring.glob("grafana/dashboards/*.json")]
# Tables and metrics are named alike.
measured = [text for text in dashboards if '"type": "prometheus"' in text]

targets = ask("targets")["activeTargets"]
up = [target for target in targets if target["health"] == "up"]
assert len(up) == len(targets) == programs, [target["lastError"] for target in targets]

rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
wanted = re.findall(r"- alert: (\w+)", alerts)
assert wanted and sorted(rule["name"] for rule in rules) == sorted(wanted)
assert all(rule["health"] == "ok" for rule in rules), [rule["name"] for rule in rules]

named = set(re.findall(r"\btoggl_track_\w+", " ".join([alerts, *measured])))
unknown = named - set(ask("label/__name__/values"))
assert named and not unknown, unknown

asked = [query for dashboard in dashboards for query in queries(json.loads(dashboard))]
for query in asked:
    # What it cannot read it refuses.
    ask("query", query=query)
print(f"{len(up)} programs up, {len(rules)} alerts, {len(named)} metrics, {len(asked)} queries")

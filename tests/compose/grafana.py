#!/usr/bin/python3
"""In place of Grafana, which Debian does not have: answers /api/health with 200 if the mounted files
lie where Grafana looks for them, can be read by its user and fit together; else with 500 and why."""

import json
import os
import re
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.request import urlopen

import yaml

PROVISIONING = Path(os.environ["GF_PATHS_PROVISIONING"])


def provisioned(kind, key):
    """What the files of one folder hold under this key. Grafana wants their first version."""
    files = sorted((PROVISIONING / kind).glob("*.yml"))
    assert files, f"nothing in {PROVISIONING / kind}"
    settings = [yaml.safe_load(file.read_text()) for file in files]
    assert all(each["apiVersion"] == 1 for each in settings), f"apiVersion in {kind}"
    return [one for each in settings for one in each[key]]


def check():
    Path(os.environ["GF_PATHS_DATA"], "written").touch()
    sources = {source["uid"]: source for source in provisioned("datasources", "datasources")}
    for source in sources.values():
        if source["type"] == "prometheus":
            with urlopen(source["url"] + "/-/ready", timeout=5) as answer:
                assert answer.status == 200
        else:
            host, port = source["url"].split(":")
            socket.create_connection((host, int(port)), timeout=5).close()
            for name in re.findall(r"\$(\w+)", json.dumps(source)):
                assert name in os.environ, f"{name} is not given to Grafana"
    dashboards = {}
    for provider in provisioned("dashboards", "providers"):
        for file in Path(provider["options"]["path"]).rglob("*.json"):
            dashboards[str(file)] = json.loads(file.read_text())
    home = os.environ["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home in dashboards, f"{home} is no provisioned dashboard"
    for file, dashboard in dashboards.items():
        assert dashboard["uid"] and dashboard["title"], f"{file} has no name"
        for panel in dashboard["panels"]:
            for target in [panel, *panel["targets"]]:
                assert target["datasource"]["uid"] in sources, f"{file}: {panel['title']}"
    return f"{len(dashboards)} dashboards, {len(sources)} data sources"


class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/api/health":
            return self.send_error(404)
        try:
            status, text = 200, check()
        except Exception as error:
            status, text = 500, repr(error)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
HTTPServer(("", 3000), Health).serve_forever()

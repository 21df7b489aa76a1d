"""Runs tap-toggl against another Toggl. Arguments: its address, and for each year its first and last
day, as 2024-01-01/2024-12-31.

The tap reads time entries from Reports v2, which is on its way out and not in the simulated Toggl.
Here it reads them from Reports v3, a thousand at a time where v2 gave fifty; what it does with them
is its own."""

import os
import sys

import requests
import tap_toggl
from singer.catalog import Catalog
from tap_toggl import streams, toggl

# Where the next page begins, by the header and by the field of the question.
CURSOR = {
    "X-Next-ID": "first_id",
    "X-Next-Row-Number": "first_row_number",
    "X-Next-Timestamp": "first_timestamp",
}


def time_entries(client, *_):
    for workspace in client.workspace_ids:
        for span in spans:
            yield from report(client, workspace, *span.split("/"))


def report(client, workspace, start, end):
    address = f"{url}reports/api/v3/workspace/{workspace}/search/time_entries"
    question = {
        "start_date": start,
        "end_date": end,
        "order_by": "date",
        "order_dir": "ASC",
        "page_size": 1000,
    }
    while True:
        answer = requests.post(address, json=question, auth=(client.api_token, "api_token"))
        answer.raise_for_status()
        for row in answer.json():
            for entry in row.pop("time_entries"):
                yield {**row, **entry, "updated": entry["at"]}
        headers = answer.headers
        cursor = {field: int(headers[name]) for name, field in CURSOR.items() if name in headers}
        if not cursor:
            return
        question |= cursor


url, *spans = sys.argv[1:]
toggl.BASE_URL = f"{url}api"
toggl.Toggl.time_entries = time_entries
stream = streams.TimeEntries()
places = stream.load_metadata()
for place in places:
    place["metadata"]["selected"] = True
entry = {
    "stream": stream.name,
    "tap_stream_id": stream.name,
    "schema": stream.load_schema(),
    "metadata": places,
}
print("ready", flush=True)
client = toggl.Toggl(os.environ["TOGGL_API_TOKEN"], user_agent="bench")
tap_toggl.do_sync(client, Catalog.from_dict({"streams": [entry]}), {})

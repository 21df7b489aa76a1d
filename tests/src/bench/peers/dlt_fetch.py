"""Extracts a report with dlt's REST source. Arguments: Toggl's address, the workspace, and for each
year its first and last day, as 2024-01-01/2024-12-31."""

import os
import sys

import dlt
from dlt.sources.helpers.rest_client.paginators import BasePaginator
from dlt.sources.rest_api import rest_api_source

# Where the next page begins, by the header and by the field of the question.
CURSOR = {
    "X-Next-ID": "first_id",
    "X-Next-Row-Number": "first_row_number",
    "X-Next-Timestamp": "first_timestamp",
}


class ReportPaginator(BasePaginator):
    def update_state(self, response, data=None):
        headers = response.headers
        self.cursor = {field: int(headers[name]) for name, field in CURSOR.items() if name in headers}
        self._has_next_page = bool(self.cursor)

    def update_request(self, request):
        request.json = {**request.json, **self.cursor}


def resource(workspace, span):
    start, end = span.split("/")
    return {
        "name": f"time_entries_{start}",
        "table_name": "time_entries",
        "max_table_nesting": 0,
        "endpoint": {
            "path": f"reports/api/v3/workspace/{workspace}/search/time_entries",
            "method": "POST",
            "json": {
                "start_date": start,
                "end_date": end,
                "order_by": "date",
                "order_dir": "ASC",
                "page_size": 1000,
            },
            "data_selector": "$",
            "paginator": ReportPaginator(),
        },
    }


url, workspace, *spans = sys.argv[1:]
auth = {"type": "http_basic", "username": os.environ["TOGGL_API_TOKEN"], "password": "api_token"}
source = rest_api_source(
    {
        "client": {"base_url": url, "auth": auth},
        "resources": [resource(workspace, span) for span in spans],
    }
)
pipeline = dlt.pipeline("fetch")
print("ready", flush=True)
pipeline.extract(source)

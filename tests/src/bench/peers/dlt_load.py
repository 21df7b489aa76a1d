"""Loads a file of entries, one a line, with dlt. Argument: the file."""

import sys
from itertools import islice

import dlt
from dlt.common import json

PAGE = 10_000


# Without a table of its own for each of the two lists, which would make it slower.
@dlt.resource(primary_key="id", write_disposition="merge", max_table_nesting=0)
def time_entries(path):
    with open(path, encoding="utf-8") as lines:
        while page := list(islice(lines, PAGE)):
            yield [json.loads(line) for line in page]


pipeline = dlt.pipeline("load", destination="postgres", dataset_name="raw")
print("ready", flush=True)
# CSV is what it gives to COPY.
pipeline.run(time_entries(sys.argv[1]), loader_file_format="csv")

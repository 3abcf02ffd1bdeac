"""What schemathesis cannot know of the API: see test_api.py, which runs it.

`API_NODES` has the addresses of nodes that answer.
"""

import base64
import os
import re

import schemathesis
from hypothesis import strategies

NODES = os.environ["API_NODES"].split()
ARGUMENTS = [b"de", b"d1:ai1ee", b"d1:al1:b0:ee"]
ON = ("", "1", "true")

schemathesis.openapi.format("host-port", strategies.sampled_from(NODES))
schemathesis.openapi.format(
    "bencode-base64",
    strategies.sampled_from(
        [base64.b64encode(text).decode() for text in ARGUMENTS]
    ),
)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes no watch, whose response does not end; asks for a known query."""
    query = case.query or {}
    if query.get("watch") in ON:
        query["watch"] = "false"
    method = (case.path_parameters or {}).get("method")
    if isinstance(method, str) and re.fullmatch("[a-z0-9]{1,32}", method):
        case.path_parameters["method"] = "hello"


@schemathesis.deserializer("application/octet-stream")
def read_bytes(context, response):
    """The schema of a value allows all bytes."""
    return response.content.decode("latin-1")

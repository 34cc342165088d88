# event: {"csv": "name,amount\n\"Smith, J\",3\nÅsa,4\n", "xml": "<order id='7'><item>a</item><item>b &amp; c</item></order>"}
import configparser
import csv
import html
import io
import json
import textwrap
import xml.etree.ElementTree as tree


def lambda_handler(event, context):
    rows = list(csv.DictReader(io.StringIO(event["csv"])))
    root = tree.fromstring(event["xml"])
    config = configparser.ConfigParser()
    config.read_string("[a]\nkey = value\n")
    try:
        json.loads("{bad}")
    except json.JSONDecodeError as error:
        position = error.pos
    return {
        "rows": rows,
        "items": [root.get("id")] + [item.text for item in root],
        "config": config["a"]["key"],
        "html": html.unescape("&lt;b&gt;") + html.escape("<'\">"),
        "wrapped": textwrap.shorten("a b c d e f g", 8),
        "position": position,
    }

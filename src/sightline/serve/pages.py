"""The pages of a server: the one for people, and the description of the API. They fetch nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from sightline.report.frame import style_sheet, templates
from sightline.report.page import source_hash

# Of influence maps inside the page, which has a heading and an input of its own.
IN_FRAME = """header, footer, main > nav, .given, #reproduce, .skip { display: none; }
html, body { overflow: hidden; }
body { padding: 0 .25rem 1rem; max-width: none; display: flow-root; }
section { margin-top: 1.5rem; }
.bar { position: static; }"""
# Tells the page around the maps how high they are, and nothing else.
IN_FRAME_SCRIPT = """const body = document.body;
const tell = () => parent.postMessage({ height: body.getBoundingClientRect().height }, "*");
new ResizeObserver(tell).observe(body);
new MutationObserver(tell).observe(document.getElementById("viewer"), { attributes: true });"""


@cache
def front_page() -> str:
    """The page for people, which asks the API."""
    style = "\n".join([style_sheet(), _source("front.css")])
    script = _source("front.js")
    return _template("front.html.j2").render(**_inline(style), script=Markup(script), script_hash=_hash(script))


def api_page(openapi: Mapping[str, Any]) -> str:
    """The description of the API, from its OpenAPI document."""
    style = "\n".join([style_sheet(), _source("api.css")])
    return _template("api.html.j2").render(**_inline(style), openapi=openapi, endpoints=list(endpoints(openapi)))


class Endpoint(NamedTuple):
    """One endpoint in words; fields are rows of name, type, default and description."""

    anchor: str
    method: str
    path: str
    description: list[str]
    fields: list[tuple[str, str, str, str]]
    examples: list[str]


def endpoints(openapi: Mapping[str, Any]) -> Iterator[Endpoint]:
    """Every endpoint of an OpenAPI document."""
    schemas = openapi.get("components", {}).get("schemas", {})
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            schema = _resolved(content.get("schema", {}), schemas)
            order = list(schema.get("properties", ()))
            examples = [
                f"curl http://127.0.0.1:8000{path} --json '{json.dumps(example, ensure_ascii=False)}'"
                for body in schema.get("examples", [])
                for example in [{name: body[name] for name in order if name in body}]
            ] or [f"curl http://127.0.0.1:8000{path}"]
            description = operation.get("description", "").split("\n\n")
            fields = list(_fields(schema, schemas))
            yield Endpoint(path.strip("/").replace("/", "-"), method.upper(), path, description, fields, examples)


def _fields(
    schema: Mapping[str, Any], schemas: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, str, str, str]]:
    for name, own in schema.get("properties", {}).items():
        inner = next((one for one in [own, *own.get("anyOf", [])] if "$ref" in one), None)
        kind = "object" if inner else _kind(own)
        default = "required" if name in schema.get("required", []) else json.dumps(own.get("default"))
        yield f"{prefix}{name}", kind, default, own.get("description", "")
        if inner:
            yield from _fields(_resolved(inner, schemas), schemas, f"{prefix}{name}.")


def _kind(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(one) for one in schema["anyOf"]))
    if schema.get("enum"):
        return " or ".join(map(json.dumps, schema["enum"]))
    return str(schema.get("type", "any value"))


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    return schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _inline(style: str) -> dict[str, Any]:
    return {"style": Markup(style), "style_hash": _hash(style), "charts": False}


def _hash(text: str) -> Markup:
    return Markup(source_hash(text))


@cache
def _environment() -> jinja2.Environment:
    own = templates()
    loaders = [jinja2.PackageLoader("sightline.serve"), *([own.loader] if own.loader else [])]
    return own.overlay(loader=jinja2.ChoiceLoader(loaders))


def _template(name: str) -> jinja2.Template:
    return _environment().get_template(name)


def _source(name: str) -> str:
    return files("sightline.serve").joinpath(f"templates/{name}").read_text("utf-8")

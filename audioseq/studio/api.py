"""The JSON API of the studio: a table of what may be asked, from which its checks and its description are made."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import fastjsonschema

from audioseq import __version__
from audioseq.studio.pieces import PIECE
from audioseq.studio.shelf import StudioError

__all__ = ["AUDIO", "MIDI", "Asked", "Binary", "Endpoint", "openapi", "validator"]

AUDIO, MIDI = "audio/*", "audio/midi"  # bodies that are files
MOST_BYTES = {AUDIO: 200 * 2**20, MIDI: 4 * 2**20, None: 0}
MOST_JSON = 8 * 2**20

TEXT: dict[str, Any] = {"type": "string", "maxLength": 2000}
NAME: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 64}
SEED: dict[str, Any] = {
    "type": "integer",
    "minimum": 0,
    "maximum": 2**32 - 1,
    "description": "the same seed, the same result",
}
COUNT: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": 8, "description": "suggestions"}
BARS: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": 512}
TEMPERATURE: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 5}
TEMPO: dict[str, Any] = {"type": "number", "minimum": 4, "maximum": 1000, "description": "quarter notes a minute"}
SHARE: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1}
THRESHOLD: dict[str, Any] = {
    "description": "least averaged probability of a word, of all or by word",
    "anyOf": [SHARE, {"type": "object", "additionalProperties": SHARE, "maxProperties": 1000}],
}


def body(required: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:
    """The schema of an object that has these properties alone."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": properties,
    }


@dataclass
class Asked:
    """A request that passed its checks.

    Attributes:
        path, query: its parameters.
        body: of JSON the object, else the bytes.
        cancelled: set when who asked has gone.
    """

    path: dict[str, Any]
    query: dict[str, str]
    body: Any
    cancelled: threading.Event


@dataclass(frozen=True)
class Binary:
    """An answer that is a file."""

    data: bytes
    media_type: str
    name: str | None = None


@dataclass(frozen=True)
class Endpoint:
    """What may be asked.

    Attributes:
        method, path: of HTTP, the path with ``{parameters}``.
        summary: in a line.
        handler: from what was asked to an object of JSON, or a `Binary`.
        body: schema of the JSON, `AUDIO` or `MIDI`, or None.
        query: schemas of the parameters of the query, all texts.
        heavy: computes for long; one at a time.
    """

    method: str
    path: str
    summary: str
    handler: Callable[[Asked], Any]
    body: dict[str, Any] | str | None = None
    query: dict[str, dict[str, Any]] = field(default_factory=dict)
    heavy: bool = False

    @property
    def most_bytes(self) -> int:
        """Of the body."""
        return MOST_JSON if isinstance(self.body, dict) else MOST_BYTES[self.body]

    @functools.cached_property
    def check(self) -> Callable[[Any], Any]:
        """Raises StudioError for JSON that does not fit."""
        assert isinstance(self.body, dict)
        return validator(self.body)

    @property
    def plain_path(self) -> str:
        """The path, its parameters without their types."""
        return re.sub(r"{(\w+):\w+}", r"{\1}", self.path)

    def query_of(self, given: dict[str, str]) -> dict[str, str]:
        """The parameters of a query. Raises StudioError for others."""
        for name, value in given.items():
            if name not in self.query:
                raise StudioError(f"{name} is no parameter here; there are {', '.join(self.query) or 'none'}")
            if len(value) > self.query[name].get("maxLength", 200):
                raise StudioError(f"{name} is too long")
            if "enum" in self.query[name] and value not in self.query[name]["enum"]:
                raise StudioError(f"{name} is one of {', '.join(self.query[name]['enum'])}. Received: {value!r}")
        return given


def validator(schema: dict[str, Any]) -> Callable[[Any], Any]:
    """A check of JSON by a schema, which raises StudioError with the place and the rule."""
    compiled = fastjsonschema.compile(schema, use_default=False)

    def check(value: Any) -> Any:
        try:
            return compiled(value)
        except fastjsonschema.JsonSchemaValueException as error:
            raise StudioError(str(error.message)[:500].replace("data.", "", 1)) from error

    return check


def openapi(endpoints: list[Endpoint]) -> dict[str, Any]:
    """The description of the API, OpenAPI 3.1."""
    paths: dict[str, Any] = {}
    wrong = {"description": "what is wrong, in a sentence", "content": {"application/json": {"schema": ERROR}}}
    for one in endpoints:
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"{(\w+)}", one.plain_path)
        ]
        parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in one.query.items()]
        operation: dict[str, Any] = {
            "summary": one.summary,
            "operationId": f"{one.method.lower()}{re.sub('[{}]', '', one.plain_path).replace('/', '_')}",
            "parameters": parameters,
            "responses": {"200": {"description": "done"}, **dict.fromkeys(("400", "401", "403", "413"), wrong)},
        }
        if isinstance(one.body, dict):
            schema = {"$ref": "#/components/schemas/Piece"} if one.body is PIECE else _referring(one.body)
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        elif one.body is not None:
            file = {"schema": {"type": "string", "format": "binary"}}
            operation["requestBody"] = {"required": True, "content": {one.body: file}}
        paths.setdefault(one.plain_path, {})[one.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "audioseq studio",
            "version": __version__,
            "description": "What the page of `audioseq studio` asks of its server. Messages of the WebSocket "
            "/api/listen: first a JSON object {sr, model?, threshold?}, then blocks of little-endian float32 samples, "
            "and JSON objects of the types threshold, mark and map; each block is answered by one of type heard.",
        },
        "components": {
            "schemas": {"Piece": PIECE},
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Audioseq-Token"}},
        },
        "security": [{"token": []}],
        "paths": paths,
    }


ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}


def _referring(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that refers to that of a piece."""
    properties = {
        name: {"$ref": "#/components/schemas/Piece"} if one is PIECE else one
        for name, one in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties} if properties else schema

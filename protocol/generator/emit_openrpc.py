"""The OpenRPC 1.2.6 document of the interface."""

from .model import Catalog, Method, TypeRef
from .schema import enum_schema, parameter_schema, schema_of, type_schema


def document(catalog: Catalog) -> dict:
    return {
        "openrpc": "1.2.6",
        "info": {"title": catalog.title, "version": catalog.version, "description": catalog.doc},
        "methods": [_method(catalog, method) for method in catalog.methods],
        "components": {
            "schemas": {
                **{name: enum_schema(kind) for name, kind in catalog.enums.items()},
                **{name: type_schema(catalog, kind) for name, kind in catalog.types.items()},
            },
            "errors": {
                kind.wire: {
                    "code": kind.code,
                    "message": kind.meaning,
                    "data": {"kind": kind.wire, "retryable": kind.retryable},
                }
                for kind in catalog.errors
            },
        },
    }


def _method(catalog: Catalog, method: Method) -> dict:
    # OpenRPC wants optional parameters behind the required ones; where the positions are otherwise,
    # a call by position follows x-positional.
    params = sorted(method.params, key=lambda param: not param.required)
    in_place = params == list(method.params)
    return {
        "name": method.name,
        "summary": method.summary,
        "description": method.doc,
        "tags": [{"name": method.domain}],
        "paramStructure": "either" if in_place else "by-name",
        "params": [_param(catalog, param) for param in params],
        "result": {"name": "result", "schema": _result_schema(catalog, method)},
        "errors": [
            {"$ref": f"#/components/errors/{kind.wire}"} for kind in catalog.errors_of(method)
        ],
        "x-access": method.access,
        "x-write": method.write,
        **({"x-reads": method.reads} if method.reads else {}),
        **({"x-idempotency-key": True} if method.keyed else {}),
        "x-positional": [param.name for param in method.params],
        "x-result": method.result_schema or str(method.result),
        **({"x-conflict": list(method.conflict_fields)} if method.conflict_fields else {}),
    }


def _result_schema(catalog, method):
    if method.result_schema:
        return schema_of(catalog, TypeRef(method.result_schema), going_in=False)
    return schema_of(catalog, method.result, going_in=False)


def _param(catalog, param):
    return {
        "name": param.name,
        "description": param.doc,
        "required": param.required,
        "schema": parameter_schema(catalog, param),
    }

"""Writes tests/fixtures/kubernetes/schemas.json anew: `python -m tests.harness.kubernetes_schemas`, by hand.

Run it when the manifests use a field that they did not, or for newer releases. It needs go, java and mvn, and takes
the operators' own schemas from their packages; what no manifest of ours uses is left out, so that an unknown field is
refused by what remains.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.kubernetes.__main__ import rendered
from deploy.kubernetes.city import read_city
from deploy.kubernetes.secrets import secret_manifests
from tests.conftest import ROOT

FOLDER: Final = ROOT / "tests" / "fixtures" / "kubernetes"
FILE: Final = FOLDER / "schemas.json"
CITY: Final = ROOT / "deploy" / "kubernetes" / "cities" / "shaoxing.yaml"
Schema = dict[str, Any]
# A module of Go, the checksum that go itself makes of it, and its files with custom resources.
_MODULES: Final = {
    "k8s.io/kubernetes@v1.34.2": ("h1:WQdDvYJazkmkwSncgNwGvVtaCt4TYXIU3wSMRgvp3MI=", ()),
    "github.com/cert-manager/cert-manager@v1.21.2": (
        "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=",
        ("deploy/crds/cert-manager.io_certificates.yaml", "deploy/crds/cert-manager.io_issuers.yaml"),
    ),
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": (
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        (
            "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
            "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
        ),
    ),
    "github.com/kedacore/keda/v2@v2.21.0": (
        "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
        ("config/crd/bases/keda.sh_scaledobjects.yaml", "config/crd/bases/keda.sh_triggerauthentications.yaml"),
    ),
    "github.com/cloudnative-pg/cloudnative-pg@v1.30.0": (
        "h1:fnhVq44xXx97MNiuvJsPrX1vSjYbgdyBK5MSGfdHdp0=",
        tuple(
            f"config/crd/bases/postgresql.cnpg.io_{kinds}.yaml"
            for kinds in ("clusters", "databases", "scheduledbackups", "poolers")
        ),
    ),
    "github.com/cloudnative-pg/plugin-barman-cloud@v0.15.0": (
        "h1:gNVytrzzYUE08wxLDrjfJqy1FPPSFkMe1OEr4s4pVI0=",
        ("config/crd/bases/barmancloud.cnpg.io_objectstores.yaml",),
    ),
}
_KUBERNETES: Final = next(iter(_MODULES))
_STRIMZI: Final = "io.strimzi:api:0.48.0"
_STRIMZI_SHA256: Final = "98e08b69959b187a3227b80eede0da3f541e2525bc9ce4e51ecd62db956a61dd"
_STRIMZI_MODEL: Final = "io.strimzi.api.kafka.model"
_STRIMZI_KINDS: Final = {
    "Kafka": "kafka.KafkaSpec",
    "KafkaNodePool": "nodepool.KafkaNodePoolSpec",
    "KafkaTopic": "topic.KafkaTopicSpec",
    "KafkaUser": "user.KafkaUserSpec",
}
_KEPT: Final = (
    "type", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "oneOf", "anyOf",
)  # fmt: skip


def _object(**properties: Any) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"type": "object", "additionalProperties": _TEXT}
_METADATA: Final = _object(name=_TEXT, namespace=_TEXT, labels=_TEXTS, annotations=_TEXTS)


def _download(module: str) -> Path:
    done = subprocess.run(["go", "mod", "download", "-json", module], check=True, capture_output=True, text=True)
    output = json.loads(done.stdout)
    if output["Sum"] != _MODULES[module][0]:
        raise SystemExit(f"{module}: {output['Sum']}")
    return Path(output["Dir"])


def _custom() -> Iterable[tuple[str, Schema]]:
    for module, (_, files) in _MODULES.items():
        for name in files:
            file = _download(module) / name
            definition = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]
            for version in definition["versions"]:
                schema = version["schema"]["openAPIV3Schema"]
                schema["properties"]["metadata"] = _METADATA
                yield f"{definition['group']}/{version['name']}/{definition['names']['kind']}", schema


def _of_kubernetes() -> Iterable[tuple[str, Schema]]:
    for file in sorted((_download(_KUBERNETES) / "api" / "openapi-spec" / "v3").glob("api*__v*_openapi.json")):
        schemas = json.loads(file.read_text(encoding="utf-8"))["components"]["schemas"]
        for schema in schemas.values():
            for kind in schema.get("x-kubernetes-group-version-kind", ()):
                group = f"{kind['group']}/" if kind["group"] else ""
                yield f"{group}{kind['version']}/{kind['kind']}", {"$defs": schemas} | schema


def _of_strimzi() -> Iterable[tuple[str, Schema]]:
    with tempfile.TemporaryDirectory() as folder:
        group, artifact, version = _STRIMZI.split(":")
        project = Path(folder, "pom.xml")
        project.write_text(
            "<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId>"
            f"<version>1</version><dependencies><dependency><groupId>{group}</groupId><artifactId>{artifact}"
            f"</artifactId><version>{version}</version></dependency></dependencies></project>"
        )
        classpath = Path(folder, "classpath")
        subprocess.run(
            ["mvn", "-q", "-f", project, "dependency:build-classpath", f"-Dmdep.outputFile={classpath}"], check=True
        )
        path = classpath.read_text(encoding="utf-8")
        (jar,) = [jar for jar in path.split(":") if jar.endswith(f"/{artifact}-{version}.jar") and "strimzi" in jar]
        if (digest := hashlib.sha256(Path(jar).read_bytes()).hexdigest()) != _STRIMZI_SHA256:
            raise SystemExit(f"{jar}: {digest}")
        names = {kind: f"{_STRIMZI_MODEL}.{name}" for kind, name in _STRIMZI_KINDS.items()}
        output = subprocess.run(
            ["java", "-cp", path, FOLDER / "StrimziSchemas.java", *names.values()],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    schemas = json.loads(output)
    for kind, name in names.items():
        yield f"kafka.strimzi.io/v1beta2/{kind}", _resource(schemas[name])


def _resource(spec: Schema) -> Schema:
    return _object(apiVersion=_TEXT, kind=_TEXT, metadata=_METADATA, spec=spec)


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    while "$ref" in schema or "allOf" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema["allOf"][0]
    return schema


def pruned(schema: Schema, values: list[Any], definitions: Schema, place: str) -> Schema:
    """Return what of a schema these values use; raise LookupError for a value that it does not know."""
    schema = _resolved(schema, definitions)
    if schema.get("x-kubernetes-int-or-string"):
        return {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    part: Schema = {name: schema[name] for name in _KEPT if name in schema}
    if "items" in schema:
        items = [item for value in values for item in value]
        return part | {"items": pruned(schema["items"], items, definitions, f"{place}[]")}
    if schema.get("type") != "object" or not ("properties" in schema or "additionalProperties" in schema):
        return part
    of_names, more = schema.get("properties", {}), schema.get("additionalProperties", False)
    used = sorted({name for value in values for name in value})
    if "properties" not in schema:
        each = [item for value in values for item in value.values()]
        more = pruned(more, each, definitions, f"{place}.*") if isinstance(more, dict) else more
        return part | {"additionalProperties": more}
    if unknown := [name for name in used if name not in of_names]:
        raise LookupError(f"{place}: no such field: {', '.join(unknown)}")
    properties = {
        name: pruned(of_names[name], [v[name] for v in values if name in v], definitions, f"{place}.{name}")
        for name in used
    }
    required = {"required": schema["required"]} if schema.get("required") else {}
    return part | {"properties": properties, "additionalProperties": False} | required


def manifests() -> list[dict[str, Any]]:
    """Return every manifest of the city in the tree, and of one that uses all that can be chosen."""
    city = read_city(CITY)
    with tempfile.TemporaryDirectory() as folder:
        database = city.database.model_copy(update={"pooler": "session", "storage_class": "fast"})
        kafka = city.kafka.model_copy(update={"storage_class": "fast"})
        both = (city, city.model_copy(update={"database": database, "kafka": kafka, "settings": {"otlp": "http://x"}}))
        return [
            manifest
            for each in both
            for manifest in (
                *itertools.chain.from_iterable(rendered(each).values()),
                *secret_manifests(each, Path(folder)),
            )
        ]


def main() -> None:
    """Write the file."""
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for each in manifests():
        by_kind.setdefault(f"{each['apiVersion']}/{each['kind']}", []).append(each)
    full: dict[str, Schema] = {}
    for schemas in (_of_kubernetes(), _custom(), _of_strimzi()):
        full |= {name: schema for name, schema in schemas if name in by_kind}
    made = {
        name: pruned(full[name], values, full[name].get("$defs", {}), name) for name, values in sorted(by_kind.items())
    }
    sources = {module: checksum for module, (checksum, _) in _MODULES.items()} | {_STRIMZI: f"sha256:{_STRIMZI_SHA256}"}
    lines = [f"{json.dumps(name)}: {json.dumps(schema, sort_keys=True)}" for name, schema in made.items()]
    head = json.dumps(sources, indent=1, sort_keys=True)
    FILE.write_text(f'{{"sources": {head},\n"schemas": {{\n' + ",\n".join(lines) + "\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()

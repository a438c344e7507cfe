"""Makes gateway-api.json: the schemas of the Gateway API's standard channel, without descriptions, for the kinds that
are rendered. Unknown fields are refused.

    git clone https://github.com/kubernetes-sigs/gateway-api && git -C gateway-api checkout v1.6.1
    python3 schemas.py gateway-api > gateway-api.json      (needs PyYAML)

The schemas are the Gateway API's, under the Apache License 2.0.
"""

import json
import sys
from pathlib import Path

import yaml


def plain(value):
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for key, inner in value.items():
        if key == "properties":
            made[key] = {name: plain(schema) for name, schema in inner.items() if name != "status"}
        elif not (key == "description" and isinstance(inner, str)) and not key.startswith("x-kubernetes"):
            made[key] = plain(inner)
    if "properties" in made:
        made.setdefault("additionalProperties", False)
    return made


lines = []
for kind in ["gateways", "httproutes", "tcproutes", "udproutes"]:
    path = Path(sys.argv[1]) / f"config/crd/standard/gateway.networking.k8s.io_{kind}.yaml"
    crd = yaml.safe_load(path.read_text())
    version = next(version for version in crd["spec"]["versions"] if version["name"] == "v1")
    schema = plain(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    name = f"gateway.networking.k8s.io/v1 {crd['spec']['names']['kind']}"
    lines.append(f"{json.dumps(name)}: {json.dumps(schema, separators=(',', ':'))}")
print("{\n" + ",\n".join(lines) + "\n}")

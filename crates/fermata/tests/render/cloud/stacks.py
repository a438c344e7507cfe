"""Makes stacks of CloudFormation templates in moto, a fake AWS inside this process, and prints what is there afterwards.

    python3 stacks.py TEMPLATE...

For each template a line of JSON: what became of the stack, the balancer's type, its listeners and target groups, what the two
security groups let in, and what is left after the stack is deleted. The values of the parameters are a network, machines and
a certificate that are made before. What moto leaves out of a template is not looked at: who is in a target group, attributes.
"""

import json
import os
import sys

os.environ.update(AWS_DEFAULT_REGION="eu-central-1", AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none")

import boto3
from moto import mock_aws


def surroundings():
    """What a template does not make itself, by the name of its parameter."""
    ec2 = boto3.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    zones = [("10.0.1.0/24", "eu-central-1a"), ("10.0.2.0/24", "eu-central-1b")]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=network, AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for network, zone in zones
    ]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    machines = ec2.run_instances(ImageId=image, MinCount=2, MaxCount=2, SubnetId=subnets[0])["Instances"]
    certificate = boto3.client("acm").request_certificate(DomainName="example.com")["CertificateArn"]
    return {
        "VpcId": vpc,
        "Subnets": ",".join(subnets),
        "Server": machines[0]["InstanceId"],
        "OtherServer": machines[1]["InstanceId"],
        "CertificateArn": certificate,
    }


def admitted(group):
    """What a security group lets in: `8080/tcp 0.0.0.0/0`, or `8080/tcp group`."""
    lines = []
    for rule in group["IpPermissions"]:
        of = [network["CidrIp"] for network in rule["IpRanges"]] + ["group" for _ in rule["UserIdGroupPairs"]]
        lines += [f"{rule['FromPort']}/{rule['IpProtocol']} {whom}" for whom in of]
    return sorted(lines)


@mock_aws
def made(template):
    known = surroundings()
    cloudformation, elb, ec2 = (boto3.client(name) for name in ("cloudformation", "elbv2", "ec2"))
    wanted = {one["ParameterKey"]: one for one in cloudformation.get_template_summary(TemplateBody=template)["Parameters"]}
    values = [{"ParameterKey": key, "ParameterValue": known[key]} for key in wanted if key in known]
    cloudformation.create_stack(StackName="fermata", TemplateBody=template, Parameters=values)
    stack = cloudformation.describe_stacks(StackName="fermata")["Stacks"][0]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}
    balancer = elb.describe_load_balancers()["LoadBalancers"][0]
    listeners = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    groups = elb.describe_target_groups()["TargetGroups"]
    (server,) = ec2.describe_security_groups(GroupIds=[outputs["ServerSecurityGroup"]])["SecurityGroups"]
    (before,) = ec2.describe_security_groups(GroupIds=balancer["SecurityGroups"])["SecurityGroups"]
    result = {
        "status": stack["StackStatus"],
        "type": balancer["Type"],
        "address": outputs["Address"] == balancer["DNSName"],
        "listeners": sorted([one["Port"], one["Protocol"]] for one in listeners),
        "targets": sorted([one["Port"], one["Protocol"], one.get("HealthCheckPath")] for one in groups),
        "balancer": admitted(before),
        "servers": admitted(server),
    }
    cloudformation.delete_stack(StackName="fermata")
    result["left"] = len(elb.describe_load_balancers()["LoadBalancers"])
    return result


for path in sys.argv[1:]:
    with open(path) as file:
        print(json.dumps(made(file.read())))

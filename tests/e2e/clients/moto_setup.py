"""Gives a fresh moto server its identities, then turns its signature and IAM checks on unless told
not to: moto_setup.py ENDPOINT [unchecked].

Prints one JSON object: the base user's keys, which the gateway runs with.
"""

import json
import sys
import urllib.request

import boto3

ACCOUNT = "123456789012"
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
ROLES = {
    "AgentReadOnly": ["*:Get*", "*:List*", "*:Describe*", "*:Query", "*:Scan", "*:BatchGet*", "*:Head*"],
    "AgentPower": ["*"],
}


def allow(actions):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]})


def main(endpoint, unchecked=""):
    iam = boto3.client(
        "iam", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="setup", aws_secret_access_key="setup"
    )
    iam.create_user(UserName="gateway")
    iam.put_user_policy(UserName="gateway", PolicyName="assume", PolicyDocument=allow(["sts:*"]))
    for role, actions in ROLES.items():
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(TRUST))
        iam.put_role_policy(RoleName=role, PolicyName="what-it-may-do", PolicyDocument=allow(actions))
    iam.create_user(UserName="direct")
    iam.put_user_policy(UserName="direct", PolicyName="everything", PolicyDocument=allow(["*"]))
    keys = {}
    for user in ("gateway", "direct"):
        key = iam.create_access_key(UserName=user)["AccessKey"]
        keys[user] = {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}
    if unchecked:
        print(json.dumps(keys))
        return
    reset = urllib.request.Request(endpoint + "/moto-api/reset-auth", data=b"0", headers={"content-type": "text/plain"})
    urllib.request.urlopen(reset, timeout=10).read()
    print(json.dumps(keys))


main(*sys.argv[1:])

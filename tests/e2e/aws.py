"""AWS for tests: moto with enforcement of IAM policies, behind a proxy that knows the brokers of an MSK cluster and tells the broker's validator of
tokens the keys that STS hands out (which only the client and AWS would know)."""

import base64
import contextlib
import http.client
import http.server
import json
import pathlib
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import boto3

REGION = "us-east-1"
HOME, STREAMS = "123456789012", "222222222222"
CLUSTER = f"arn:aws:kafka:{REGION}:{STREAMS}:cluster/orders/00000000-1111-2222-3333-444444444444-1"


class Aws:
    """Two accounts: the database server's, and the streams'. `url` is the address of every service."""

    def __init__(self, access_keys_file=None):
        """The file is the one where the broker's validator of tokens looks keys up."""
        self.access_keys_file, self.known = access_keys_file, {}
        self.brokers, self.denies_brokers, self.calls, self.enforced = {}, False, [], False
        # Certificates to export: {ARN: (certificate, chain, path of the key)}; and what they were encrypted with.
        self.certificates, self.passphrases = {}, []
        # Access keys that are not taken any more, and whether somebody came with one.
        self.revoked, self.refused_as_revoked = set(), False
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        self.proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        threading.Thread(target=self.proxy.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.proxy.server_address[1]}"
        self.home = {"aws_access_key_id": "root", "aws_secret_access_key": "root"}
        # Nothing is checked yet, so the other account's root can be had by asking.
        self.streams = self.session(f"arn:aws:iam::{STREAMS}:role/root")
        self.user = self.make_user()

    def client(self, service, keys):
        return boto3.client(service, region_name=REGION, endpoint_url=f"http://127.0.0.1:{self.port}", **keys)

    def session(self, role):
        """Keys of a session of a role."""
        with self.unchecked():
            given = self.client("sts", self.home).assume_role(RoleArn=role, RoleSessionName="setup")["Credentials"]
        return {"aws_access_key_id": given["AccessKeyId"], "aws_secret_access_key": given["SecretAccessKey"], "aws_session_token": given["SessionToken"]}

    def make_user(self):
        iam = self.client("iam", self.home)
        self.user_name = "u" + secrets.token_hex(4)
        iam.create_user(UserName=self.user_name)
        key = iam.create_access_key(UserName=self.user_name)["AccessKey"]
        self.know(key["AccessKeyId"], key["SecretAccessKey"])
        return key["AccessKeyId"], key["SecretAccessKey"]

    def allow_user(self, *statements):
        self.set_user_policy(policy(*statements))

    def set_user_policy(self, document):
        with self.unchecked():
            self.client("iam", self.home).put_user_policy(UserName=self.user_name, PolicyName="p", PolicyDocument=document)

    def samples(self, listeners):
        """What the pages of the documentation name, with everything enforced; returns what stands there for what is made here."""
        reader = self.role(self.streams, name="msk-reader")
        postgres = self.role(self.home, ("sts:AssumeRole", reader), name="postgres")
        secret = self.secret(self.home, {"certificate": listeners.text("client.pem"), "privateKey": listeners.text("client.key")})
        self.allow_user(("sts:AssumeRole", postgres), ("secretsmanager:GetSecretValue", "*"))
        self.brokers = {"bootstrapBrokerStringSaslIam": listeners.uri("IAM")}
        self.enforce()
        return {
            "AKIAIOSFODNN7EXAMPLE": self.user[0], "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY": self.user[1],
            f"arn:aws:secretsmanager:{REGION}:{HOME}:secret:kafka-client": secret,
        }

    def role(self, keys, *statements, name=None):
        """A role of the account of `keys`."""
        iam, name = self.client("iam", keys), name or "r" + secrets.token_hex(4)
        trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]})
        with self.unchecked():
            arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        self.allow_role(keys, arn, *statements)
        return arn

    def allow_role(self, keys, arn, *statements):
        self.set_policy(keys, arn, policy(*statements))

    def set_policy(self, keys, arn, document):
        with self.unchecked():
            self.client("iam", keys).put_role_policy(RoleName=arn.split("/")[-1], PolicyName="p", PolicyDocument=document)

    def secret(self, keys, value):
        return self.client("secretsmanager", keys).create_secret(Name="AmazonMSK_" + secrets.token_hex(4), SecretString=json.dumps(value))["ARN"]

    def certificate(self, keys, certificate, chain, key):
        """A certificate of a private authority. moto knows it and who may export it, but signs it with a key that nobody trusts: what is exported is this."""
        client = self.client("acm", keys)
        authority = f"arn:aws:acm-pca:{REGION}:{HOME}:certificate-authority/11111111-2222-3333-4444-555555555555"
        arn = client.request_certificate(DomainName="client.example.com", CertificateAuthorityArn=authority)["CertificateArn"]
        self.certificates[arn] = certificate, chain, key
        return arn

    def exported(self, request):
        certificate, chain, key = self.certificates[request["CertificateArn"]]
        passphrase = base64.b64decode(request["Passphrase"])
        self.passphrases.append(passphrase.decode())
        locked = subprocess.run(["openssl", "pkcs8", "-topk8", "-in", key, "-v2", "aes-256-cbc", "-passout", "stdin"], input=passphrase, capture_output=True, check=True)
        return json.dumps({"Certificate": certificate, "CertificateChain": chain, "PrivateKey": locked.stdout.decode()}).encode()

    @contextlib.contextmanager
    def unchecked(self):
        was_enforced = self.enforced
        self.enforce(False)
        yield
        self.enforce(was_enforced)

    def enforce(self, on=True):
        """From now on (or no more) each request has to be signed by somebody who may."""
        self.enforced = on
        body = b"0" if on else b"1000000"
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/moto-api/reset-auth", body, {"Content-Type": "text/plain"})
        urllib.request.urlopen(request, timeout=10).read()

    def know(self, access_key, secret):
        self.known[access_key] = secret
        if not self.access_keys_file:
            return
        self.access_keys_file.write_text("".join(f"{key}={value}\n" for key, value in self.known.items()))

    def close(self):
        self.proxy.shutdown()
        self.process.kill()
        self.process.wait()


def policy(*statements):
    document = [{"Effect": "Allow", "Action": actions.split(), "Resource": resource} for actions, resource in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": document or [{"Effect": "Allow", "Action": "iam:GetUser", "Resource": "*"}]})


def documented_policy(page):
    """The policy that a page of the documentation tells users to grant: its statements."""
    found = re.search(r'```json\n(\{\s*"Version".*?)```', (pathlib.Path(__file__).parents[2] / "docs" / page).read_text(), re.DOTALL)
    return json.loads(found[1])["Statement"]


def actions_of(statements):
    return [action for statement in statements for action in statement["Action"]]


def without(statements, action=None, resource="*"):
    """The same as a document, without one action. moto asks for `*` whatever a request names, except of sts:AssumeRole."""
    kept = [(" ".join(one for one in statement["Action"] if one != action), resource) for statement in statements]
    return policy(*(statement for statement in kept if statement[0]))


def handler(aws):
    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path.startswith("/v1/clusters/"):
                return self.get_bootstrap_brokers()
            if any(key in (self.headers.get("Authorization") or "") for key in aws.revoked):
                aws.refused_as_revoked = True
                return self.send(400, b'{"__type": "ExpiredTokenException", "message": "The security token is expired"}', "application/x-amz-json-1.1")
            connection = http.client.HTTPConnection("127.0.0.1", aws.port, timeout=20)
            # Who has a token of another house asks without a signature; moto would want one.
            with aws.unchecked() if b"AssumeRoleWithWebIdentity" in body else contextlib.nullcontext():
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                content = answer.read()
            aws.calls.append((self.headers.get("X-Amz-Target") or body.decode(errors="replace"), answer.status))
            if answer.status == 200 and self.headers.get("X-Amz-Target") == "CertificateManager.ExportCertificate":
                content = aws.exported(json.loads(body))
            found = [re.search(f"<{tag}>(.*?)</{tag}>".encode(), content) for tag in ("AccessKeyId", "SecretAccessKey")]
            if all(found):
                aws.know(*(match[1].decode() for match in found))
            return self.send(answer.status, content, answer.getheader("Content-Type") or "text/xml")

        def get_bootstrap_brokers(self):
            """What MSK does; moto has no answer to this request."""
            aws.calls.append((self.path, 200))
            signed = re.search(r"Credential=(\w+)/\d+/([\w-]+)/kafka/aws4_request", self.headers.get("Authorization") or "")
            if aws.denies_brokers or not signed or signed[1] not in aws.known:
                message = {"message": "User is not authorized to perform: kafka:GetBootstrapBrokers on the resource"}
                return self.send(403, json.dumps(message).encode(), "application/json")
            return self.send(200, json.dumps(aws.brokers).encode(), "application/json")

        def send(self, status, content, kind):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, *arguments):
            pass

    return Handler


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

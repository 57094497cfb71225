"""A server whose process has an identity at AWS, and where the processes of containers and instances find theirs (stubs of AWS's, not of our code)."""

import datetime
import http.server
import json
import threading

from aws import REGION
from kinesis import Kinesis
from server import Server
from stage import StreamStage

TOKEN = "token-of-the-machine"


class Machine:
    """A cluster of the test's own, started anew with the environment that a test wants: nothing else tells who the process is."""

    def __init__(self, cluster, aws):
        self.aws, self.server = aws, Server.of(cluster)
        self.db = cluster.database("machine")
        self.db.run("CREATE EXTENSION redshift_streaming")
        self.db.run(f"ALTER SYSTEM SET redshift.aws_endpoint_url = '{aws.url}'")
        self.files = self.server.make_directory("aws")
        producer = aws.session(aws.role(aws.home, ("kinesis:*", "*")))
        self.kinesis = Kinesis(f"http://127.0.0.1:{aws.port}", producer)
        self.environment = None

    def start(self, **environment):
        """A new session of a server with this environment."""
        if environment != self.environment:
            self.server.stop("immediate")
            self.server.start(environment={"AWS_EC2_METADATA_DISABLED": "true"} | environment)
            self.environment = environment
        self.db.connection = self.db.connect()

    def file(self, name, text):
        """A file that the server can read; returns its path."""
        path = self.files / name
        path.write_text(text)
        return str(path)

    def stage(self):
        it = StreamStage(self.db, self.kinesis, self.aws.url)
        self.db.run(f"ALTER DATABASE {self.db.name} SET search_path = {it.path}")
        return it


class Metadata:
    """Gives out .sets one after the other, the last one for ever: keys as boto names them, and for how many seconds they are said to be valid."""

    def __init__(self):
        self.sets, self.given = [], 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def credentials(self):
        keys, seconds = self.sets[min(self.given, len(self.sets) - 1)]
        self.given += 1
        now = datetime.datetime.now(datetime.timezone.utc)
        time = lambda when: when.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": time(now), "Expiration": time(now + datetime.timedelta(seconds=seconds)),
            "AccessKeyId": keys["aws_access_key_id"], "SecretAccessKey": keys["aws_secret_access_key"], "Token": keys["aws_session_token"],
        }

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def handler(metadata):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self):
            ttl = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
            self.send(200 if self.path == "/latest/api/token" and ttl else 400, TOKEN, {"X-aws-ec2-metadata-token-ttl-seconds": ttl or "0"})

        def do_GET(self):
            of_instance, of_container = self.headers.get("X-aws-ec2-metadata-token") == TOKEN, self.headers.get("Authorization") == TOKEN
            role = "/latest/meta-data/iam/security-credentials/"
            if not (of_container if self.path == "/container" else of_instance):
                self.send(401, "")
            elif self.path == role:
                self.send(200, "of-the-instance")
            elif self.path in ("/container", role + "of-the-instance"):
                self.send(200, json.dumps(metadata.credentials()))
            elif self.path == "/latest/meta-data/placement/region":
                self.send(200, REGION)
            else:
                self.send(404, "")

        def send(self, status, text, headers=None):
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(text))} | (headers or {})).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *arguments):
            pass

    return Handler

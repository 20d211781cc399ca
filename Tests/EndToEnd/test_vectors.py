"""The byte-level vectors of Tests/Vectors: the files are what their generator makes, protobuf's own library reads them as they
say, and the running server answers them as they say, with a neighbour that notices nothing."""

import json
import os
import struct
import subprocess
import sys
import unittest

import paths
from google.protobuf import json_format
from harness import ServerTestCase
from raw import code, get, messages, ping, put

VECTORS = os.path.join(paths.ROOT, "Tests", "Vectors")
# Of what Prism refuses to decode, protobuf's own library lets through: a field with another wire type (it counts as unknown),
# groups, field number 0, and messages of any size.
LENIENT = {"broken/group", "broken/field-0", "broken/wrong-type-id", "broken/wrong-type-operation", "broken/wrong-type-header",
           "broken/wrong-type-nested", "broken/memory"}


class Vector:
    def __init__(self, name):
        self.name = name
        with open(os.path.join(VECTORS, name + ".bin"), "rb") as file:
            self.bytes = file.read()
        with open(os.path.join(VECTORS, name + ".json")) as file:
            self.reading = json.load(file)
        self.messages = self.reading.get("messages")
        self.answers = self.reading.get("answers")
        self.ends = self.reading.get("ends")
        self.limits = self.reading.get("limits", {})

    def bodies(self):
        """The complete frames at the front."""
        found, rest = [], self.bytes
        while len(rest) >= 4:
            (size,) = struct.unpack_from(">I", rest)
            if not 1 <= size <= len(rest) - 4:
                break
            found.append(rest[4:4 + size])
            rest = rest[4 + size:]
        return found


def vectors(*groups):
    for group in groups:
        folder = os.path.join(VECTORS, group)
        for file in sorted(os.listdir(folder)):
            if file.endswith(".bin"):
                yield Vector(f"{group}/{file[:-4]}")


class FileTests(unittest.TestCase):
    def test_the_files_are_what_the_generator_makes(self):
        done = subprocess.run([sys.executable, os.path.join(VECTORS, "generate.py"), "--check"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_protobuf_reads_every_message_as_its_neighbour_says(self):
        count = 0
        for vector in vectors("requests", "responses", "refused"):
            kind = messages.Response if vector.reading["direction"] == "response" else messages.Request
            for body, expected in zip(vector.bodies(), vector.messages or [], strict=vector.messages is not None):
                with self.subTest(vector.name):
                    read = json_format.MessageToDict(kind.FromString(body), preserving_proto_field_name=True)
                    self.assertEqual(read, expected)
                    count += 1
        self.assertGreater(count, 90)

    def test_protobuf_writes_what_its_neighbour_says_so_that_it_reads_back(self):
        for vector in vectors("requests", "responses"):
            kind = messages.Response if vector.reading["direction"] == "response" else messages.Request
            for expected in vector.messages:
                with self.subTest(vector.name):
                    written = json_format.ParseDict(expected, kind()).SerializeToString()
                    read = json_format.MessageToDict(kind.FromString(written), preserving_proto_field_name=True)
                    self.assertEqual(read, expected)

    def test_protobuf_refuses_what_cannot_be_decoded(self):
        for vector in vectors("broken"):
            if vector.ends == "not_decodable" and vector.name not in LENIENT:
                with self.subTest(vector.name), self.assertRaises(Exception):
                    messages.Request.FromString(vector.bodies()[-1])


def configuration(limits):
    lines = "".join(f"  {name}: {value}\n" for name, value in limits.items())
    small = "  result_bytes: 1024\nidempotency:\n  answer_bytes: 1024\n" if limits else ""
    return f"limits:\n{lines}{small}" if limits else None


class AnswerTests(ServerTestCase):
    def setUp(self):
        super().setUp()
        self.servers = {}
        self.neighbours = {}

    def server_for(self, vector):
        """A server with the vector's limits, and a neighbour on a connection that lives through all of them."""
        key = json.dumps(vector.limits)
        if key not in self.servers:
            self.servers[key] = self.start(config=configuration(vector.limits)) if vector.limits else self.server
            self.neighbours[key] = self.raw(self.servers[key])
            self.neighbours[key].send(put(1, b"neighbour", b"v"))
            self.assertEqual(code(self.neighbours[key].final(1)[0]), "OK")
        return self.servers[key], self.neighbours[key]

    def assert_answered(self, vector):
        server, neighbour = self.server_for(vector)
        expected = {int(answer["id"]): answer for answer in vector.answers}
        with server.raw() as raw:
            try:
                raw.send_bytes(vector.bytes)
                if vector.ends == "incomplete":
                    raw.end_sending()
            except OSError:
                pass  # it may be ended before all of it is sent
            if vector.ends:
                answers = [response for response in raw.rest() if not response.more]
                if answers and vector.ends != "incomplete":
                    self.assertEqual(answers[-1].id, 0, "the last answer has id 0")
            else:
                answers = list(raw.finals(len(expected)).values())
                raw.send(ping(4_000_000_000))
                self.assertEqual(code(raw.final(4_000_000_000)[0]), "OK", "the connection lives on")
        self.assertEqual(sorted(answer.id for answer in answers), sorted(expected))
        for answer in answers:
            self.assert_reads(answer, expected[answer.id])
        # The neighbour's connection has seen nothing of it.
        neighbour.send(get(2, b"neighbour"))
        self.assertEqual(neighbour.final(2)[0].get.value, b"v")

    def assert_reads(self, answer, expected):
        self.assertEqual(code(answer), expected["status"], str(answer))
        if expected["status"] == "OK":
            self.assertEqual(answer.WhichOneof("payload"), expected["payload"], str(answer))
            return
        self.assertEqual(messages.Stage.Name(answer.failure.stage), expected["stage"], str(answer))
        self.assertEqual(messages.Outcome.Name(answer.failure.outcome), expected["outcome"], str(answer))
        self.assertEqual(answer.failure.item, expected.get("item", 0), str(answer))
        self.assertTrue(answer.failure.message)

    def test_every_operation_of_a_transaction_answers_with_the_payload_of_its_name(self):
        raw = self.raw()
        in_order = ["savepoint", "rollback_to", "commit"], ["rollback"]
        for names in in_order:
            raw.send(messages.Request(id=1, begin=messages.Begin()))
            handle = raw.final(1)[0].begin.transaction
            for name in names:
                request = messages.Request(id=2, transaction=handle)
                getattr(request, name).SetInParent()
                if name in ("savepoint", "rollback_to"):
                    getattr(request, name).name = "s"
                raw.send(request)
                self.assertEqual(raw.final(2)[0].WhichOneof("payload"), name)

    def check(self, group):
        count = 0
        for vector in vectors(group):
            with self.subTest(vector.name):
                self.assert_answered(vector)
            count += 1
        return count

    def test_requests(self):
        self.assertGreater(self.check("requests"), 35)

    def test_refused_requests_leave_their_connection_alive(self):
        self.assertGreater(self.check("refused"), 50)

    def test_broken_frames_end_their_own_connection_only(self):
        self.assertGreater(self.check("broken"), 25)


if __name__ == "__main__":
    unittest.main()

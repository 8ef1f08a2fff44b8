"""The scenarios of tests/clients, for a client in Python: a module that has a `Client` with the methods used here."""

import json
import os
import queue
import sys
import threading
import time
import traceback

LIMIT_SECONDS = 180


def main(client_type):
    threading.excepthook = end_with
    scenario, bootstrap, name = sys.argv[1:]
    client = client_type(bootstrap)
    saw = globals()[scenario](client, name, json.load(sys.stdin))
    json.dump(saw, sys.stdout)


def end_with(failure):
    """Whoever waits for the thread would wait for ever."""
    traceback.print_exception(failure.exc_value)
    os._exit(1)


def admin(client, name, _):
    saw = {}
    client.create(name, 3, {"retention.ms": "3600000"})
    saw["partitions"] = settled(lambda: client.partitions(name), [0, 1, 2])
    listed = name in client.topics()
    saw["again"] = client.error(lambda: client.create(name, 3, {}))
    saw["unknown setting"] = client.error(lambda: client.create(name + "-x", 1, {"no.such.setting": "1"}))
    retention = client.setting(name, "retention.ms")
    client.set(name, "retention.ms", "7200000")
    saw["retention"] = [retention, settled(lambda: client.setting(name, "retention.ms"), "7200000")]
    client.raise_partitions(name, 5)
    saw["raised"] = settled(lambda: client.partitions(name), [0, 1, 2, 3, 4])
    saw["lowered"] = client.error(lambda: client.raise_partitions(name, 2))
    client.delete(name)
    eventually(lambda: name not in client.topics())
    saw["listed"] = [listed, False]
    saw["deleted"] = client.error(lambda: client.partitions(name))
    return saw


def codecs(client, name, given):
    saw = {}
    for codec in given["codecs"]:
        topic = f"{name}-{codec}"
        client.create(topic, 1, {})
        client.produce(topic, decoded(given["records"]), codec)
        saw[codec] = encoded(client.read(topic, len(given["records"])))
    return saw


def group(client, name, given):
    records = decoded(given["records"])
    for i, record in enumerate(records):
        record["partition"] = i % 4
    thirds = [records[:40], records[40:80], records[80:]]
    client.create(name, 4, {})
    saw = {}

    client.produce(name, thirds[0])
    first = Reader(client.member(name, name))
    read_all([first], 40)
    saw["alone"] = {"owned": first.owned(), "read": len(first.values)}

    second = Reader(client.member(name, name))
    both = [first, second]
    eventually(lambda: len(first.owned()) == len(second.owned()) == 2)
    assert sorted(first.owned() + second.owned()) == [0, 1, 2, 3]
    client.produce(name, thirds[1])
    read_all(both, 80)
    owned = [len(reader.owned()) for reader in both]
    saw["both"] = {"owned": owned, "read": [len(first.values) - 40, len(second.values)]}
    saw["described"] = described(client, name)
    saw["committed"] = client.committed(name, name, 4)

    first.close()
    before = len(second.values)
    eventually(lambda: len(second.owned()) == 4)
    client.produce(name, thirds[2])
    read_all([second], before + 40)
    saw["left"] = {"owned": second.owned(), "read": len(second.values) - before}
    second.close()
    eventually(lambda: described(client, name)["state"] == "Empty")
    saw["empty"] = described(client, name)
    saw["values"] = sorted(value.hex() for reader in both for value in reader.values)

    client.set_offsets(name, name, 4, 7)
    saw["reset"] = client.committed(name, name, 4)
    third = Reader(client.member(name, name))
    read_all([third], 92)
    saw["again"] = len(third.values)
    third.close()
    eventually(lambda: described(client, name)["state"] == "Empty")
    listed = name in client.groups()
    client.delete_group(name)
    saw["listed"] = [listed, name in client.groups()]
    return saw


def times(client, name, given):
    records = decoded(given["records"])
    client.create(name, 1, {})
    client.produce(name, records)
    earliest, latest = client.ends(name)
    return {
        "at": [client.offset_at(name, record["timestamp"]) for record in records],
        "after": [client.offset_at(name, record["timestamp"] + 1) for record in records],
        "earliest": earliest,
        "latest": latest,
    }


def cut(client, name, given):
    client.create(name, 1, {})
    client.produce_while_cut(name, decoded(given["records"]))
    read = client.read(name, len(given["records"]))
    return {"values": [record["value"].hex() for record in read]}


class Reader:
    """A member of a group that polls all the time, and what it has read; the client is used in one thread only."""

    def __init__(self, member):
        self.member = member
        self.values = []
        self.open = True
        self.asked = queue.Queue()
        threading.Thread(target=self.poll, daemon=True).start()

    def poll(self):
        while self.open:
            self.values += self.member.poll()
            while not self.asked.empty():
                self.asked.get()()

    def ask(self, action):
        """What `action` returns, which is done between two polls."""
        answers = queue.Queue()
        self.asked.put(lambda: answers.put(action()))
        return answers.get()

    def owned(self):
        return sorted(self.ask(self.member.owned))

    def close(self):
        def close():
            self.open = False
            self.member.close()

        self.ask(close)


def read_all(readers, count):
    """Until `readers` have read `count` records in all; then they commit."""
    eventually(lambda: sum(len(reader.values) for reader in readers) >= count)
    for reader in readers:
        reader.ask(reader.member.commit)


def settled(read, expected):
    """What `read` gives once it is what was asked for: Kafka tells of changes a moment later."""

    def is_expected():
        try:
            return read() == expected
        except Exception as error:
            print("not yet:", error, file=sys.stderr)
            return False

    eventually(is_expected)
    return expected


def eventually(condition):
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def described(client, name):
    state, members = client.describe(name)
    return {"state": state, "members": members}


def decoded(records):
    def record(given):
        return {
            "timestamp": given["timestamp"],
            "key": unhex(given["key"]),
            "value": unhex(given["value"]),
            "headers": [(name, unhex(value)) for name, value in given["headers"]],
            "partition": 0,
        }

    return [record(given) for given in records]


def encoded(records):
    def record(read):
        return {
            "timestamp": read["timestamp"],
            "key": hexed(read["key"]),
            "value": hexed(read["value"]),
            "headers": [[name, hexed(value)] for name, value in read["headers"]],
        }

    return [record(read) for read in records]


def unhex(text):
    return None if text is None else bytes.fromhex(text)


def hexed(data):
    return None if data is None else bytes(data).hex()

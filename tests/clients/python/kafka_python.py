"""kafka-python."""

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import BrokerResponseError, for_code

import scenarios


class Client:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        self.reader = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)

    @staticmethod
    def error(action):
        try:
            action()
        except BrokerResponseError as error:
            return error.errno
        return 0

    def create(self, topic, partitions, settings):
        options = {"num_partitions": partitions, "replication_factor": 1, "configs": settings}
        self.admin.create_topics({topic: options})

    def topics(self):
        return self.admin.list_topics()

    def partitions(self, topic):
        [described] = self.admin.describe_topics([topic])
        if described["error_code"] != 0:
            raise for_code(described["error_code"])
        return sorted(partition["partition_index"] for partition in described["partitions"])

    def setting(self, topic, name):
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        return self.admin.describe_configs([resource])["topic"][topic][name]["value"]

    def set(self, topic, name, value):
        self.admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {name: value})])

    def raise_partitions(self, topic, count):
        self.admin.create_partitions({topic: count})

    def delete(self, topic):
        self.admin.delete_topics([topic])

    def produce(self, topic, records, codec="none"):
        compression = None if codec == "none" else codec
        self.send(KafkaProducer(bootstrap_servers=self.bootstrap, compression_type=compression), topic, records)

    def produce_while_cut(self, topic, records):
        settings = {"enable_idempotence": True, "batch_size": 300, "retry_backoff_ms": 50, "reconnect_backoff_ms": 20}
        self.send(KafkaProducer(bootstrap_servers=self.bootstrap, **settings), topic, records)

    @staticmethod
    def send(producer, topic, records):
        sent = [
            producer.send(
                topic,
                key=record["key"],
                value=record["value"],
                headers=record["headers"],
                partition=record["partition"],
                timestamp_ms=record["timestamp"],
            )
            for record in records
        ]
        for acknowledged in sent:
            acknowledged.get(timeout=scenarios.LIMIT_SECONDS)
        producer.close()

    def read(self, topic, count):
        partition = TopicPartition(topic, 0)
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, enable_auto_commit=False)
        consumer.assign([partition])
        consumer.seek_to_beginning()
        end = consumer.end_offsets([partition])[partition]
        read = []
        while consumer.position(partition) < end:
            for records in consumer.poll(timeout_ms=100).values():
                read += records
        consumer.close()
        return [
            {"timestamp": record.timestamp, "key": record.key, "value": record.value, "headers": record.headers}
            for record in read
        ]

    def member(self, group, topic):
        return Member(self.bootstrap, group, topic)

    def describe(self, group):
        described = self.admin.describe_groups([group])[group]
        return described["group_state"], len(described["members"])

    def committed(self, group, topic, partitions):
        committed = self.admin.list_group_offsets({group: None})[group]
        return [committed[TopicPartition(topic, partition)].offset for partition in range(partitions)]

    def set_offsets(self, group, topic, partitions, offset):
        offsets = {TopicPartition(topic, partition): OffsetAndMetadata(offset, "", -1) for partition in range(partitions)}
        self.admin.alter_group_offsets(group, offsets)

    def groups(self):
        return [group["group_id"] for group in self.admin.list_groups()]

    def delete_group(self, group):
        self.admin.delete_groups([group])

    def offset_at(self, topic, timestamp):
        found = self.reader.offsets_for_times({TopicPartition(topic, 0): timestamp})[TopicPartition(topic, 0)]
        return None if found is None else found.offset

    def ends(self, topic):
        partition = TopicPartition(topic, 0)
        beginning = self.reader.beginning_offsets([partition])
        return beginning[partition], self.reader.end_offsets([partition])[partition]


class Member:
    def __init__(self, bootstrap, group, topic):
        self.consumer = KafkaConsumer(
            topic,
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            heartbeat_interval_ms=200,
        )

    def poll(self):
        batches = self.consumer.poll(timeout_ms=500).values()
        return [record.value for records in batches for record in records]

    def owned(self):
        return [partition.partition for partition in self.consumer.assignment()]

    def commit(self):
        self.consumer.commit()

    def close(self):
        self.consumer.close()


if __name__ == "__main__":
    scenarios.main(Client)

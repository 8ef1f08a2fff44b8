"""confluent-kafka: librdkafka in Python."""

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)

import scenarios


class Client:
    def __init__(self, bootstrap):
        self.common = {"bootstrap.servers": bootstrap}
        self.admin = AdminClient(self.common)

    @staticmethod
    def error(action):
        try:
            action()
        except KafkaException as error:
            return error.args[0].code()
        return 0

    def create(self, topic, partitions, settings):
        only(self.admin.create_topics([NewTopic(topic, partitions, 1, config=settings)]))

    def topics(self):
        return self.admin.list_topics().topics

    def partitions(self, topic):
        described = only(self.admin.describe_topics(TopicCollection([topic])))
        return sorted(partition.id for partition in described.partitions)

    def setting(self, topic, name):
        return only(self.admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]))[name].value

    def set(self, topic, name, value):
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
        only(self.admin.incremental_alter_configs([resource]))

    def raise_partitions(self, topic, count):
        only(self.admin.create_partitions([NewPartitions(topic, count)]))

    def delete(self, topic):
        only(self.admin.delete_topics([topic]))

    def produce(self, topic, records, codec="none"):
        self.send({"compression.type": codec}, topic, records)

    def produce_while_cut(self, topic, records):
        self.send({"enable.idempotence": True, "batch.num.messages": 5, "reconnect.backoff.ms": 20}, topic, records)

    def send(self, settings, topic, records):
        producer = Producer({**self.common, **settings})
        failed = []
        for record in records:
            producer.produce(
                topic,
                key=record["key"],
                value=record["value"],
                headers=record["headers"],
                partition=record["partition"],
                timestamp=record["timestamp"],
                on_delivery=lambda error, _: failed.append(error) if error else None,
            )
        assert producer.flush(scenarios.LIMIT_SECONDS) == 0
        assert not failed, failed

    def read(self, topic, count):
        consumer = Consumer({**self.common, "group.id": "unused", "enable.auto.commit": False})
        consumer.assign([TopicPartition(topic, 0, 0)])
        end = consumer.get_watermark_offsets(TopicPartition(topic, 0))[1]
        read = []
        while not read or read[-1].offset() < end - 1:
            read += consumer.consume(end, 0.1)
        consumer.close()
        return [
            {
                "timestamp": record.timestamp()[1],
                "key": record.key(),
                "value": record.value(),
                "headers": record.headers() or [],
            }
            for record in read
        ]

    def member(self, group, topic):
        return Member(self.common, group, topic)

    def describe(self, group):
        described = only(self.admin.describe_consumer_groups([group]))
        return described.state.name.title(), len(described.members)

    def committed(self, group, topic, partitions):
        asked = [TopicPartition(topic, partition) for partition in range(partitions)]
        committed = only(self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, asked)]))
        return [partition.offset for partition in committed.topic_partitions]

    def set_offsets(self, group, topic, partitions, offset):
        offsets = [TopicPartition(topic, partition, offset) for partition in range(partitions)]
        only(self.admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, offsets)]))

    def groups(self):
        return [group.group_id for group in self.admin.list_consumer_groups().result().valid]

    def delete_group(self, group):
        only(self.admin.delete_consumer_groups([group]))

    def offset_at(self, topic, timestamp):
        offset = self.offset(topic, OffsetSpec.for_timestamp(timestamp))
        return None if offset < 0 else offset

    def ends(self, topic):
        return self.offset(topic, OffsetSpec.earliest()), self.offset(topic, OffsetSpec.latest())

    def offset(self, topic, spec):
        return only(self.admin.list_offsets({TopicPartition(topic, 0): spec})).offset


class Member:
    def __init__(self, common, group, topic):
        settings = {
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "heartbeat.interval.ms": 200,
        }
        self.consumer = Consumer({**common, **settings})
        self.consumer.subscribe([topic])

    def poll(self):
        return [record.value() for record in self.consumer.consume(100, 0.1)]

    def owned(self):
        return [partition.partition for partition in self.consumer.assignment()]

    def commit(self):
        self.consumer.commit(asynchronous=False)

    def close(self):
        self.consumer.close()


def only(futures):
    """The outcome of the one thing that was asked."""
    [future] = futures.values()
    return future.result()


if __name__ == "__main__":
    scenarios.main(Client)

// sarama.
package main

import (
	"context"
	"errors"
	"time"

	"github.com/IBM/sarama"

	. "kboard.tests/clients/scenarios"
)

var compressions = map[string]sarama.CompressionCodec{
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

func main() {
	Main(func(bootstrap string) Client {
		brokers := []string{bootstrap}
		admin, err := sarama.NewClusterAdmin(brokers, config())
		Must(err)
		return &client{brokers: brokers, admin: admin}
	})
}

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	return config
}

type client struct {
	brokers []string
	admin   sarama.ClusterAdmin
}

func (*client) Error(err error) int {
	var told sarama.KError
	if errors.As(err, &told) {
		return int(told)
	}
	Must(err)
	return 0
}

func (c *client) Create(topic string, partitions int, settings map[string]string) error {
	pointers := map[string]*string{}
	for name, value := range settings {
		pointers[name] = &value
	}
	detail := sarama.TopicDetail{NumPartitions: int32(partitions), ReplicationFactor: 1, ConfigEntries: pointers}
	return c.admin.CreateTopic(topic, &detail, false)
}

func (c *client) Topics() []string {
	topics, err := c.admin.ListTopics()
	Must(err)
	var names []string
	for name := range topics {
		names = append(names, name)
	}
	return names
}

func (c *client) Partitions(topic string) ([]int, error) {
	topics, err := c.admin.DescribeTopics([]string{topic})
	Must(err)
	if topics[0].Err != sarama.ErrNoError {
		return nil, topics[0].Err
	}
	var partitions []int
	for _, partition := range topics[0].Partitions {
		partitions = append(partitions, int(partition.ID))
	}
	return partitions, nil
}

func (c *client) Setting(topic, name string) string {
	resource := sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{name}}
	entries, err := c.admin.DescribeConfig(resource)
	Must(err)
	return entries[0].Value
}

func (c *client) Set(topic, name, value string) {
	entry := sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}
	entries := map[string]sarama.IncrementalAlterConfigsEntry{name: entry}
	Must(c.admin.IncrementalAlterConfig(sarama.TopicResource, topic, entries, false))
}

func (c *client) RaisePartitions(topic string, count int) error {
	return c.admin.CreatePartitions(topic, int32(count), nil, false)
}

func (c *client) Delete(topic string) { Must(c.admin.DeleteTopic(topic)) }

func (c *client) Produce(topic string, records []Record, codec string) {
	config := config()
	config.Producer.Compression = compressions[codec]
	c.send(topic, records, config)
}

func (c *client) ProduceWhileCut(topic string, records []Record) {
	config := config()
	config.Producer.Idempotent = true
	// Sarama insists on it for idempotent producers.
	config.Net.MaxOpenRequests = 1
	config.Producer.Flush.MaxMessages = 5
	config.Producer.Retry.Max = 100
	config.Producer.Retry.Backoff = 20 * time.Millisecond
	c.send(topic, records, config)
}

func (c *client) send(topic string, records []Record, config *sarama.Config) {
	config.Producer.RequiredAcks = sarama.WaitForAll
	producer, err := sarama.NewSyncProducer(c.brokers, config)
	Must(err)
	var messages []*sarama.ProducerMessage
	for _, record := range records {
		var headers []sarama.RecordHeader
		for _, header := range record.Headers {
			headers = append(headers, sarama.RecordHeader{Key: []byte(header.Name), Value: header.Value})
		}
		messages = append(messages, &sarama.ProducerMessage{
			Topic: topic, Partition: int32(record.Partition), Timestamp: record.Time,
			Key: encoder(record.Key), Value: encoder(record.Value), Headers: headers,
		})
	}
	Must(producer.SendMessages(messages))
	Must(producer.Close())
}

func encoder(bytes *Bytes) sarama.Encoder {
	if bytes == nil {
		return nil
	}
	return sarama.ByteEncoder(*bytes)
}

func (c *client) Read(topic string) []Record {
	_, end := c.Ends(topic)
	consumer, err := sarama.NewConsumer(c.brokers, config())
	Must(err)
	partition, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	Must(err)
	var read []Record
	for int64(len(read)) < end {
		message := <-partition.Messages()
		headers := []Header{}
		for _, header := range message.Headers {
			headers = append(headers, Header{Name: string(header.Key), Value: header.Value})
		}
		read = append(read, Record{
			Timestamp: message.Timestamp.UnixMilli(), Key: Some(message.Key), Value: Some(message.Value), Headers: headers,
		})
	}
	Must(partition.Close())
	Must(consumer.Close())
	return read
}

// member is a member of a group whose session lasts until it rebalances.
type member struct {
	State
	group   sarama.ConsumerGroup
	session sarama.ConsumerGroupSession
	ended   chan struct{}
}

func (c *client) Join(group, topic string) Member {
	config := config()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Heartbeat.Interval = 200 * time.Millisecond
	joined, err := sarama.NewConsumerGroup(c.brokers, group, config)
	Must(err)
	self := &member{group: joined, ended: make(chan struct{})}
	go func() {
		defer close(self.ended)
		for {
			err := joined.Consume(context.Background(), []string{topic}, self)
			if errors.Is(err, sarama.ErrClosedConsumerGroup) {
				return
			}
			Must(err)
		}
	}()
	return self
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.session = session
	var owned []int
	for _, partitions := range session.Claims() {
		for _, partition := range partitions {
			owned = append(owned, int(partition))
		}
	}
	m.Own(owned)
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	m.Own(nil)
	return nil
}

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			session.MarkMessage(message, "")
			m.Read(message.Value)
		case <-session.Context().Done():
			return nil
		}
	}
}

func (m *member) Commit() { m.session.Commit() }

func (m *member) Leave() {
	Must(m.group.Close())
	<-m.ended
}

func (c *client) Describe(group string) Described {
	described, err := c.admin.DescribeConsumerGroups([]string{group})
	Must(err)
	return Described{State: described[0].State, Members: len(described[0].Members)}
}

func (c *client) Committed(group, topic string, partitions int) []int64 {
	fetched, err := c.admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: numbers(partitions)})
	Must(err)
	var committed []int64
	for _, partition := range numbers(partitions) {
		committed = append(committed, fetched.GetBlock(topic, partition).Offset)
	}
	return committed
}

func (c *client) SetOffsets(group, topic string, partitions int, offset int64) {
	offsets := map[int32]sarama.OffsetAndMetadata{}
	for _, partition := range numbers(partitions) {
		offsets[partition] = sarama.OffsetAndMetadata{Offset: offset, LeaderEpoch: -1}
	}
	answer, err := c.admin.AlterConsumerGroupOffsets(group, map[string]map[int32]sarama.OffsetAndMetadata{topic: offsets}, nil)
	Must(err)
	for _, partition := range numbers(partitions) {
		if told := answer.Errors[topic][partition]; told != sarama.ErrNoError {
			panic(told)
		}
	}
}

func (c *client) Groups() []string {
	groups, err := c.admin.ListConsumerGroups()
	Must(err)
	var names []string
	for name := range groups {
		names = append(names, name)
	}
	return names
}

func (c *client) DeleteGroup(group string) { Must(c.admin.DeleteConsumerGroup(group)) }

func (c *client) OffsetAt(topic string, timestamp int64) int64 {
	listed, err := c.admin.ListOffsets(map[string]map[int32]int64{topic: {0: timestamp}}, nil)
	Must(err)
	found := listed[topic][0]
	// Sarama has an error for no error.
	if !errors.Is(found.Err, sarama.ErrNoError) {
		panic(found.Err)
	}
	return found.Offset
}

func (c *client) Ends(topic string) (int64, int64) {
	return c.OffsetAt(topic, sarama.OffsetOldest), c.OffsetAt(topic, sarama.OffsetNewest)
}

func numbers(count int) []int32 {
	var numbers []int32
	for number := range int32(count) {
		numbers = append(numbers, number)
	}
	return numbers
}

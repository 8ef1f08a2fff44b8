// franz-go.
package main

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	. "kboard.tests/clients/scenarios"
)

var ctx = context.Background()

var compressions = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

func main() {
	Main(func(bootstrap string) Client {
		client := &client{bootstrap: bootstrap}
		client.admin = kadm.NewClient(client.connect())
		return client
	})
}

type client struct {
	bootstrap string
	admin     *kadm.Client
}

func (c *client) connect(options ...kgo.Opt) *kgo.Client {
	common := []kgo.Opt{kgo.SeedBrokers(c.bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner())}
	client, err := kgo.NewClient(append(common, options...)...)
	Must(err)
	return client
}

func (*client) Error(err error) int {
	var told *kerr.Error
	if errors.As(err, &told) {
		return int(told.Code)
	}
	Must(err)
	return 0
}

func (c *client) Create(topic string, partitions int, settings map[string]string) error {
	pointers := map[string]*string{}
	for name, value := range settings {
		pointers[name] = &value
	}
	_, err := c.admin.CreateTopic(ctx, int32(partitions), 1, pointers, topic)
	return err
}

func (c *client) Topics() []string {
	topics, err := c.admin.ListTopics(ctx)
	Must(err)
	return topics.Names()
}

func (c *client) Partitions(topic string) ([]int, error) {
	topics, err := c.admin.ListTopics(ctx, topic)
	Must(err)
	return ints(topics[topic].Partitions.Numbers()), topics[topic].Err
}

func (c *client) Setting(topic, name string) string {
	described, err := c.admin.DescribeTopicConfigs(ctx, topic)
	Must(err)
	for _, setting := range described[0].Configs {
		if setting.Key == name {
			return *setting.Value
		}
	}
	return ""
}

func (c *client) Set(topic, name, value string) {
	altered, err := c.admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: name, Value: &value}}, topic)
	Must(err)
	Must(altered[0].Err)
}

func (c *client) RaisePartitions(topic string, count int) error {
	raised, err := c.admin.UpdatePartitions(ctx, count, topic)
	Must(err)
	return raised[topic].Err
}

func (c *client) Delete(topic string) {
	_, err := c.admin.DeleteTopic(ctx, topic)
	Must(err)
}

func (c *client) Produce(topic string, records []Record, codec string) {
	c.send(topic, records, kgo.ProducerBatchCompression(compressions[codec]))
}

func (c *client) ProduceWhileCut(topic string, records []Record) {
	c.send(topic, records, kgo.ProducerBatchMaxBytes(512), kgo.RetryBackoffFn(soon))
}

func soon(int) time.Duration { return 20 * time.Millisecond }

func (c *client) send(topic string, records []Record, options ...kgo.Opt) {
	client := c.connect(options...)
	defer client.Close()
	var sent []*kgo.Record
	for _, record := range records {
		var headers []kgo.RecordHeader
		for _, header := range record.Headers {
			headers = append(headers, kgo.RecordHeader{Key: header.Name, Value: header.Value})
		}
		sent = append(sent, &kgo.Record{
			Topic: topic, Partition: int32(record.Partition), Timestamp: record.Time,
			Key: record.Key.Get(), Value: record.Value.Get(), Headers: headers,
		})
	}
	Must(client.ProduceSync(ctx, sent...).FirstErr())
}

func (c *client) Read(topic string) []Record {
	_, end := c.Ends(topic)
	start := map[int32]kgo.Offset{0: kgo.NewOffset().AtStart()}
	client := c.connect(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: start}))
	defer client.Close()
	var read []Record
	for int64(len(read)) < end {
		fetched := client.PollFetches(ctx)
		Must(fetched.Err())
		fetched.EachRecord(func(record *kgo.Record) {
			headers := []Header{}
			for _, header := range record.Headers {
				headers = append(headers, Header{Name: header.Key, Value: header.Value})
			}
			read = append(read, Record{
				Timestamp: record.Timestamp.UnixMilli(), Key: Some(record.Key), Value: Some(record.Value), Headers: headers,
			})
		})
	}
	return read
}

// member is a member of a group with cooperative rebalancing.
type member struct {
	State
	client *kgo.Client
	owned  map[int32]bool
	ended  chan struct{}
}

func (c *client) Join(group, topic string) Member {
	self := &member{owned: map[int32]bool{}, ended: make(chan struct{})}
	change := func(owned bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, changed map[string][]int32) {
			for _, partition := range changed[topic] {
				self.owned[partition] = owned
			}
			var all []int
			for partition, owned := range self.owned {
				if owned {
					all = append(all, int(partition))
				}
			}
			self.Own(all)
		}
	}
	self.client = c.connect(
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.HeartbeatInterval(200*time.Millisecond),
		kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)),
	)
	go func() {
		defer close(self.ended)
		for {
			fetched := self.client.PollFetches(ctx)
			if fetched.IsClientClosed() {
				return
			}
			Must(fetched.Err())
			fetched.EachRecord(func(record *kgo.Record) { self.Read(record.Value) })
		}
	}()
	return self
}

func (m *member) Commit() { Must(m.client.CommitUncommittedOffsets(ctx)) }

func (m *member) Leave() {
	m.client.Close()
	<-m.ended
}

func (c *client) Describe(group string) Described {
	described, err := c.admin.DescribeGroups(ctx, group)
	Must(err)
	Must(described[group].Err)
	return Described{State: described[group].State, Members: len(described[group].Members)}
}

func (c *client) Committed(group, topic string, partitions int) []int64 {
	fetched, err := c.admin.FetchOffsets(ctx, group)
	Must(err)
	var committed []int64
	for partition := range int32(partitions) {
		committed = append(committed, fetched[topic][partition].At)
	}
	return committed
}

func (c *client) SetOffsets(group, topic string, partitions int, offset int64) {
	offsets := kadm.Offsets{}
	for partition := range int32(partitions) {
		offsets.AddOffset(topic, partition, offset, -1)
	}
	Must(c.admin.CommitAllOffsets(ctx, group, offsets))
}

func (c *client) Groups() []string {
	groups, err := c.admin.ListGroups(ctx)
	Must(err)
	return groups.Groups()
}

func (c *client) DeleteGroup(group string) {
	_, err := c.admin.DeleteGroup(ctx, group)
	Must(err)
}

// Where there is nothing, franz-go gives the end, which has no time.
func (c *client) OffsetAt(topic string, timestamp int64) int64 {
	listed, err := c.admin.ListOffsetsAfterMilli(ctx, timestamp, topic)
	Must(err)
	found, _ := listed.Lookup(topic, 0)
	if found.Timestamp < 0 {
		return -1
	}
	return found.Offset
}

func (c *client) Ends(topic string) (int64, int64) {
	starts, err := c.admin.ListStartOffsets(ctx, topic)
	Must(err)
	ends, err := c.admin.ListEndOffsets(ctx, topic)
	Must(err)
	start, _ := starts.Lookup(topic, 0)
	end, _ := ends.Lookup(topic, 0)
	return start.Offset, end.Offset
}

func ints(numbers []int32) []int {
	var ints []int
	for _, number := range numbers {
		ints = append(ints, int(number))
	}
	return ints
}

// Package scenarios is what tests/clients puts a client in Go through. A client is what implements Client.
package scenarios

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

const limit = 180 * time.Second

// Client does what the scenarios need. What fails ends the program, but for the errors of the broker that are returned.
type Client interface {
	// The number of the broker's error, or 0.
	Error(err error) int

	Create(topic string, partitions int, settings map[string]string) error
	Topics() []string
	Partitions(topic string) ([]int, error)
	Setting(topic, name string) string
	Set(topic, name, value string)
	RaisePartitions(topic string, count int) error
	Delete(topic string)

	Produce(topic string, records []Record, codec string)
	ProduceWhileCut(topic string, records []Record)
	// All records of partition 0.
	Read(topic string) []Record

	Join(group, topic string) Member
	Describe(group string) Described
	Committed(group, topic string, partitions int) []int64
	SetOffsets(group, topic string, partitions int, offset int64)
	Groups() []string
	DeleteGroup(group string)

	// The offset of the first record at or after a time, or -1.
	OffsetAt(topic string, timestamp int64) int64
	Ends(topic string) (earliest, latest int64)
}

// Member is a member of a group that reads all the time, from the beginning where nothing is committed.
type Member interface {
	Owned() []int
	// The values that were read.
	Values() [][]byte
	Commit()
	Leave()
}

// Described is what is told of a group.
type Described struct {
	State   string `json:"state"`
	Members int    `json:"members"`
}

// Record is one record to write, or read.
type Record struct {
	Timestamp int64     `json:"timestamp"`
	Key       *Bytes    `json:"key"`
	Value     *Bytes    `json:"value"`
	Headers   []Header  `json:"headers"`
	Partition int       `json:"-"`
	Time      time.Time `json:"-"`
}

// Header is a pair of strings in JSON.
type Header struct {
	Name  string
	Value Bytes
}

// Bytes are hexadecimal in JSON.
type Bytes []byte

func (b Bytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(b)), nil }

func (b *Bytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

// Get are the bytes, or nil where there are none.
func (b *Bytes) Get() []byte {
	if b == nil {
		return nil
	}
	return *b
}

// Some are bytes that may be nil.
func Some(b []byte) *Bytes {
	if b == nil {
		return nil
	}
	return (*Bytes)(&b)
}

func (h Header) MarshalJSON() ([]byte, error) { return json.Marshal([]any{h.Name, h.Value}) }

func (h *Header) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&h.Name, &h.Value})
}

type input struct {
	Codecs  []string `json:"codecs"`
	Records []Record `json:"records"`
}

type saw map[string]any

// Main puts a client through the scenario that the program is called with.
func Main(connect func(bootstrap string) Client) {
	var given input
	Must(json.NewDecoder(os.Stdin).Decode(&given))
	for i := range given.Records {
		given.Records[i].Time = time.UnixMilli(given.Records[i].Timestamp)
	}
	scenarios := map[string]func(Client, string, input) saw{
		"admin": admin, "codecs": codecs, "group": group, "times": times, "cut": cut,
	}
	name := os.Args[3]
	Must(json.NewEncoder(os.Stdout).Encode(scenarios[os.Args[1]](connect(os.Args[2]), name, given)))
}

func admin(client Client, name string, _ input) saw {
	Must(client.Create(name, 3, map[string]string{"retention.ms": "3600000"}))
	saw := saw{"partitions": settled(client, name, 3)}
	listed := slices.Contains(client.Topics(), name)
	saw["again"] = client.Error(client.Create(name, 3, nil))
	saw["unknown setting"] = client.Error(client.Create(name+"-x", 1, map[string]string{"no.such.setting": "1"}))
	retention := client.Setting(name, "retention.ms")
	client.Set(name, "retention.ms", "7200000")
	Eventually("the setting is told", func() bool { return client.Setting(name, "retention.ms") == "7200000" })
	saw["retention"] = []string{retention, "7200000"}
	Must(client.RaisePartitions(name, 5))
	saw["raised"] = settled(client, name, 5)
	saw["lowered"] = client.Error(client.RaisePartitions(name, 2))
	client.Delete(name)
	Eventually("the deleted topic is gone", func() bool { return !slices.Contains(client.Topics(), name) })
	saw["listed"] = []bool{listed, false}
	var err error
	Eventually("the deleted topic is unknown", func() bool {
		_, err = client.Partitions(name)
		return err != nil
	})
	saw["deleted"] = client.Error(err)
	return saw
}

// The partitions, once there are as many as were asked for: Kafka tells of changes a moment later.
func settled(client Client, topic string, count int) []int {
	var partitions []int
	Eventually("the partitions are told", func() bool {
		partitions, _ = client.Partitions(topic)
		return len(partitions) == count
	})
	slices.Sort(partitions)
	return partitions
}

func codecs(client Client, name string, given input) saw {
	saw := saw{}
	for _, codec := range given.Codecs {
		topic := name + "-" + codec
		Must(client.Create(topic, 1, nil))
		client.Produce(topic, given.Records, codec)
		saw[codec] = client.Read(topic)
	}
	return saw
}

func group(client Client, name string, given input) saw {
	records := given.Records
	for i := range records {
		records[i].Partition = i % 4
	}
	Must(client.Create(name, 4, nil))
	saw := saw{}

	client.Produce(name, records[:40], "none")
	first := client.Join(name, name)
	readAll(40, first)
	saw["alone"] = owns(first, 0)

	second := client.Join(name, name)
	Eventually("both own two", func() bool { return len(first.Owned()) == 2 && len(second.Owned()) == 2 })
	all := append(first.Owned(), second.Owned()...)
	slices.Sort(all)
	if !slices.Equal(all, []int{0, 1, 2, 3}) {
		panic(fmt.Sprint("both own ", all))
	}
	client.Produce(name, records[40:80], "none")
	readAll(80, first, second)
	saw["both"] = map[string][]int{"owned": {2, 2}, "read": {len(first.Values()) - 40, len(second.Values())}}
	saw["described"] = client.Describe(name)
	saw["committed"] = client.Committed(name, name, 4)

	first.Leave()
	before := len(second.Values())
	Eventually("the second owns all", func() bool { return len(second.Owned()) == 4 })
	client.Produce(name, records[80:], "none")
	readAll(before+40, second)
	saw["left"] = owns(second, before)
	second.Leave()
	saw["empty"] = empty(client, name)
	saw["values"] = values(append(first.Values(), second.Values()...))

	client.SetOffsets(name, name, 4, 7)
	saw["reset"] = client.Committed(name, name, 4)
	third := client.Join(name, name)
	readAll(92, third)
	saw["again"] = len(third.Values())
	third.Leave()
	empty(client, name)
	listed := slices.Contains(client.Groups(), name)
	client.DeleteGroup(name)
	saw["listed"] = []bool{listed, slices.Contains(client.Groups(), name)}
	return saw
}

func times(client Client, name string, given input) saw {
	Must(client.Create(name, 1, nil))
	client.Produce(name, given.Records, "none")
	earliest, latest := client.Ends(name)
	at := func(timestamp int64) any {
		if offset := client.OffsetAt(name, timestamp); offset >= 0 {
			return offset
		}
		return nil
	}
	var same, after []any
	for _, record := range given.Records {
		same = append(same, at(record.Timestamp))
		after = append(after, at(record.Timestamp+1))
	}
	return saw{"at": same, "after": after, "earliest": earliest, "latest": latest}
}

func cut(client Client, name string, given input) saw {
	Must(client.Create(name, 1, nil))
	client.ProduceWhileCut(name, given.Records)
	var read []string
	for _, record := range client.Read(name) {
		read = append(read, hex.EncodeToString(record.Value.Get()))
	}
	return saw{"values": read}
}

func owns(member Member, before int) map[string]any {
	return map[string]any{"owned": member.Owned(), "read": len(member.Values()) - before}
}

// Until they have read count records in all; then they commit.
func readAll(count int, members ...Member) {
	Eventually("all is read", func() bool {
		read := 0
		for _, member := range members {
			read += len(member.Values())
		}
		return read >= count
	})
	for _, member := range members {
		member.Commit()
	}
}

func empty(client Client, group string) Described {
	Eventually("the group is empty", func() bool { return client.Describe(group).State == "Empty" })
	return client.Describe(group)
}

func values(read [][]byte) []string {
	var values []string
	for _, value := range read {
		values = append(values, hex.EncodeToString(value))
	}
	slices.Sort(values)
	return values
}

// State is what a member owns and has read, between its own goroutine and the scenario.
type State struct {
	mutex  sync.Mutex
	owned  []int
	values [][]byte
}

func (s *State) Own(partitions []int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.owned = slices.Sorted(slices.Values(partitions))
}

func (s *State) Owned() []int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return slices.Clone(s.owned)
}

func (s *State) Read(value []byte) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.values = append(s.values, value)
}

func (s *State) Values() [][]byte {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return slices.Clone(s.values)
}

// Eventually waits for a condition.
func Eventually(what string, condition func() bool) {
	deadline := time.Now().Add(limit)
	for !condition() {
		if time.Now().After(deadline) {
			panic("waited too long: " + what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Must ends the program with an error that nothing expects.
func Must(err error) {
	if err != nil {
		panic(err)
	}
}

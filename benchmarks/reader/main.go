// Command reader reads a long list or a large file, and prints what it took:
//
//	reader iterate|collect|messages|download URL
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("usage: reader iterate|collect|messages|download URL")
	}
	client, err := drift.NewClient(drift.WithToken("a-token"), drift.WithBaseURL(arguments[1]), drift.WithRateLimit(1e5))
	if err != nil {
		return err
	}
	defer client.Close()
	var result struct {
		Items                           int
		StartHeap, PeakHeap, MedianHeap uint64
		Seconds                         float64
	}
	runtime.GC()
	result.StartHeap = heap()
	end := watchHeap()
	start := time.Now()
	if result.Items, err = read(client, arguments[0]); err != nil {
		return err
	}
	result.Seconds = time.Since(start).Seconds()
	result.PeakHeap, result.MedianHeap = end()
	return json.NewEncoder(os.Stdout).Encode(result)
}

// read returns how many items there are, or bytes of the file.
func read(client *drift.Client, how string) (int, error) {
	ctx, api := context.Background(), classic.New(client)
	conversations := client.Conversations.All(ctx, drift.ConversationListOptions{})
	switch how {
	case "iterate":
		return count(conversations)
	case "collect":
		items, err := drift.Collect(conversations, 0)
		runtime.KeepAlive(items)
		return len(items), err
	case "messages":
		return count(api.Messages.All(ctx, 1, classic.MessageListOptions{}))
	case "download":
		file := new(counter)
		err := api.Attachments.Download(ctx, 1, file)
		return int(*file), err
	}
	return 0, errors.New("no such way of reading")
}

func count[T any](items iter.Seq2[*T, error]) (n int, err error) {
	for _, err := range items {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// counter counts what is written to it.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// heap returns how much of the heap is in use, in bytes.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// watchHeap looks every millisecond how much of the heap is in use. What it returns ends that, and tells the most and the median.
func watchHeap() (end func() (peak, median uint64)) {
	stop, done := make(chan struct{}), make(chan struct{})
	seen := make([]uint32, 0, 1<<16) // in KiB, for at least a minute: the heap must not grow by being watched
	go func() {
		defer close(done)
		ticks := time.NewTicker(time.Millisecond)
		defer ticks.Stop()
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		for len(seen) < cap(seen) {
			metrics.Read(sample)
			seen = append(seen, uint32(sample[0].Value.Uint64()>>10))
			select {
			case <-ticks.C:
			case <-stop:
				return
			}
		}
		<-stop
	}()
	return func() (peak, median uint64) {
		close(stop)
		<-done
		slices.Sort(seen)
		return uint64(seen[len(seen)-1]) << 10, uint64(seen[len(seen)/2]) << 10
	}
}

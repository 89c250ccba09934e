package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/pcap"
	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// capture writes the air of one access point to a file, a little behind time:
// the file is written by a goroutine of its own, so that a slow disk or a pipe
// does not stop the machine.
type capture struct {
	w      *world.World
	pcap   *pcap.Writer
	queue  *fileQueue
	cancel func()
	stop   chan struct{}
	wg     sync.WaitGroup
	mu     sync.Mutex
	failed error
}

const flushEvery = 200 * time.Millisecond

// startCapture begins a capture into the file at path. Lock of w not held.
func startCapture(w *world.World, a *air.Air, bssid wire.MAC, path string) (*capture, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("--pcap: %w", err)
	}
	c := &capture{w: w, queue: newFileQueue(f), stop: make(chan struct{})}
	c.pcap, err = pcap.NewWriter(c.queue, pcap.Options{Application: "understudy " + buildVersion()})
	if err != nil {
		return nil, errors.Join(err, c.queue.Close())
	}
	w.Lock()
	c.cancel = wifi.Capture(a, bssid, c.pcap, 0, c.fail)
	w.Unlock()
	c.wg.Go(c.flusher)
	return c, nil
}

func (c *capture) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err
	}
}

func (c *capture) flusher() {
	t := time.NewTicker(flushEvery)
	defer t.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-t.C:
			c.w.Lock()
			err := c.pcap.Flush()
			c.w.Unlock()
			if err != nil {
				c.fail(err)
				return
			}
		}
	}
}

// Close writes what is left and returns the first error.
func (c *capture) Close() error {
	close(c.stop)
	c.wg.Wait()
	c.w.Lock()
	c.cancel()
	err := c.pcap.Flush()
	c.w.Unlock()
	if err != nil && !errors.Is(err, pcap.ErrStopped) {
		c.fail(err)
	}
	if err := c.queue.Close(); err != nil {
		c.fail(err)
	}
	if c.failed != nil {
		return fmt.Errorf("--pcap: %w", c.failed)
	}
	return nil
}

// fileQueue is an io.Writer that never waits: a goroutine writes.
type fileQueue struct {
	ch  chan []byte
	end chan error
}

// queued is how many pieces may wait; the writer above makes pieces of at most
// 64 KiB.
const queued = 256

var errSlowFile = errors.New("the file is written too slowly, the capture has stopped")

func newFileQueue(f io.WriteCloser) *fileQueue {
	q := &fileQueue{ch: make(chan []byte, queued), end: make(chan error, 1)}
	go func() {
		var failed error
		for b := range q.ch {
			if failed == nil {
				_, failed = f.Write(b)
			}
		}
		q.end <- errors.Join(failed, f.Close())
	}()
	return q
}

func (q *fileQueue) Write(p []byte) (int, error) {
	select {
	case q.ch <- append([]byte(nil), p...):
		return len(p), nil
	default:
		return 0, errSlowFile
	}
}

func (q *fileQueue) Close() error {
	close(q.ch)
	return <-q.end
}

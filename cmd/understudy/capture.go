package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/pcap"
	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// capture writes the air of one access point to a file, a little behind time. A
// file that is written too slowly ends the capture.
type capture struct {
	w      *world.World
	pcap   *pcap.Writer
	file   *behind
	cancel func()
	stop   chan struct{}
	wg     sync.WaitGroup
	mu     sync.Mutex
	failed error
}

const (
	flushEvery     = 200 * time.Millisecond
	capturedPieces = 256 // that may wait for the disk, each at most 64 KiB
)

// startCapture begins a capture into the file at path. Lock of w not held.
func startCapture(w *world.World, a *air.Air, bssid wire.MAC, path string) (*capture, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("--pcap: %w", err)
	}
	c := &capture{w: w, file: newBehind(f, capturedPieces, nil), stop: make(chan struct{})}
	c.pcap, err = pcap.NewWriter(c.file, pcap.Options{Application: "understudy " + buildVersion()})
	if err != nil {
		_, closed := c.file.Close()
		return nil, errors.Join(err, closed)
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
	if _, err := c.file.Close(); err != nil {
		c.fail(err)
	}
	if c.failed != nil {
		return fmt.Errorf("--pcap: %w", c.failed)
	}
	return nil
}

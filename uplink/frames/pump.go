package frames

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// A Device gives and takes whole Ethernet frames, without frame check sequence.
// Read and Write are called from one goroutine each, at the same time.
type Device interface {
	// Read waits until there is a frame, and adds all that are there to b, until
	// it is full. How many frames it had to leave out comes back as well. A
	// failure is the end of the device.
	Read(b *Batch) (unusable int, err error)
	// Write gives one frame to the host. A failure concerns this frame alone,
	// unless it is os.ErrClosed or ErrDeviceGone.
	Write(frame []byte) error
	// Close makes Read and Write return, now and later, with an error that
	// wraps os.ErrClosed.
	Close() error
}

// Defaults of a [Config].
const (
	DefaultQueue    = 1024
	DefaultMaxFrame = 1518 // an Ethernet frame with a tag (IEEE 802.3-2018, 3.2.7)
)

// Config says how a pump is to be. World and Output are required.
type Config struct {
	// World is the owner of the machines that Output calls. It must be on the
	// wall clock: the host knows no other. Required.
	World *world.World
	// Output is given each frame that the host sent, with the world's lock held. The
	// frame is valid until it returns. Who calls a machine in it touches its
	// slot. It may call Input. Required.
	Output func(now time.Time, eth []byte)

	// Queue is the most frames that wait for the host to take them; more are
	// dropped. 0 means DefaultQueue.
	Queue int
	// MaxFrame is the most bytes of a frame, header included; longer ones are
	// dropped. 0 means DefaultMaxFrame.
	MaxFrame int

	// Failed, unless nil, is told once why the device went away before Close. It is
	// called on a goroutine of the pump, without the world's lock, and must not
	// call Close.
	Failed func(err error)
}

// Pump carries frames between a world and a device. Make one with [Start].
type Pump struct {
	c Config
	d Device

	mu     sync.Mutex // of what follows; nobody holds it while waiting
	queue  Batch      // for the host
	more   *sync.Cond // the queue is not empty, or closed
	stats  Stats
	closed bool // no frame goes to the host any more

	once sync.Once
	err  error // of Device.Close
	wg   sync.WaitGroup
}

// Start makes a pump and lets it run; it owns d from then on, also when it
// fails. The error says what is wrong with c.
func Start(c Config, d Device) (*Pump, error) {
	if err := c.complete(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	p := &Pump{c: c, d: d}
	p.more = sync.NewCond(&p.mu)
	p.wg.Go(p.read)
	p.wg.Go(p.write)
	return p, nil
}

func (c *Config) complete() error {
	switch {
	case c.World == nil || c.Output == nil:
		return errors.New("uplink: Config needs World and Output")
	case c.World.Virtual():
		return errors.New("uplink: a device of the host needs a world on the wall clock (world.New)")
	}
	if c.Queue <= 0 {
		c.Queue = DefaultQueue
	}
	if c.MaxFrame <= 0 {
		c.MaxFrame = DefaultMaxFrame
	}
	return nil
}

// Input queues a copy of a frame for the host. It never waits, and may be
// called with the world's lock held or without.
func (p *Pump) Input(_ time.Time, eth []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		p.stats.Drops.Closed++
	case len(eth) < wire.EthernetLen:
		p.stats.Drops.Short++
	case len(eth) > p.c.MaxFrame:
		p.stats.Drops.Oversize++
	case p.queue.Len() >= p.c.Queue:
		p.stats.Drops.QueueFull++
	default:
		p.queue.Append(eth)
		if p.queue.Len() == 1 {
			p.more.Signal()
		}
	}
}

// Stats returns a copy of the counters, with or without the world's lock.
func (p *Pump) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// Close closes the device and returns when no goroutine of the pump is left. Frames
// that wait are lost, and counted. The world must not be locked by the caller; it stays as it
// is. A second Close does nothing.
func (p *Pump) Close() error {
	p.once.Do(func() {
		p.stop()
		p.err = p.d.Close()
	})
	p.wg.Wait()
	return p.err
}

// stop lets nothing more go to the host. It reports whether that is news.
func (p *Pump) stop() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.closed = true
	p.stats.Drops.Closed += uint64(p.queue.Len())
	p.queue = Batch{}
	p.more.Signal()
	return true
}

// fail lets nothing more pass and tells why, unless Close is the reason.
func (p *Pump) fail(err error) {
	if p.stop() && p.c.Failed != nil {
		p.c.Failed(err)
	}
}

// read is the goroutine that brings frames in.
func (p *Pump) read() {
	var b Batch
	for {
		b.Reset()
		unusable, err := p.d.Read(&b)
		p.handOver(&b, unusable)
		if err == nil {
			continue
		}
		p.fail(err)
		return
	}
}

// handOver gives a batch to the world, under one lock.
func (p *Pump) handOver(b *Batch, unusable int) {
	s := Stats{Drops: Drops{Unusable: uint64(unusable)}}
	if b.Len() > 0 {
		now := p.c.World.Lock()
		for i := range b.Len() {
			p.output(now, b.Frame(i), &s)
		}
		p.c.World.Unlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.FromHost += s.FromHost
	p.stats.FromHostBytes += s.FromHostBytes
	p.stats.Drops.Short += s.Drops.Short
	p.stats.Drops.Oversize += s.Drops.Oversize
	p.stats.Drops.Unusable += s.Drops.Unusable
}

func (p *Pump) output(now time.Time, eth []byte, s *Stats) {
	switch {
	case len(eth) < wire.EthernetLen:
		s.Drops.Short++
	case len(eth) > p.c.MaxFrame:
		s.Drops.Oversize++
	default:
		s.FromHost++
		s.FromHostBytes += uint64(len(eth))
		p.c.Output(now, eth)
	}
}

// write is the goroutine that brings frames out.
func (p *Pump) write() {
	var b Batch
	for p.next(&b) {
		var written, bytes, refused uint64
		for i := range b.Len() {
			err := p.d.Write(b.Frame(i))
			switch {
			case err == nil:
				written++
				bytes += uint64(len(b.Frame(i)))
			case errors.Is(err, os.ErrClosed), errors.Is(err, ErrDeviceGone):
				p.count(written, bytes, refused, uint64(b.Len()-i))
				p.fail(err)
				return
			default:
				refused++
			}
		}
		p.count(written, bytes, refused, 0)
	}
}

// next waits for frames and takes all, in exchange for b.
func (p *Pump) next(b *Batch) bool {
	b.Reset()
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.queue.Len() == 0 && !p.closed {
		p.more.Wait()
	}
	p.queue, *b = *b, p.queue
	return !p.closed
}

func (p *Pump) count(written, bytes, refused, closed uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.ToHost += written
	p.stats.ToHostBytes += bytes
	p.stats.Drops.Refused += refused
	p.stats.Drops.Closed += closed
}

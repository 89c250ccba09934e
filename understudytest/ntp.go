package understudytest

import (
	"time"

	"github.com/understudy-net/understudy/stack/sntp"
)

// timeServers are the names that the device asks for the time by default. On a
// bench both are the router.
var timeServers = []string{"time.nist.gov", "pool.ntp.org"}

// buildTime has the router answer time requests with the bench's own time.
func (b *Bench) buildTime() error {
	b.TimeServer = new(sntp.Server)
	b.Router.Stack.ServeNTP(b.TimeServer, func(now time.Time) time.Time { return now.Add(b.ahead) })
	for _, name := range timeServers {
		if err := b.Names.Set(name, 0, b.Router.Addr); err != nil {
			return err
		}
	}
	return nil
}

// SetTime sets the clock of the router's time server, which otherwise tells the
// time of the bench. The device learns it the next time it asks.
func (b *Bench) SetTime(t time.Time) {
	now := b.World.Lock()
	b.ahead = t.Sub(now)
	b.World.Unlock()
}

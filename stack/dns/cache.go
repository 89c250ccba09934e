package dns

import (
	"net/netip"
	"slices"
	"time"
)

// maxTTL is the longest that an answer is kept or said to last.
const maxTTL = time.Hour

// cache remembers a few answers for as long as their records live.
type cache struct {
	size    int
	entries []entry
}

type entry struct {
	name   string // canonical
	addrs  []netip.Addr
	expiry time.Time
}

// get returns the addresses of a name and how long they live on.
func (c *cache) get(now time.Time, name string) ([]netip.Addr, time.Duration, bool) {
	for i := range c.entries {
		if e := &c.entries[i]; e.name == name {
			return e.addrs, e.expiry.Sub(now), now.Before(e.expiry)
		}
	}
	return nil, 0, false
}

// put remembers an answer; when there is no room, the one that ends first leaves.
func (c *cache) put(now time.Time, name string, a answer) {
	if a.ttl <= 0 || c.size <= 0 {
		return
	}
	c.entries = slices.DeleteFunc(c.entries, func(e entry) bool { return e.name == name })
	e := entry{name, a.addrs, now.Add(a.ttl)}
	if len(c.entries) < c.size {
		c.entries = append(c.entries, e)
		return
	}
	first := 0
	for i := range c.entries {
		if c.entries[i].expiry.Before(c.entries[first].expiry) {
			first = i
		}
	}
	c.entries[first] = e
}

func (c *cache) clear() { c.entries = nil }

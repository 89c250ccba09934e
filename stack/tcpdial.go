package stack

import (
	"net/netip"
	"time"
)

// Dial opens a connection to remote. A local address that is zero or not valid is chosen, and so is
// port 0, at random. It returns at once: the event Connected says how it went, with Err if it
// failed. Data may be written before that.
func (s *Stack) Dial(now time.Time, local, remote netip.AddrPort) (TCP, error) {
	key, err := s.dialTuple(local, remote)
	if err != nil {
		return TCP{}, err
	}
	if len(s.tcps) >= orInt(s.cfg.MaxTCP, defaultMaxTCP) {
		return TCP{}, ErrNoBuffers
	}
	t := s.at(now)
	k := s.newTCP(key)
	k.conn.Open(t, &s.cfg.TCP, s.params(t, key))
	k.ackedSeq = k.conn.FirstByte()
	s.usePath(t, k)
	s.stats.TCP.Dialed++
	s.afterTCP(now, t, k, 0)
	s.touch()
	return k.handle(s), nil
}

// dialTuple checks the addresses of an active open (MUST-43 to MUST-46).
func (s *Stack) dialTuple(local, remote netip.AddrPort) (key tuple, err error) {
	r, ok := from4(remote.Addr())
	if !ok || !isUnicast(r) || s.isBroadcast(r) || remote.Port() == 0 {
		return key, ErrBadAddress
	}
	key.remote = endpoint{r, remote.Port()}
	if local.Addr().IsValid() && !local.Addr().IsUnspecified() {
		a, ok := from4(local.Addr())
		if !ok {
			return key, ErrBadAddress
		}
		if !s.mayUse(a) {
			return key, ErrNoAddress
		}
		key.local.ip = a
	} else if key.local.ip, err = s.sourceFor(); err != nil {
		return key, err
	}
	if r == s.addr {
		return key, ErrUnreachable // there is no loopback
	}
	if _, ok := s.nextHop(r); !ok {
		return key, ErrUnreachable
	}
	key.local.port = local.Port()
	if key.local.port != 0 {
		if s.tcps[key] != nil {
			return key, ErrAddrInUse
		}
		return key, nil
	}
	start := s.randN(numEphemeral)
	for i := uint64(0); i < numEphemeral; i++ {
		key.local.port = uint16(firstEphemeral + (start+i)%numEphemeral)
		if s.tcps[key] == nil && s.listeners[key.local] == nil && s.listeners[endpoint{port: key.local.port}] == nil {
			return key, nil
		}
	}
	return key, ErrAddrInUse
}

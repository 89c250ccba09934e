package device

import (
	"fmt"
	"time"

	"github.com/understudy-net/understudy/air/wifi"
)

// SoftAPProfile says how many stations a Soft-AP admits and what its DHCP server gives them. The zero value is the real
// part: one station, which gets host number 100 of the access point's /24.
type SoftAPProfile struct {
	Stations int           // associated at a time; further ones are refused; 0 means 1
	First    int           // host number of the first address, in the /24 of the access point's own; 0 means 100
	Pool     int           // how many addresses there are; 0 means as many as stations
	Lease    time.Duration // in whole seconds, at least 10; 0 means 1 h
}

func (p SoftAPProfile) withDefaults() SoftAPProfile {
	setDefault(&p.Stations, 1)
	setDefault(&p.First, 100)
	setDefault(&p.Pool, min(p.Stations, 254))
	setDefault(&p.Lease, time.Hour)
	return p
}

func (p SoftAPProfile) check() error {
	switch {
	case p.Stations < 1 || p.Stations > wifi.MaxStations:
		return fmt.Errorf("a Soft-AP with %d stations; want 1 to %d", p.Stations, wifi.MaxStations)
	case p.First < 1 || p.First > 254 || p.Pool < 1 || p.Pool > 254:
		return fmt.Errorf("a Soft-AP with %d addresses from number %d on; want 1 to 254 for both", p.Pool, p.First)
	case p.Lease < 10*time.Second || p.Lease >= 1<<32*time.Second:
		return fmt.Errorf("a Soft-AP with leases of %v; want 10 s to 2^32-1 s", p.Lease)
	}
	return nil
}

package stack

import (
	"net/netip"
	"time"
)

// JoinGroup makes the socket's host a member of a multicast group (RFC 2236), until LeaveGroup or
// Close.
func (u UDP) JoinGroup(now time.Time, group netip.Addr) error {
	k, err := u.sock()
	if err != nil {
		return err
	}
	a, ok := from4(group)
	if !ok || !isMulticast(a) {
		return ErrBadAddress
	}
	for _, g := range k.groups {
		if g == a {
			return ErrAddrInUse
		}
	}
	if err := u.s.joinGroup(now, a); err != nil {
		return err
	}
	k.groups = append(k.groups, a)
	u.s.touch()
	return nil
}

// LeaveGroup undoes JoinGroup.
func (u UDP) LeaveGroup(now time.Time, group netip.Addr) error {
	k, err := u.sock()
	if err != nil {
		return err
	}
	a, _ := from4(group)
	for i, g := range k.groups {
		if g == a {
			k.groups = append(k.groups[:i], k.groups[i+1:]...)
			u.s.leaveGroup(now, a)
			return nil
		}
	}
	return ErrBadAddress
}

package spi

import (
	"strconv"

	"github.com/understudy-net/understudy/bus/reg"
)

// Reason says what was wrong with the answer to an access.
type Reason uint8

// The reasons.
const (
	ReasonWire     Reason = iota + 1 // the wire itself failed, see [BusError.Err]
	ReasonEcho                       // no echo of the command
	ReasonState                      // the device answered with an error, see [BusError.State]
	ReasonToken                      // no data token
	ReasonCRC                        // CRC16 of data does not match
	ReasonResponse                   // a block write was not acknowledged
)

// String prints the reason in words.
func (r Reason) String() string {
	switch r {
	case ReasonWire:
		return "the wire failed"
	case ReasonEcho:
		return "no echo of the command"
	case ReasonState:
		return "error state"
	case ReasonToken:
		return "no data token"
	case ReasonCRC:
		return "wrong CRC16"
	case ReasonResponse:
		return "data not acknowledged"
	}
	return "reason(" + strconv.Itoa(int(r)) + ")"
}

// Op is a kind of access.
type Op uint8

// The kinds.
const (
	OpReadReg Op = iota + 1
	OpWriteReg
	OpReadBlock
	OpWriteBlock
	OpReset
)

// String prints the kind in words.
func (o Op) String() string {
	switch o {
	case OpReadReg:
		return "read register"
	case OpWriteReg:
		return "write register"
	case OpReadBlock:
		return "read block"
	case OpWriteBlock:
		return "write block"
	case OpReset:
		return "reset"
	}
	return "op(" + strconv.Itoa(int(o)) + ")"
}

// BusError is the error of all methods of a [Master]: the access failed, after all attempts or because
// of the wire. What the device made of it is unknown. When it comes back, a hard reset helps.
type BusError struct {
	Op       Op
	Addr     uint32 // of the register, or where the piece of the block began
	Reason   Reason // of the last attempt
	State    State  // for ReasonState
	Attempts int
	Err      error // for ReasonWire: what the wire said
}

// Error says what was tried and what was wrong.
func (e *BusError) Error() string {
	s := "spi: " + e.Op.String()
	if e.Op != OpReset {
		s += " " + reg.String(e.Addr)
	}
	if e.Err != nil {
		return s + ": " + e.Err.Error()
	}
	s += ": " + e.Reason.String()
	if e.Reason == ReasonState {
		s += " (" + e.State.String() + ")"
	}
	if e.Attempts > 1 {
		s += " in " + strconv.Itoa(e.Attempts) + " attempts; check the wiring and reset the chip"
	}
	return s
}

// Unwrap returns the error of the wire, if that was the reason.
func (e *BusError) Unwrap() error { return e.Err }

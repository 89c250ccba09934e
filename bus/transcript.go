package bus

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/bus/spi"
)

// step is one line of a transcript that means something to a player.
type step struct {
	line   int
	text   string
	kind   stepKind
	high   bool       // of a line
	access spi.Access // of stepAccess
}

type stepKind uint8

const (
	stepAccess stepKind = iota
	stepReset
	stepEnable
	stepIRQ
)

// maxLine is the longest line of a transcript in bytes.
const maxLine = 1 << 20

// readTranscript reads what a [Tap] wrote. Empty lines, those that begin with "#", the messages and the bytes of windows
// are skipped: all that matters is in the accesses.
func readTranscript(r io.Reader) ([]step, error) {
	var steps []step
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxLine)
	for n := 1; in.Scan(); n++ {
		text := withoutTime(in.Text())
		if text == "" || strings.ContainsRune("#<>!", rune(text[0])) || strings.HasPrefix(text, "H>") {
			continue
		}
		s, err := parseStep(text)
		if err != nil {
			return nil, fmt.Errorf("bus: transcript line %d: %w: %.80q", n, err, text)
		}
		s.line, s.text = n, text
		steps = append(steps, s)
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("bus: transcript: %w", err)
	}
	return steps, nil
}

// withoutTime cuts off the time before a line.
func withoutTime(s string) string {
	s = strings.TrimSpace(s)
	at, rest, _ := strings.Cut(s, " ")
	if _, err := strconv.ParseFloat(at, 64); err != nil || !strings.Contains(at, ".") {
		return s
	}
	return strings.TrimSpace(rest)
}

var (
	errLine   = errors.New("no line of a transcript")
	errFailed = errors.New("a read that failed cannot be played")
	errBytes  = errors.New("not all bytes of the block were recorded; set TapConfig.Bytes to spi.MaxDecoded")
)

func parseStep(text string) (step, error) {
	f := strings.Fields(text)
	switch {
	case text == "IRQ falls":
		return step{kind: stepIRQ}, nil
	case text == "SPI reset" || strings.HasPrefix(text, "SPI reset "):
		return step{access: spi.Access{Op: spi.OpReset}}, nil
	case len(f) >= 2 && (f[0] == "RESET" || f[0] == "ENABLE") && (f[1] == "low" || f[1] == "high"):
		s := step{kind: stepReset, high: f[1] == "high"}
		if f[0] == "ENABLE" {
			s.kind = stepEnable
		}
		return s, nil
	case len(f) >= 4 && (f[0] == "R" || f[0] == "W"):
		a, err := parseAccess(f)
		if err == nil && f[0] == "R" && strings.Contains(text, "  ! ") {
			err = errFailed
		}
		return step{access: a}, err
	}
	return step{}, errLine
}

// parseAccess reads "R|W ADDR = VALUE" or "R|W ADDR [SIZE] BYTES"; what follows is a remark.
func parseAccess(f []string) (spi.Access, error) {
	addr, ok := reg.Parse(f[1])
	if !ok {
		return spi.Access{}, errLine
	}
	op := [2]spi.Op{spi.OpReadReg, spi.OpReadBlock}
	if f[0] == "W" {
		op = [2]spi.Op{spi.OpWriteReg, spi.OpWriteBlock}
	}
	a := spi.Access{Op: op[0], Addr: addr}
	if f[2] == "=" {
		digits, ok := strings.CutPrefix(f[3], "0x")
		v, err := strconv.ParseUint(digits, 16, 32)
		if !ok || err != nil {
			return a, errLine
		}
		a.Value = uint32(v)
		return a, nil
	}
	size, ok := strings.CutPrefix(f[2], "[")
	n, err := strconv.Atoi(strings.TrimSuffix(size, "]"))
	if !ok || err != nil || n < 0 || n > int(reg.AddrMask) {
		return a, errLine
	}
	a.Op, a.Size = op[1], n
	for _, x := range f[3:] {
		b, err := hex.DecodeString(x)
		if err != nil || len(b) != 1 || len(a.Data) == n {
			break
		}
		a.Data = append(a.Data, b[0])
	}
	if len(a.Data) < n {
		return a, errBytes
	}
	return a, nil
}

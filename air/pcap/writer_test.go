package pcap

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// at is a time whose nanoseconds since 1970 do not fit in 32 bits: 0x1234567890abcdef.
var at = time.Unix(0, 0x1234567890abcdef)

func TestGoldenBytes(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(&file, Options{OS: "os", Application: "app 1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(Packet{At: at, Data: []byte{1, 2, 3, 4, 5}, Direction: Outbound, Comment: "hi"}); err != nil {
		t.Fatal(err)
	}
	if err := w.WritePacket(at, 0, []byte{9, 9, 9, 9}, ""); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteStatistics(at, 0, Statistics{Received: 2, Dropped: 0x0102}); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		// Section header: byte order, version 1.0, length not known, OS, application, end.
		"0a0d0d0a", "34000000", "4d3c2b1a", "01000000", "ffffffffffffffff",
		"03000200" + "6f730000", "04000500" + "6170702031000000", "00000000", "34000000",
		// Interface: Ethernet, 65535, name "air", if_tsresol 9, end.
		"01000000", "28000000", "01000000", "ffff0000", "02000300" + "61697200", "09000100" + "09000000", "00000000", "28000000",
		// Packet: interface 0, time, 5 of 5 bytes, comment, flags, end.
		"06000000", "3c000000", "00000000", "78563412" + "efcdab90", "05000000" + "05000000", "0102030405000000",
		"01000200" + "68690000", "02000400" + "02000000", "00000000", "3c000000",
		// Packet without options.
		"06000000", "24000000", "00000000", "78563412" + "efcdab90", "04000000" + "04000000", "09090909", "24000000",
		// Statistics.
		"05000000", "34000000", "00000000", "78563412" + "efcdab90", "04000800" + "0200000000000000",
		"05000800" + "0201000000000000", "00000000", "34000000",
	}, "")
	if got := hex.EncodeToString(file.Bytes()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	checkBlocks(t, file.Bytes())
}

// checkBlocks walks through the blocks by their lengths and returns how many of each type there are.
func checkBlocks(t testing.TB, b []byte) map[uint32]int {
	t.Helper()
	n := map[uint32]int{}
	for len(b) > 0 {
		if len(b) < 12 {
			t.Fatalf("%d bytes at the end", len(b))
		}
		size := binary.LittleEndian.Uint32(b[4:])
		if size < 12 || size%4 != 0 || int(size) > len(b) || binary.LittleEndian.Uint32(b[size-4:]) != size {
			t.Fatalf("block of type %d says %d bytes, %d are left", b[0], size, len(b))
		}
		n[binary.LittleEndian.Uint32(b)]++
		b = b[size:]
	}
	return n
}

func TestBlocksOfEverySizeAreWhole(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(&file, Options{Interfaces: []Interface{{Name: "a", SnapLen: 100}, {Name: "bb"}}})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 300 {
		if err := w.Write(Packet{At: at, Interface: n % 2, Data: make([]byte, n), Comment: strings.Repeat("é", n*3)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.WritePacket(at, 1, make([]byte, 100_000), ""); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if n := checkBlocks(t, file.Bytes()); n[blockPacket] != 301 || n[blockDescription] != 2 || n[blockSection] != 1 {
		t.Errorf("blocks: %v", n)
	}
}

func TestCutTextStaysText(t *testing.T) {
	for n := range 3 {
		s := cut(strings.Repeat("x", n)+strings.Repeat("é", 1000), maxOption)
		if len(s) > maxOption || len(s) < maxOption-1 || !utf8.ValidString(s) {
			t.Errorf("%d bytes, valid %v", len(s), utf8.ValidString(s))
		}
	}
	if s := cut("short", maxOption); s != "short" {
		t.Error(s)
	}
}

func TestUnknownInterface(t *testing.T) {
	w, err := NewWriter(new(bytes.Buffer), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{-1, 1} {
		if err := w.WritePacket(at, i, nil, ""); !errors.Is(err, ErrInterface) {
			t.Errorf("interface %d: %v", i, err)
		}
		if err := w.WriteStatistics(at, i, Statistics{}); !errors.Is(err, ErrInterface) {
			t.Errorf("interface %d: %v", i, err)
		}
	}
	if i, err := w.AddInterface(Interface{Name: "second"}); i != 1 || err != nil {
		t.Errorf("AddInterface: %d, %v", i, err)
	}
	if err := w.WritePacket(at, 1, nil, ""); err != nil {
		t.Error(err)
	}
}

type failing struct{ ok, writes int }

var errDisk = errors.New("disk full")

func (f *failing) Write(b []byte) (int, error) {
	if f.writes++; f.writes > f.ok {
		return 0, errDisk
	}
	return len(b), nil
}

func TestAFailedWriteIsReportedOnceAndEndsTheCapture(t *testing.T) {
	if _, err := NewWriter(&failing{}, Options{}); !errors.Is(err, errDisk) {
		t.Errorf("at the start: %v", err)
	}
	dst := &failing{ok: 1}
	w, err := NewWriter(dst, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var failures, stopped int
	for range 1000 {
		switch err := w.WritePacket(at, 0, make([]byte, 1500), ""); {
		case errors.Is(err, errDisk):
			failures++
		case errors.Is(err, ErrStopped):
			stopped++
		}
	}
	if failures != 1 || stopped < 900 || dst.writes != 2 {
		t.Errorf("%d failures, %d refusals, %d writes", failures, stopped, dst.writes)
	}
	_, err = w.AddInterface(Interface{})
	for _, err := range []error{err, w.Flush(), w.WriteStatistics(at, 0, Statistics{})} {
		if !errors.Is(err, ErrStopped) {
			t.Errorf("afterwards: %v", err)
		}
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func TestPacketsCostNoAllocation(t *testing.T) {
	w, err := NewWriter(discard{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 1514)
	write := func() {
		if err := w.Write(Packet{At: at, Data: frame, Direction: Inbound, Comment: "a comment"}); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		write()
	}
	if n := testing.AllocsPerRun(1000, write); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestTsharkReadsIt needs tshark; see the Makefile for the rule about peers.
func TestTsharkReadsIt(t *testing.T) {
	path, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("UNDERSTUDY_PEERS") == "require" {
			t.Fatal("tshark is not installed (package tshark) and UNDERSTUDY_PEERS=require")
		}
		t.Skip("tshark is not installed: package tshark has it")
	}
	name := filepath.Join(t.TempDir(), "a.pcapng")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := NewWriter(f, Options{Hardware: "none", OS: "test", Application: "understudy",
		Interfaces: []Interface{{Name: "air0"}, {Name: "air1", Description: "the other", SnapLen: 20}}})
	if err != nil {
		t.Fatal(err)
	}
	frame := append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5}, make([]byte, 50)...)
	start := time.Unix(1_600_000_000, 123456789)
	for _, p := range []Packet{
		{At: start, Data: frame, Direction: Inbound, Comment: "first comment"},
		{At: start.Add(time.Nanosecond), Interface: 1, Data: frame, Direction: Outbound},
	} {
		if err := w.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.WriteStatistics(start, 0, Statistics{Received: 1}); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, "-n", "-r", name, "-T", "fields", "-E", "separator=|", "-e", "frame.interface_name",
		"-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.cap_len", "-e", "frame.packet_flags_direction", "-e", "frame.comment").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := "air0|1600000000.123456789|64|64|0x00000001|first comment\nair1|1600000000.123456790|64|20|0x00000002|\n"
	if string(out) != want {
		t.Errorf("tshark reads\n%swant\n%s", out, want)
	}
}

// FuzzWrite shows that whatever is written is a sequence of whole blocks.
func FuzzWrite(f *testing.F) {
	f.Add([]byte("frame"), "comment", "name", 3, uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, comment, name string, snap int, dir uint8) {
		var file bytes.Buffer
		w, err := NewWriter(&file, Options{Hardware: name, Interfaces: []Interface{{Name: name, Description: comment, SnapLen: snap}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(Packet{At: at, Data: data, Comment: comment, Direction: Direction(dir), Length: snap}); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if n := checkBlocks(t, file.Bytes()); len(n) != 3 {
			t.Fatalf("blocks %v", n)
		}
	})
}

func ExampleWriter() {
	var file bytes.Buffer // or an *os.File
	w, err := NewWriter(&file, Options{Application: "example"})
	if err != nil {
		fmt.Println(err)
		return
	}
	frame := []byte("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x88\xb5hello")
	if err := w.WritePacket(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), 0, frame, "the first"); err != nil {
		fmt.Println(err)
		return
	}
	if err := w.Flush(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(file.Len(), "bytes")
	// Output: 156 bytes
}

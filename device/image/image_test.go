package image

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"testing"
)

const v1981 Version = 0x1381

func build(t testing.TB, s Spec) []byte {
	t.Helper()
	if s.Version == 0 {
		s.Version = v1981
	}
	b, err := Build(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// key is a pair that everybody can make.
func key() (ed25519.PublicKey, ed25519.PrivateKey) {
	k := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	return k.Public().(ed25519.PublicKey), k
}

// Golden bytes: header (spec hif-messages 4.4), head, version block (host-bus 4.5). The digest is that of sha256sum.
func TestFileBytes(t *testing.T) {
	b := build(t, Spec{Chip: 0x1003a0, Date: "Nov 25 2026", Time: "12:34:56", Body: []byte("body")})
	want := "f9debc1a" + "6c000000" + // magic, size 108
		"4e4d4953" + "55535444" + "44000000" + "7a0e18a0" + // NMIS USTD, size 68, CRC
		"a0031000" + "130801" + "130300" + // chip, 19.8.1, least 19.3.0
		hex.EncodeToString([]byte("Nov 25 2026\x0012:34:56\x00")) + "00" + "0000" + "0000" + "00000000" +
		"00000000" + "00000000" + // not signed
		hex.EncodeToString([]byte("body"))
	if got := hex.EncodeToString(b[DigestLen:]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if sum := sha256.Sum256(b[DigestLen:]); !bytes.Equal(b[:DigestLen], sum[:]) {
		t.Errorf("digest %x", b[:DigestLen])
	}
	f, err := Parse(b)
	if err != nil || f.Foreign || f.Size != 108 || f.Head.Version() != v1981 || f.Head.MinDriver() != 0x1330 ||
		f.Head.Chip() != 0x1003a0 || f.Head.Key != nil || f.Head.Len() != HeadLen {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestImagesAreReproducible(t *testing.T) {
	_, private := key()
	for _, s := range []Spec{{Size: 1000}, {Size: SlotSize}, {Size: 1001, Key: private}, {Body: []byte("x"), Size: 1002}} {
		a, b := build(t, s), build(t, s)
		if !bytes.Equal(a, b) || s.Size != len(a) {
			t.Errorf("%+v: two builds of %d and %d bytes differ", s, len(a), len(b))
		}
		if err := Verify(a, SlotSize); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
		s.Version = 0x1382
		if other := build(t, s); bytes.Equal(a[200:], other[200:]) {
			t.Errorf("%+v: another version has the same filling", s)
		}
	}
	a := sha256.Sum256(build(t, Spec{Size: SlotSize, Chip: 0x1003a0}))
	const want = "cfc72e40910c85a0" // of all builds ever: a change of the format must be deliberate
	if got := hex.EncodeToString(a[:8]); got != want {
		t.Errorf("a full image has digest %s, had %s", got, want)
	}
}

func TestBuildRefuses(t *testing.T) {
	for name, s := range map[string]Spec{
		"no version":      {},
		"size beyond":     {Version: v1981, Size: SlotSize + 1},
		"body beyond":     {Version: v1981, Body: make([]byte, SlotSize-HeadLen-FileHeadLen+1)},
		"size below body": {Version: v1981, Size: 110, Body: make([]byte, 7)},
		"negative":        {Version: v1981, Size: -1},
		"long date":       {Version: v1981, Date: "25 November 2026"},
		"long time":       {Version: v1981, Time: "12:00:00.0"},
		"short key":       {Version: v1981, Key: make([]byte, 32)},
	} {
		if b, err := Build(s); err == nil {
			t.Errorf("%s: %d bytes were built", name, len(b))
		}
	}
	if _, err := Make([BlockLen]byte{}, make([]byte, SlotSize), nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too long for the slot: %v", err)
	}
}

func TestVersions(t *testing.T) {
	for s, want := range map[string]Version{
		"19.8.1": v1981, "0.0.0": 0, "255.15.15": 0xffff, "19.7": 0, "19.7.7.7": 0, "19.16.0": 0, "-1.0.0": 0, "": 0, "a.b.c": 0, "256.0.0": 0, "1. 2.3": 0,
	} {
		v, err := ParseVersion(s)
		if v != want || (err == nil) != (want != 0 || s == "0.0.0") {
			t.Errorf("%q: %v, %v", s, v, err)
		}
		if err == nil && v.String() != s {
			t.Errorf("%q prints as %v", s, v)
		}
	}
}

// broken is what a server may give out, and what is wrong with it.
func broken(t testing.TB) map[string]struct {
	b    []byte
	want error
} {
	good := build(t, Spec{Chip: 0x1003a0, Body: []byte("body"), Size: 500})
	change := func(do func(b []byte) []byte) []byte { return do(bytes.Clone(good)) }
	resum := func(b []byte) []byte {
		s := sha256.Sum256(b[DigestLen:])
		copy(b, s[:])
		return b
	}
	inner := func(at int, v byte) []byte { // a wrong image, rightly wrapped
		p := bytes.Clone(good[FileHeadLen:])
		p[at] = v
		return Wrap(p)
	}
	size := func(n uint32) []byte {
		return change(func(b []byte) []byte { le.PutUint32(b[36:], n); return resum(b) })
	}
	return map[string]struct {
		b    []byte
		want error
	}{
		"good":               {good, nil},
		"foreign":            {Wrap([]byte("somebody else's")), nil},
		"empty":              {nil, ErrShort},
		"39 bytes":           {good[:39], ErrShort},
		"header only":        {good[:40], ErrShort},
		"one short":          {good[:499], ErrShort},
		"one long":           {append(bytes.Clone(good), 0), ErrLong},
		"twice":              {append(bytes.Clone(good), good...), ErrLong},
		"magic":              {change(func(b []byte) []byte { b[32] ^= 1; return resum(b) }), ErrMagic},
		"an error page":      {[]byte("<!doctype html><title>404</title><h1>Not Found</h1>"), ErrMagic},
		"digest":             {change(func(b []byte) []byte { b[0] ^= 1; return b }), ErrDigest},
		"first payload bit":  {change(func(b []byte) []byte { b[40] ^= 1; return b }), ErrDigest},
		"last bit":           {change(func(b []byte) []byte { b[499] ^= 0x80; return b }), ErrDigest},
		"version bit":        {change(func(b []byte) []byte { b[60] ^= 1; return b }), ErrDigest},
		"size 0":             {size(0), ErrImage},
		"size 40":            {size(40), ErrImage},
		"size of payload":    {size(460), ErrLong},
		"size one more":      {size(501), ErrShort},
		"size beyond":        {size(SlotSize + 1), ErrTooLarge},
		"size huge":          {size(1<<32 - 1), ErrTooLarge},
		"payload erased":     {Wrap(bytes.Repeat([]byte{0xff}, 100)), ErrImage},
		"payload of 1 byte":  {Wrap([]byte{1}), ErrImage},
		"head cut off":       {Wrap(good[40:100]), ErrImage},
		"image cut off":      {Wrap(good[40:400]), ErrImage},
		"image and more":     {Wrap(append(bytes.Clone(good[40:]), 0)), ErrImage},
		"CRC inside":         {inner(12, 0), ErrImage},
		"bit inside":         {inner(300, 0), ErrImage},
		"flags inside":       {inner(56, 2), ErrImage},
		"signed, it says":    {inner(56, 1), ErrImage},
		"size inside":        {inner(8, 0), ErrImage},
		"first mark missing": {inner(0, 0), nil}, // foreign then
		"other mark":         {inner(4, 0), nil},
	}
}

// Every broken file, in one piece, byte by byte, and in two pieces cut at each place.
func TestBrokenFiles(t *testing.T) {
	for name, tc := range broken(t) {
		if err := Verify(tc.b, SlotSize); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
		for cut := 0; cut <= len(tc.b); cut++ {
			if err := feed(NewChecker(SlotSize), tc.b[:cut], tc.b[cut:]); !errors.Is(err, tc.want) {
				t.Errorf("%s cut at %d: %v, want %v", name, cut, err, tc.want)
			}
		}
	}
}

// feed gives the pieces to c, past errors too, and returns what Close says.
func feed(c *Checker, pieces ...[]byte) error {
	for _, p := range pieces {
		c.Write(p)
	}
	return c.Close()
}

// What the checker hands out is the payload, however it was cut, and its counters say so.
func TestCheckerHandsOutThePayload(t *testing.T) {
	_, private := key()
	file := build(t, Spec{Size: 5000, Key: private, Chip: 5})
	for _, step := range []int{1, 7, 39, 40, 41, 159, 200, 201, 4999, 5000} {
		c := NewChecker(SlotSize)
		var slot []byte
		for at := 0; at < len(file); at += step {
			if (c.Expected() != 0) != (at >= FileHeadLen) || (c.Head() != nil) != (at >= FileHeadLen+SignedHeadLen) {
				t.Fatalf("step %d, at %d: expects %d, head %v", step, at, c.Expected(), c.Head())
			}
			p, err := c.Write(file[at:min(at+step, len(file))])
			if err != nil {
				t.Fatal(err)
			}
			slot = append(slot, p...)
			if c.Stored() != int64(len(slot)) {
				t.Fatalf("step %d: %d of %d stored", step, c.Stored(), len(slot))
			}
		}
		if err := c.Close(); err != nil || !bytes.Equal(slot, file[FileHeadLen:]) || c.Expected() != 5000 {
			t.Errorf("step %d: %d bytes, %v", step, len(slot), err)
		}
		if c.Sum() != crc32.ChecksumIEEE(slot) || c.Head().Version() != v1981 {
			t.Errorf("step %d: sum %#x, %v", step, c.Sum(), c.Head())
		}
	}
}

// Errors come at the byte that makes them certain, not at the end, and stay.
func TestCheckerFailsEarly(t *testing.T) {
	all := broken(t)
	for name, at := range map[string]int{"an error page": 40, "magic": 40, "size huge": 40, "size 0": 40, "one long": 501} {
		c := NewChecker(SlotSize)
		for i, v := range all[name].b {
			_, err := c.Write([]byte{v})
			if (err != nil) != (i+1 >= at) {
				t.Fatalf("%s: byte %d: %v", name, i+1, err)
			}
		}
		if err := c.Close(); !errors.Is(err, all[name].want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Of what is too long, the good part is handed out.
	b := all["one long"].b
	if p, err := NewChecker(SlotSize).Write(b); !errors.Is(err, ErrLong) || !bytes.Equal(p, b[40:500]) {
		t.Errorf("%d bytes, %v", len(p), err)
	}
	// The slot of the checker counts.
	if err := Verify(all["good"].b, 499); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a slot of 499 bytes: %v", err)
	}
	if err := Verify(all["good"].b, 500); err != nil {
		t.Errorf("a slot of 500 bytes: %v", err)
	}
}

func TestCheckerWantsTheChip(t *testing.T) {
	for _, tc := range []struct {
		want, is uint32
		err      error
	}{{0x1003a0, 0x1003a0, nil}, {0x1003a0, 0x1002b0, ErrChip}, {0x1003a0, 0, nil}, {0, 0x1002b0, nil}} {
		c := NewChecker(SlotSize)
		c.Chip = tc.want
		if err := feed(c, build(t, Spec{Chip: tc.is, Size: 600})); !errors.Is(err, tc.err) {
			t.Errorf("%#x wanted, %#x comes: %v", tc.want, tc.is, err)
		}
	}
	c := NewChecker(SlotSize)
	c.Chip = 5
	if err := feed(c, Wrap([]byte("foreign: says no chip"))); err != nil {
		t.Error(err)
	}
}

func TestSignatures(t *testing.T) {
	public, private := key()
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
	signed := build(t, Spec{Size: 1000, Key: private})
	check := func(name string, b []byte, want error) {
		t.Helper()
		for _, cut := range []int{0, 40, 100, 200, 201, len(b) - 1} {
			c := NewChecker(SlotSize)
			c.Key = public
			if err := feed(c, b[:min(cut, len(b))], b[min(cut, len(b)):]); !errors.Is(err, want) {
				t.Errorf("%s, cut at %d: %v, want %v", name, cut, err, want)
			}
		}
	}
	// forge changes a byte of the image and puts all but the signature right.
	forge := func(at int) []byte {
		p := bytes.Clone(signed[FileHeadLen:])
		p[at] ^= 1
		le.PutUint32(p[crcAt:], crc32.ChecksumIEEE(p[crcFrom:]))
		return Wrap(p)
	}
	check("good", signed, nil)
	check("shortest", build(t, Spec{Key: private}), nil)
	check("unsigned", build(t, Spec{Size: 1000}), ErrSignature)
	check("unsigned and short", build(t, Spec{}), ErrSignature)
	check("foreign", Wrap(make([]byte, 500)), ErrSignature)
	check("foreign and short", Wrap([]byte("foreigner")), ErrSignature)
	check("signed by another", build(t, Spec{Size: 1000, Key: other}), ErrSignature)
	for _, at := range []int{20, 30, 61, sigAt, SignedHeadLen - 1, SignedHeadLen, 959} {
		check("forged", forge(at), ErrSignature)
		if err := Verify(forge(at), SlotSize); err != nil {
			t.Errorf("forged at %d, nobody asks for a signature: %v", at, err)
		}
	}
	f, err := Parse(signed)
	if err != nil || !f.Head.Key.Equal(public) || f.Head.Len() != SignedHeadLen {
		t.Errorf("%+v, %v", f.Head, err)
	}
}

// Check is what boot ROMs do with a slot, in which more follows.
func TestCheckOfASlot(t *testing.T) {
	_, private := key()
	for _, s := range []Spec{{}, {Size: 70_000}, {Key: private}, {Key: private, Size: 3000}, {Size: SlotSize}} {
		p := build(t, s)[FileHeadLen:]
		slot := append(bytes.Clone(p), bytes.Repeat([]byte{0xff}, SlotSize-len(p))...)
		if h, err := Check(bytes.NewReader(slot), SlotSize); err != nil || int(h.Size) != len(p) || h.Version() != v1981 {
			t.Errorf("%+v: %+v, %v", s, h, err)
		}
		for _, at := range []int{8, 12, 16, 59, len(p) / 2, len(p) - 1} {
			slot[at] ^= 4
			if _, err := Check(bytes.NewReader(slot), SlotSize); !errors.Is(err, ErrImage) {
				t.Errorf("%+v: changed at %d: %v", s, at, err)
			}
			slot[at] ^= 4
		}
		for _, n := range []int{len(p) - 1, 70, 64, 63, 8, 7, 0} {
			if n >= len(p) {
				continue
			}
			if _, err := Check(bytes.NewReader(slot[:n]), SlotSize); !errors.Is(err, ErrImage) {
				t.Errorf("%+v: cut at %d: %v", s, n, err)
			}
			if _, err := Check(bytes.NewReader(slot), int64(n)); !errors.Is(err, ErrImage) {
				t.Errorf("%+v: slot of %d: %v", s, n, err)
			}
		}
	}
	if _, err := Check(bytes.NewReader([]byte("NMIS, but not ours")), SlotSize); !errors.Is(err, ErrForeign) {
		t.Errorf("foreign: %v", err)
	}
}

func TestBrokenHeads(t *testing.T) {
	p := build(t, Spec{Size: 500})[FileHeadLen:]
	set := func(at int, v ...byte) []byte {
		b := bytes.Clone(p)
		copy(b[at:], v)
		return b
	}
	for name, tc := range map[string]struct {
		b    []byte
		want error
	}{
		"empty":       {nil, ErrImage},
		"short":       {p[:63], ErrImage},
		"erased":      {bytes.Repeat([]byte{0xff}, 100), ErrImage},
		"foreign":     {set(0, 'X'), ErrForeign},
		"size 63":     {set(8, 63, 0, 0, 0), ErrImage},
		"size huge":   {set(8, 0, 0, 0, 1), ErrImage},
		"size signed": {set(8, 100, 0, 0, 0), nil},
		"signed, 100": {set(8, append([]byte{100, 0, 0, 0}, set(56, 1)[12:60]...)...), ErrImage},
		"signed, cut": {set(56, 1)[:159], ErrImage},
		"flags":       {set(59, 1), ErrImage},
	} {
		if h, err := ParseHead(tc.b); !errors.Is(err, tc.want) {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
	for name, tc := range map[string]struct {
		b    []byte
		want error
	}{
		"short": {make([]byte, 39), ErrShort}, "magic": {make([]byte, 40), ErrMagic}, "no payload": {Wrap(nil), ErrImage},
	} {
		if _, err := Parse(tc.b); !errors.Is(err, tc.want) {
			t.Errorf("file, %s: %v", name, err)
		}
	}
}

// A piece of a large file costs no memory.
func TestCheckerDoesNotAllocate(t *testing.T) {
	file := build(t, Spec{Size: SlotSize})
	c := NewChecker(SlotSize)
	c.Write(file[:1000])
	at := 1000
	if n := testing.AllocsPerRun(100, func() {
		if _, err := c.Write(file[at : at+1400]); err != nil {
			t.Fatal(err)
		}
		at += 1400
	}); n != 0 {
		t.Errorf("%v allocations a piece", n)
	}
}

// However it is cut, a file is good or bad for the same reason, and what a whole check takes for good, its parts agree on.
func FuzzChecker(f *testing.F) {
	for _, tc := range broken(f) {
		f.Add(tc.b, uint16(17), uint16(300))
	}
	_, private := key()
	f.Add(build(f, Spec{Key: private, Size: 800}), uint16(50), uint16(60))
	f.Fuzz(func(t *testing.T, b []byte, i, j uint16) {
		const slot = 4096
		x, y := min(int(i), len(b)), min(int(i)+int(j), len(b))
		c := NewChecker(slot)
		var stored []byte
		for _, p := range [][]byte{b[:x], b[x:y], b[y:]} {
			out, _ := c.Write(p)
			stored = append(stored, out...)
		}
		err := c.Close()
		whole := Verify(b, slot)
		if (err == nil) != (whole == nil) || err != nil && errors.Unwrap(err) != errors.Unwrap(whole) {
			t.Fatalf("in pieces %v, whole %v", err, whole)
		}
		if len(stored) > slot || int64(len(stored)) > c.Stored() {
			t.Fatalf("%d bytes stored", len(stored))
		}
		if err != nil {
			return
		}
		file, err := Parse(b)
		if err != nil || !bytes.Equal(file.Payload, stored) || !bytes.Equal(Wrap(stored), b) {
			t.Fatalf("good, but: %+v, %v", file, err)
		}
		// A boot ROM starts what was taken for good.
		if _, err := Check(bytes.NewReader(stored), slot); err != nil && !errors.Is(err, ErrForeign) {
			t.Fatal(err)
		}
	})
}

func FuzzHead(f *testing.F) {
	_, private := key()
	f.Add(build(f, Spec{})[FileHeadLen:])
	f.Add(build(f, Spec{Key: private, Size: 300})[FileHeadLen:])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHead(b)
		if err != nil {
			return
		}
		if h.Size > SlotSize || int(h.Size) < h.Len() || (h.Key != nil) != (len(h.Signature) == ed25519.SignatureSize) {
			t.Errorf("%+v", h)
		}
		Check(bytes.NewReader(b), SlotSize)
	})
}

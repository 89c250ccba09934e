package flash

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

func TestSizes(t *testing.T) {
	for _, n := range []int{Size2M, Size4M, Size8M} {
		f, err := New(n)
		if err != nil || f.Size() != n {
			t.Errorf("%d: %v", n, err)
		}
	}
	for _, n := range []int{0, -1, 4096, Size4M + 1, 2 * Size8M} {
		if _, err := New(n); !errors.Is(err, ErrSize) {
			t.Errorf("New(%d): %v", n, err)
		}
		if _, err := NewBase(make([]byte, max(n, 0))); !errors.Is(err, ErrSize) {
			t.Errorf("NewBase(%d): %v", n, err)
		}
		if _, err := Open(Memory(nil), int64(n)); !errors.Is(err, ErrSize) {
			t.Errorf("Open(%d): %v", n, err)
		}
	}
}

func TestProgramOnlyClearsBits(t *testing.T) {
	f, _ := New(Size4M)
	f.Program(0, []byte{0xf0, 0x0f, 0xff})
	f.Program(0, []byte{0x3c, 0xff, 0x00})
	if got := readAll(t, f, 0, 4); !bytes.Equal(got, []byte{0x30, 0x0f, 0x00, 0xff}) {
		t.Errorf("got % x", got)
	}
	f.Erase(17)
	if got := readAll(t, f, 0, 4); !bytes.Equal(got, []byte{0xff, 0xff, 0xff, 0xff}) {
		t.Errorf("after erase % x", got)
	}
}

func TestProgramWrapsInsideThePage(t *testing.T) {
	f, _ := New(Size4M)
	f.Program(0x1fe, []byte{1, 2, 3, 4})
	if got := readAll(t, f, 0x1fe, 4); !bytes.Equal(got, []byte{1, 2, 0xff, 0xff}) {
		t.Errorf("end of the page % x", got)
	}
	if got := readAll(t, f, 0x100, 2); !bytes.Equal(got, []byte{3, 4}) {
		t.Errorf("beginning of the page % x", got)
	}
	// More than a page: what comes later replaces what came before it in the page buffer.
	long := bytes.Repeat([]byte{0}, PageSize)
	long = append(long, 0xaa, 0xbb)
	f.Program(0x300, long)
	if got := readAll(t, f, 0x300, 3); !bytes.Equal(got, []byte{0xaa, 0xbb, 0}) {
		t.Errorf("a long program gives % x", got)
	}
}

func TestEraseTakesTheWholeSectorAndNoMore(t *testing.T) {
	f, _ := New(Size4M)
	f.WriteAt(make([]byte, 3*SectorSize), SectorSize)
	f.Erase(2*SectorSize + 10)
	want := append(make([]byte, SectorSize), bytes.Repeat([]byte{0xff}, SectorSize)...)
	want = append(want, make([]byte, SectorSize)...)
	if !bytes.Equal(readAll(t, f, SectorSize, 3*SectorSize), want) {
		t.Error("not exactly the sector was erased")
	}
}

func TestRanges(t *testing.T) {
	f, _ := New(Size4M)
	if _, err := f.WriteAt([]byte{0, 0}, Size4M-1); !errors.Is(err, ErrRange) {
		t.Errorf("write over the end: %v", err)
	}
	if n, err := f.ReadAt(make([]byte, 4), Size4M-1); n != 1 || err != io.EOF {
		t.Errorf("read over the end: %d, %v", n, err)
	}
	if _, err := f.ReadAt(make([]byte, 4), Size4M); err != io.EOF {
		t.Errorf("read at the end: %v", err)
	}
	if _, err := f.ReadAt(make([]byte, 4), -1); !errors.Is(err, ErrRange) {
		t.Errorf("read before the beginning: %v", err)
	}
	if err := f.Program(Size4M, []byte{0}); !errors.Is(err, ErrRange) {
		t.Errorf("program: %v", err)
	}
	if err := f.Erase(-1); !errors.Is(err, ErrRange) {
		t.Errorf("erase: %v", err)
	}
}

// The three media and a plain array with the same rules, side by side.
func TestMediaAgree(t *testing.T) {
	const seed = 7
	r := rand.New(rand.NewPCG(seed, 1))
	model := bytes.Repeat([]byte{0xff}, Size2M)
	for i := range 3 * SectorSize {
		model[i] = byte(r.Uint32())
	}
	base, err := NewBase(model)
	if err != nil {
		t.Fatal(err)
	}
	onBase := base.New()
	other := base.New()
	onStorage, err := Open(Memory(bytes.Clone(model)), Size2M)
	if err != nil {
		t.Fatal(err)
	}
	original := bytes.Clone(model)
	for i := range 3000 {
		off := r.IntN(5 * SectorSize)
		if r.IntN(10) == 0 {
			s := off &^ (SectorSize - 1)
			copy(model[s:], blank[:])
			onBase.Erase(off)
			onStorage.Erase(off)
			continue
		}
		p := make([]byte, r.IntN(700))
		for i := range p {
			p[i] = byte(r.Uint32()) | 0x80
		}
		onBase.WriteAt(p, int64(off))
		onStorage.WriteAt(p, int64(off))
		for j, v := range p {
			model[off+j] &= v
		}
		if i%100 == 0 && (!bytes.Equal(readAll(t, onBase, 0, Size2M), model) || !bytes.Equal(readAll(t, onStorage, 0, Size2M), model)) {
			t.Fatalf("seed %d: chips differ after step %d", seed, i)
		}
	}
	if !bytes.Equal(readAll(t, onBase, 0, Size2M), model) || !bytes.Equal(readAll(t, onStorage, 0, Size2M), model) {
		t.Fatalf("seed %d: chips differ", seed)
	}
	if !bytes.Equal(readAll(t, other, 0, Size2M), original) {
		t.Error("a chip on the same base has changed")
	}
}

func TestMemoryCostsWhatWasWritten(t *testing.T) {
	base, err := Format{Size: Size8M}.Base()
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(10, func() { base.New() }); n > 2 {
		t.Errorf("a chip on a base costs %v allocations", n)
	}
	f := base.New()
	m := f.medium.(*memory)
	for off := 0; off < Size8M; off += SectorSize {
		f.Erase(off)
	}
	if n := m.owned(); n != 0 {
		t.Errorf("%d erased sectors cost memory", n)
	}
	f.WriteAt(bytes.Repeat([]byte{0xff}, 3*SectorSize), 0) // changes nothing
	if n := m.owned(); n != 0 {
		t.Errorf("%d sectors for ones over ones", n)
	}
	f.WriteAt([]byte{0}, 5)
	if n := m.owned(); n != 1 {
		t.Errorf("%d sectors for one byte", n)
	}
}

func TestErrorsOfTheStorageAreKept(t *testing.T) {
	cut := &PowerCut{Storage: Memory(bytes.Repeat([]byte{0xff}, Size2M)), Writes: 1}
	f, err := Open(cut, Size2M)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Program(0, []byte{1}); err != nil || f.Err() != nil {
		t.Fatal(err, f.Err())
	}
	if err := f.Erase(0); !errors.Is(err, ErrPowerCut) {
		t.Errorf("erase: %v", err)
	}
	if _, err := f.ReadAt(make([]byte, 1), 0); !errors.Is(err, ErrPowerCut) {
		t.Errorf("read: %v", err)
	}
	if !errors.Is(f.Err(), ErrPowerCut) || f.Stats().Failed != 2 {
		t.Errorf("%v, %+v", f.Err(), f.Stats())
	}
}

func readAll(t testing.TB, r io.ReaderAt, off int64, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := r.ReadAt(b, off); err != nil {
		t.Fatal(err)
	}
	return b
}

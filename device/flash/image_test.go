package flash

import (
	"bytes"
	"errors"
	"testing"

	"github.com/understudy-net/understudy/device/image"
)

func TestImage(t *testing.T) {
	body := bytes.Repeat([]byte("firmware"), 999)
	b, err := MakeImage(fresh.Block, body)
	if err != nil {
		t.Fatal(err)
	}
	m, err := image.ParseHead(b)
	if err != nil || m.Block != fresh.Block || int(m.Size) != len(b) {
		t.Fatalf("%+v, %v", m, err)
	}
	if _, err := MakeImage(fresh.Block, make([]byte, SlotSize)); !errors.Is(err, ErrFull) {
		t.Errorf("too long: %v", err)
	}
	f := chip(t, fresh)
	p, _ := f.Region(Firmware2)
	p.WriteAt(b, 0)
	if m, err := CheckImage(p); err != nil || int(m.Size) != len(b) {
		t.Errorf("%+v, %v", m, err)
	}
	p.WriteAt([]byte{0}, int64(len(b)-1))
	if _, err := CheckImage(p); !errors.Is(err, ErrNoImage) {
		t.Errorf("damaged at the end: %v", err)
	}
}

func TestBoot(t *testing.T) {
	second, _ := MakeImage([BlockLen]byte{4: 19, 5: 8, 6: 1}, []byte("new"))
	foreign := append([]byte("NMIS"), bytes.Repeat([]byte{7}, 500)...)
	type want struct {
		running, other uint32
		foreign        bool
		err            error
	}
	for _, tc := range []struct {
		name  string
		setup func(f *Flash, one, two Part, c *Control)
		want  want
	}{
		{"fresh", func(*Flash, Part, Part, *Control) {}, want{running: 0xa000}},
		{"second marked valid", func(f *Flash, one, two Part, c *Control) {
			two.WriteAt(second, 0)
			c.Rollback.Mark = Valid
		}, want{running: 0xa000, other: 0x45000}},
		{"second there but not valid", func(f *Flash, one, two Part, c *Control) { two.WriteAt(second, 0) }, want{running: 0xa000}},
		{"marked valid but erased", func(f *Flash, one, two Part, c *Control) { c.Rollback.Mark = Valid }, want{running: 0xa000}},
		{"switched", func(f *Flash, one, two Part, c *Control) {
			two.WriteAt(second, 0)
			*c = c.Switched()
		}, want{running: 0x45000, other: 0xa000}},
		{"switched to nothing: the other one runs", func(f *Flash, one, two Part, c *Control) { *c = c.Switched() }, want{running: 0xa000}},
		{"none", func(f *Flash, one, two Part, c *Control) { one.Erase(0, 1) }, want{err: ErrNoImage}},
		{"foreign", func(f *Flash, one, two Part, c *Control) {
			two.WriteAt(foreign, 0)
			*c = c.Switched()
		}, want{running: 0x45000, other: 0xa000, foreign: true}},
		{"both name one slot", func(f *Flash, one, two Part, c *Control) {
			c.Rollback = c.Working
			c.Rollback.Mark = Valid
		}, want{running: 0xa000}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := chip(t, fresh)
			one, _ := f.Region(Firmware1)
			two, _ := f.Region(Firmware2)
			c, _ := f.Control()
			tc.setup(f, one, two, &c)
			if _, err := f.SetControl(c); err != nil {
				t.Fatal(err)
			}
			b, err := f.Boot()
			if tc.want.err != nil {
				if !errors.Is(err, tc.want.err) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || b.Running.Offset != tc.want.running || b.Other.Offset != tc.want.other || b.Running.Foreign != tc.want.foreign {
				t.Errorf("running %#x, other %#x, foreign %v, %v", b.Running.Offset, b.Other.Offset, b.Running.Foreign, err)
			}
		})
	}
	small, _ := New(Size2M)
	if _, err := small.Boot(); !errors.Is(err, ErrNoRegion) {
		t.Errorf("2 Mbit: %v", err)
	}
	empty, _ := New(Size8M)
	if _, err := empty.Boot(); !errors.Is(err, ErrControl) {
		t.Errorf("erased: %v", err)
	}
}

func FuzzImage(f *testing.F) {
	good, _ := MakeImage(fresh.Block, []byte("body"))
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, _ := New(Size4M)
		p, _ := c.Region(Firmware1)
		p.WriteAt(b[:min(len(b), SlotSize)], 0)
		m, err := CheckImage(p)
		if err == nil && (m.Size < image.HeadLen || m.Size > SlotSize) {
			t.Errorf("size %d", m.Size)
		}
	})
}

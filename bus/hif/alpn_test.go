package hif

import (
	"slices"
	"testing"
)

func TestALPNGolden(t *testing.T) {
	const want = "\x00\x0c\x02h2\x08http/1.1"
	if b := AppendALPN(nil, []string{"h2", "http/1.1"}); string(b) != want {
		t.Errorf("%q, want %q", b, want)
	}
}

func TestParseALPN(t *testing.T) {
	for in, want := range map[string][]string{
		"\x00\x0c\x02h2\x08http/1.1":         {"h2", "http/1.1"},
		"\x00\x0c\x02h2\x08http/1.1\x00\x00": {"h2", "http/1.1"},
		"\x02h2\x08http/1.1":                 {"h2", "http/1.1"},
		"\x02h2\x00\x00\x00":                 {"h2"},
		"":                                   nil,
		"\x00":                               nil,
		"\x00\x00":                           nil,
		"\x00\x00\x02h2":                     nil,
		"\x00\x0d\x02h2\x08http/1.1":         nil, // longer than it is
		"\x00\x03\x03h2":                     nil,
		"\x03h2":                             nil,
		"\x02h2\x08http/1":                   nil,
	} {
		got, ok := ParseALPN([]byte(in))
		if ok != (want != nil) || ok && !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v, want %q", in, got, ok, want)
		}
	}
}

func FuzzParseALPN(f *testing.F) {
	f.Add([]byte("\x00\x0c\x02h2\x08http/1.1"))
	f.Add([]byte("\x02h2\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		names, ok := ParseALPN(b)
		if !ok {
			return
		}
		n := 0
		for _, name := range names {
			n += 1 + len(name)
		}
		if n > len(b) || slices.Contains(names, "") {
			t.Fatal(names)
		}
		if n < 256 { // as long as a value can be
			if again, ok := ParseALPN(AppendALPN(nil, names)); !ok || !slices.Equal(again, names) {
				t.Fatal(names, again)
			}
		}
	})
}

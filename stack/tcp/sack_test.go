package tcp

import (
	"math/rand/v2"
	"testing"

	"github.com/understudy-net/understudy/wire"
)

// TestScoreboardAgainstModel compares the scoreboard with a list of octets, by RFC 6675, 4.
func TestScoreboardAgainstModel(t *testing.T) {
	for seed := uint64(1); seed <= 100; seed++ {
		rnd := rand.New(rand.NewPCG(seed, 0))
		base := rnd.Uint32()
		const size, mss = 400, 10
		var sacked [size]bool
		una, nxt := 0, size
		s := scoreboard{highRxt: base, lostTo: base}
		for range 60 {
			switch rnd.IntN(5) {
			case 0:
				una = min(una+rnd.IntN(30), size-1)
				for una < size && sacked[una] { // an honest receiver acknowledges what it has
					una++
				}
				s.ackTo(base + uint32(una))
			case 1:
				if h := base + uint32(una+rnd.IntN(nxt-una+1)); wire.SeqGT(h, s.highRxt) {
					s.highRxt = h
				}
			default:
				l := una + 1 + rnd.IntN(nxt-una)
				r := min(l+1+rnd.IntN(40), nxt)
				if l >= r {
					continue
				}
				had := 0
				for i := l; i < r; i++ {
					if sacked[i] {
						had++
					}
				}
				if s.n == maxSacked {
					continue
				}
				if news := s.add(seqRange{base + uint32(l), base + uint32(r)}); news != (had < r-l) {
					t.Fatalf("seed %d: news is %v, but %d of %d were known", seed, news, had, r-l)
				}
				for i := l; i < r; i++ {
					sacked[i] = true
				}
			}
			if una >= nxt {
				break
			}
			checkScoreboard(t, seed, &s, base, sacked[:], una, nxt, mss)
		}
	}
}

func checkScoreboard(t *testing.T, seed uint64, s *scoreboard, base uint32, sacked []bool, una, nxt, mss int) {
	t.Helper()
	// IsLost: three ranges, or more than two segments, were SACKed above.
	lost := func(i int) bool {
		runs, bytes := 0, 0
		for k := i + 1; k < nxt; k++ {
			if sacked[k] {
				bytes++
				if !sacked[k-1] || k-1 == i {
					runs++
				}
			}
		}
		return runs >= dupThresh || bytes > (dupThresh-1)*mss
	}
	high := max(int(int32(s.highRxt-base)), una)
	pipe, next := 0, -1
	top := una
	for i := una; i < nxt; i++ {
		if sacked[i] {
			top = i
		}
	}
	for i := una; i < nxt; i++ {
		if sacked[i] {
			continue
		}
		isLost := lost(i)
		if !isLost {
			pipe++
		}
		if i < high && (isLost || i < top) {
			pipe++
		}
		if isLost && i >= high && next < 0 {
			next = i
		}
	}
	if got := int(s.pipe(base+uint32(una), base+uint32(nxt), uint32(mss))); got != pipe {
		t.Fatalf("seed %d: pipe is %d, want %d", seed, got, pipe)
	}
	r := s.next(base+uint32(una), uint32(mss))
	if got := int(r.left - base); r.left == r.right && next >= 0 || r.left != r.right && got != next {
		t.Fatalf("seed %d: next is %d, want %d", seed, got, next)
	}
}

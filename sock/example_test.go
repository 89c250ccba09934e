package sock_test

import (
	"fmt"
	"io"
	"time"

	"github.com/understudy-net/understudy/world"
)

// Two ends of a pipe in a virtual world.
func Example() {
	w := world.NewVirtual(world.Epoch)
	c1, c2 := newPair(w)
	w.Do(func() {
		w.Go(func() {
			w.Sleep(time.Hour)
			c1.Write([]byte("hello"))
			c1.Close()
		})
		b, err := io.ReadAll(c2)
		fmt.Printf("%s %v after %v\n", b, err, w.Now().Sub(world.Epoch))
	})
	// Output: hello <nil> after 1h0m0s
}

package sock_test

import (
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/world"
)

// tube is a Stream: one end of a pair that share two buffers.
type tube struct {
	in, out *buffer
}

// buffer is one direction, and the conn that reads from it.
type buffer struct {
	bytes  []byte
	ended  bool
	reader *sock.Conn
}

func (t *tube) Read(now time.Time, p []byte) (int, error) {
	if len(t.in.bytes) > 0 {
		n := copy(p, t.in.bytes)
		t.in.bytes = t.in.bytes[n:]
		return n, nil
	}
	if t.in.ended {
		return 0, io.EOF
	}
	return 0, sock.ErrWouldBlock
}

func (t *tube) Write(now time.Time, p []byte) (int, error) {
	t.out.bytes = append(t.out.bytes, p...)
	t.out.reader.Ready(true, false)
	return len(p), nil
}

func (t *tube) CloseWrite(now time.Time) error {
	t.out.ended = true
	t.out.reader.Ready(true, false)
	return nil
}

func (t *tube) Close(now time.Time) error { return t.CloseWrite(now) }
func (t *tube) LocalAddr() netip.AddrPort { return netip.AddrPort{} }
func (t *tube) RemoteAddr() netip.AddrPort {
	return netip.AddrPort{}
}

// Two ends of a pipe become two net.Conns in a virtual world.
func Example() {
	w := world.NewVirtual(world.Epoch)
	var there, back buffer
	client := sock.NewConn(w, &tube{in: &back, out: &there})
	server := sock.NewConn(w, &tube{in: &there, out: &back})
	there.reader, back.reader = server, client

	w.Go(func() { // an actor: it may block
		question, _ := io.ReadAll(server)
		w.Sleep(time.Hour) // thinks
		fmt.Fprintf(server, "%s 42", question)
		server.Close()
	})
	err := w.Do(func() {
		fmt.Fprint(client, "6 x 7 =")
		client.CloseWrite()
		answer, err := io.ReadAll(client)
		fmt.Printf("%s, %v, after %v\n", answer, err, w.Now().Sub(world.Epoch))
	})
	fmt.Println(err)
	// Output:
	// 6 x 7 = 42, <nil>, after 1h0m0s
	// <nil>
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-net/understudy/uplink/user"
)

const imageListen = "127.0.0.1:8070"

func newImageServe(std stdio) *cobra.Command {
	var listen string
	var faults []string
	s := imageServer{p: printer{w: std.out}}
	c := &cobra.Command{
		Use:   "serve DIR",
		Short: "Serve images over HTTP, with faults if you like",
		Long: `Serve the files of a directory over HTTP until Ctrl-C, and tell each request. A
device in another terminal fetches them from http://host.internal:PORT/FILE, with
--allow-host.

Faults, of which --fault can name several, each with a number behind = if it likes:

  404, 500       an error page instead of the file
  slow=RATE      RATE bytes a second (8192)
  truncated=N    the connection is closed after N bytes (half of the file)
  reset=N        it is reset after N bytes (half of the file)
  stall=N        nothing more comes after N bytes (half of the file)
  digest         the last bit of the file is wrong

With --times they befall the first requests only, and then all is well: so does a
download that is resumed come to its end.`,
		Example: `  understudy image serve . --listen 127.0.0.1:8070
  understudy ota update --flash chip.bin --allow-host http://host.internal:8070/new.img`,
		Args: argCount(1, "one directory"),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if s.faults, err = parseFaults(faults); err != nil {
				return err
			}
			if s.times < 0 {
				return usagef("--times %d: want a number of requests, or 0 for all", s.times)
			}
			if s.root, err = os.OpenRoot(args[0]); err != nil {
				return err
			}
			defer s.root.Close()
			return s.serve(c.Context(), args[0], listen)
		},
	}
	f := c.Flags()
	f.StringVar(&listen, "listen", imageListen, "`ADDRESS` and port to serve at")
	f.StringSliceVar(&faults, "fault", nil, "`FAULT` of every answer, see above")
	f.IntVar(&s.times, "times", 0, "number of requests that the faults befall; 0: all")
	f.BoolVar(&s.p.json, "json", false, "print JSON, one object a line")
	complete(c, "fault", "404", "500", "slow", "truncated", "reset", "stall", "digest")
	return c
}

func (s *imageServer) serve(ctx context.Context, dir, listen string) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("--listen %s: %w", listen, err)
	}
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 30 * time.Second,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx }, // ends what stalls
		ErrorLog:          log.New(discard{}, "", 0),                         // of clients that break off
	}
	if err := s.hello(dir, l.Addr()); err != nil {
		return errors.Join(err, l.Close())
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	err = srv.Close()
	<-done
	return err
}

// hello says where the server is, and how a device gets there.
func (s *imageServer) hello(dir string, a net.Addr) error {
	m := map[string]any{"event": "serving", "dir": dir, "url": "http://" + a.String() + "/"}
	hint := ""
	if at, err := netip.ParseAddrPort(a.String()); err == nil && (at.Addr().IsLoopback() || at.Addr().IsUnspecified()) {
		inside := fmt.Sprintf("http://%s:%d/", user.HostName, at.Port())
		m["device_url"] = inside
		hint = fmt.Sprintf("; for a device with --allow-host it is %s", inside)
	}
	return s.p.result(m, "serving %s at http://%v/%s\n", dir, a, hint)
}

// discard is a writer that nobody reads.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

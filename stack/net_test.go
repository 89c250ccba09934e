package stack_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/stack/dns"
	"github.com/understudy-net/understudy/world"
)

// virtual is two hosts in a virtual world.
func virtual() (w *world.World, a, b stack.Net) {
	w = world.NewVirtual(world.Epoch)
	c := newCable(w)
	return w, addHost(w, c, 0), addHost(w, c, 1)
}

func do(t *testing.T, w *world.World, fn func() error) {
	t.Helper()
	var err error
	if e := w.Do(func() { err = fn() }); e != nil {
		t.Fatal(e)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestNetDialErrors(t *testing.T) {
	w, a, _ := virtual()
	ctx := context.Background()
	do(t, w, func() error {
		_, err := a.Dial(ctx, "tcp", "10.0.0.2:9")
		var op *net.OpError
		if !errors.Is(err, syscall.ECONNREFUSED) || !errors.Is(err, stack.ErrRefused) || !errors.As(err, &op) || op.Op != "dial" {
			return fmt.Errorf("closed port: %v", err)
		}
		_, err = a.Dial(ctx, "tcp", "10.0.0.77:9")
		if !errors.Is(err, syscall.EHOSTUNREACH) {
			return fmt.Errorf("nobody there: %v", err)
		}
		_, err = a.Dial(ctx, "tcp", "192.0.2.1:9")
		if !errors.Is(err, stack.ErrUnreachable) {
			return fmt.Errorf("no gateway: %v", err)
		}
		if _, err = a.Dial(ctx, "tcp6", "10.0.0.2:9"); err == nil {
			return errors.New("tcp6 works")
		}
		if _, err = a.Dial(ctx, "tcp", "www.test:80"); !errors.Is(err, dns.ErrNoServers) {
			return fmt.Errorf("no DNS server: %v", err)
		}
		canceled, cancel := context.WithCancel(ctx)
		cancel()
		if _, err = a.Dial(canceled, "tcp", "10.0.0.2:9"); !errors.Is(err, context.Canceled) {
			return fmt.Errorf("canceled: %v", err)
		}
		return nil
	})
}

func TestNetUDPAndNames(t *testing.T) {
	w, a, b := virtual()
	var names dns.Server
	names.Set("b.test", time.Minute, netip.MustParseAddr("10.0.0.2"))
	now := w.Lock()
	b.Stack.ServeDNS(&names)
	a.Stack.SetAddr(now, netip.MustParsePrefix("10.0.0.1/24"), netip.Addr{}, netip.MustParseAddr("10.0.0.2"))
	w.Unlock()
	w.Go(func() {
		pc, err := b.ListenPacket("udp", ":7")
		if err != nil {
			t.Error(err)
			return
		}
		var buf [100]byte
		n, from, _ := pc.ReadFrom(buf[:])
		pc.WriteTo(bytes.ToUpper(buf[:n]), from)
	})
	do(t, w, func() error {
		c, err := a.Dial(context.Background(), "udp", "b.test:7")
		if err != nil {
			return err
		}
		defer c.Close()
		c.Write([]byte("hello"))
		var buf [100]byte
		n, err := c.Read(buf[:])
		if string(buf[:n]) != "HELLO" {
			return fmt.Errorf("%q, %v", buf[:n], err)
		}
		c.SetReadDeadline(w.Now().Add(time.Second))
		if _, err = c.Read(buf[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("deadline: %v", err)
		}
		r, err := a.Ping(context.Background(), netip.MustParseAddr("10.0.0.2"), stack.PingConfig{})
		if err != nil || r.Size != 32 {
			return fmt.Errorf("%+v, %v", r, err)
		}
		if _, err = a.Ping(context.Background(), netip.MustParseAddr("10.0.0.3"), stack.PingConfig{Timeout: time.Minute}); err != stack.ErrUnreachable {
			return fmt.Errorf("ping: %v", err)
		}
		return nil
	})
}

func TestNetUseDHCP(t *testing.T) {
	w, a, b := virtual()
	do(t, w, func() error {
		if _, err := a.UseDHCP(context.Background(), stack.DHCPConfig{}); !errors.Is(err, dhcp.ErrNoAnswer) {
			return fmt.Errorf("without a server: %v", err)
		}
		now := w.Lock()
		_, err := b.Stack.ServeDHCP(now, dhcp.ServerConfig{}, nil)
		w.Unlock()
		if err != nil {
			return err
		}
		p, err := a.UseDHCP(context.Background(), stack.DHCPConfig{})
		if err != nil || p.Bits() != 24 {
			return fmt.Errorf("%v, %v", p, err)
		}
		return nil
	})
}

// TestNetHTTP is many requests at once on the wall clock, for the race detector.
func TestNetHTTP(t *testing.T) {
	w := world.New()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	defer running.Wait()
	defer cancel()
	link := newCable(w)
	a, b := addHost(w, link, 0), addHost(w, link, 1)
	l, err := b.Listen("tcp", "10.0.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	page := bytes.Repeat([]byte("0123456789"), 30000)
	srv := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Write(page)
	})}
	running.Go(func() { srv.Serve(l) })
	defer srv.Close()
	tr := &http.Transport{DialContext: a.Dial}
	defer tr.CloseIdleConnections()
	client := http.Client{Transport: tr}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				resp, err := client.Post("http://10.0.0.2/", "text/plain", bytes.NewReader(page))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || !bytes.Equal(got, page) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/world"
)

// wholeMachine is one stream between an application on the host driver and a
// computer behind the access point, through all there is: sockets of the driver,
// messages, SPI, the device and its stack, air, access point, the computer's
// stack. All of it is one world on the clock wc, and the air takes delay for a frame.
func wholeMachine(up bool, w func() *world.World, delay time.Duration) func() (*work, error) {
	return func() (*work, error) {
		b, err := understudytest.Make(w(), understudytest.Config{Seed: 1, Delay: delay})
		if err != nil {
			return nil, err
		}
		peer := b.AddHost("peer.test")
		var host, far net.Conn
		joined := make(chan error, 1)
		err = b.Run(func() { joined <- connectMachine(b, peer, &host, &far) })
		if err = errors.Join(err, <-joined); err != nil {
			b.Close()
			return nil, err
		}
		s := newBlockingStream(host, far)
		if !up {
			s = newBlockingStream(far, host)
		}
		return &work{close: b.Close, run: func(n int) error {
			errs := make(chan error, 2)
			err := b.Run(func() {
				b.Go(func() { errs <- s.write(n * unit) })
				errs <- s.read(n * unit)
			})
			if err != nil {
				return err
			}
			return errors.Join(<-errs, <-errs)
		}}, nil
	}
}

func connectMachine(b *understudytest.Bench, peer *understudytest.Host, host, far *net.Conn) error {
	if err := b.Join(); err != nil {
		return err
	}
	accepted := make(chan net.Conn, 1)
	ln, err := peer.Listen("tcp", ":80")
	if err != nil {
		return err
	}
	b.Go(func() {
		c, err := ln.Accept()
		if err == nil {
			accepted <- c
		}
	})
	c, err := b.Net.DialContext(context.Background(), "tcp", fmt.Sprintf("%v:80", peer.Addr))
	if err != nil {
		return err
	}
	for range 100 {
		select {
		case *far = <-accepted:
			*host = c
			return noDelay(b.World, *far)
		default:
			b.Sleep(time.Millisecond)
		}
	}
	return errors.New("the peer did not accept")
}

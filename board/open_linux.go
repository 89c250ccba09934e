package board

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"periph.io/x/conn/v3/driver/driverreg"
	"periph.io/x/conn/v3/spi"
	"periph.io/x/host/v3/gpioioctl"
	"periph.io/x/host/v3/sysfs"
)

// Open opens the bus that s describes in the form of [Parse]. Close it at the end.
func Open(s string) (*Port, error) {
	spec, err := Parse(s)
	if err != nil {
		return nil, err
	}
	p, err := open(spec)
	if err != nil {
		return nil, fmt.Errorf("board: %s: %w", s, err)
	}
	return p, nil
}

func open(spec Spec) (*Port, error) {
	// This is how the packages below learn of GPIO chips and of the buffer of spidev; what else they look for may be
	// missing.
	if _, err := driverreg.Init(); err != nil {
		return nil, err
	}
	var closers []func() error
	release := func() error {
		var err error
		for i := len(closers) - 1; i >= 0; i-- {
			err = errors.Join(err, closers[i]())
		}
		return err
	}
	port, err := openSPI(spec, &closers)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	port.release = release
	return port, nil
}

// openSPI opens port and pins; closers give back what was opened, also after an error.
func openSPI(spec Spec, closers *[]func() error) (*Port, error) {
	s, err := sysfs.NewSPI(spec.Bus, spec.ChipSelect)
	if err != nil {
		return nil, fmt.Errorf("%w; is SPI switched on (spidev), and may you use it?", err)
	}
	*closers = append(*closers, s.Close)
	c, err := s.Connect(spec.Speed, spi.Mode0, 8)
	if err != nil {
		return nil, err
	}
	var lines [3]*gpioioctl.GPIOLine
	for i, name := range []string{spec.IRQ, spec.Reset, spec.Enable} {
		if name == "" {
			continue
		}
		if lines[i], err = findLine(gpioioctl.Chips, name); err != nil {
			return nil, err
		}
		*closers = append(*closers, func() error {
			lines[i].Close()
			return nil
		})
	}
	pins := Pins{IRQ: lines[0], Reset: lines[1]}
	if lines[2] != nil {
		pins.Enable = lines[2]
	}
	return New(c, pins)
}

// findLine finds a line by its name, or by chip and number. A name that several lines have is that of the first; a line
// whose name another package has claimed first has the chip's name before it.
func findLine(chips []*gpioioctl.GPIOChip, name string) (*gpioioctl.GPIOLine, error) {
	chip, number, byNumber := strings.Cut(name, "/")
	for _, c := range chips {
		if byNumber {
			n, err := strconv.Atoi(number)
			if c.Name() == chip && err == nil && n >= 0 && n < c.LineCount() {
				return c.ByNumber(n), nil
			}
			continue
		}
		for _, n := range []string{name, c.Name() + "-" + name} {
			if l := c.ByName(n); l != nil {
				return l, nil
			}
		}
	}
	if len(chips) == 0 {
		return nil, fmt.Errorf("no pin %s: no GPIO chips found in /dev, or you may not use them", name)
	}
	return nil, fmt.Errorf("no pin %s; gpioinfo lists the names", name)
}

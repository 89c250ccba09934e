package board

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"periph.io/x/conn/v3/physic"
)

// Spec says which SPI port and pins a module is wired to.
type Spec struct {
	Bus, ChipSelect    int              // of /dev/spidevBUS.CHIPSELECT
	IRQ, Reset, Enable string           // pins; Enable may be ""
	Speed              physic.Frequency // of SCK
}

// DefaultSpeed is the SPI clock when nothing else is asked for: that of the vendor's hosts (spec/host-bus.md 1.1).
const DefaultSpeed = 12 * physic.MegaHertz

// Bounds of the SPI clock. The chip takes 48 MHz at most.
const (
	minSpeed = physic.KiloHertz
	maxSpeed = 48 * physic.MegaHertz
)

const specForm = "want spi:/dev/spidev0.0,irq=PIN,reset=PIN[,en=PIN][,speed=12MHz]; a PIN is the name of a line such as GPIO25, or a chip and a number such as gpiochip0/25"

// Parse reads the text form of a Spec:
//
//	spi:/dev/spidev0.0,irq=GPIO25,reset=GPIO27,en=GPIO22,speed=12MHz
//
// The device comes first, the rest in any order; en and speed may be left out. A pin is the name of a line, as
// "gpioinfo" lists them, or gpiochipN/OFFSET. The error says what is wanted.
func Parse(s string) (Spec, error) {
	spec, err := parse(s)
	if err != nil {
		return Spec{}, fmt.Errorf("board: %q: %w; %s", s, err, specForm)
	}
	return spec, nil
}

func parse(s string) (Spec, error) {
	rest, ok := strings.CutPrefix(s, "spi:")
	if !ok {
		return Spec{}, errors.New("it does not begin with \"spi:\"")
	}
	fields := strings.Split(rest, ",")
	spec := Spec{Speed: DefaultSpeed}
	var err error
	if spec.Bus, spec.ChipSelect, err = parseDevice(fields[0]); err != nil {
		return spec, err
	}
	for _, f := range fields[1:] {
		if err := spec.set(f); err != nil {
			return spec, err
		}
	}
	switch {
	case spec.IRQ == "":
		return spec, errors.New("no irq= pin")
	case spec.Reset == "":
		return spec, errors.New("no reset= pin")
	case spec.IRQ == spec.Reset || spec.IRQ == spec.Enable || spec.Reset == spec.Enable:
		return spec, errors.New("one pin has two functions")
	}
	return spec, nil
}

func parseDevice(s string) (bus, cs int, err error) {
	numbers, ok := strings.CutPrefix(s, "/dev/spidev")
	b, c, dot := strings.Cut(numbers, ".")
	bus, err1 := strconv.Atoi(b)
	cs, err2 := strconv.Atoi(c)
	if !ok || !dot || err1 != nil || err2 != nil || bus < 0 || cs < 0 || s != fmt.Sprintf("/dev/spidev%d.%d", bus, cs) {
		return 0, 0, fmt.Errorf("%q is no spidev", s)
	}
	return bus, cs, nil
}

// set reads one option.
func (s *Spec) set(option string) error {
	key, value, _ := strings.Cut(option, "=")
	pins := map[string]*string{"irq": &s.IRQ, "reset": &s.Reset, "en": &s.Enable}
	switch pin := pins[key]; {
	case value == "":
		return fmt.Errorf("option %q has no value", option)
	case pin != nil && *pin != "":
		return fmt.Errorf("%s= comes twice", key)
	case pin != nil:
		*pin = value
	case key == "speed":
		if err := s.Speed.Set(value); err != nil || s.Speed < minSpeed || s.Speed > maxSpeed {
			return fmt.Errorf("speed %q is not from %v to %v", value, minSpeed, maxSpeed)
		}
	default:
		return fmt.Errorf("unknown option %q", option)
	}
	return nil
}

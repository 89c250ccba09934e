package device

import "github.com/understudy-net/understudy/bus/reg"

// gpio is what is connected to the pads from outside.
type gpio struct {
	driven uint32 // bit n: something drives GPIO n
	levels uint32
}

// GPIO is a look at the pads, bit n for GPIO n. Spec host-bus 3.5.
type GPIO struct {
	Direction uint32 // 1: output
	Output    uint32
	Input     uint32 // what a host reads: of outputs their own level
}

// DriveGPIO connects something to pads: bit n of mask drives GPIO n with bit n of levels, all others are left open. An open
// input follows its pull-up if there is one and it is not disabled (PULL_DISABLE), else it reads 0. Resets change nothing
// outside of the chip.
func (d *Device) DriveGPIO(mask, levels uint32) { d.gpio = gpio{mask, levels & mask} }

// gpioInput is what GPIO_IN reads.
func (d *Device) gpioInput() uint32 {
	r := d.regs.stored
	in := d.gpio.levels | pullUps(r[reg.PullDisable])&^d.gpio.driven
	out := r[reg.GPIODirection]
	return in&^out | r[reg.GPIOOutput]&out
}

// pullUps is the level of open pads for a value of PULL_DISABLE, whose bits are in another order than GPIO numbers.
func pullUps(disabled uint32) (levels uint32) {
	for n := uint(3); n <= 24; n++ {
		bit := n
		switch {
		case n == 6:
			bit = 12
		case n >= 11:
			bit = n + 5
		case n > 6:
			continue // no such pads
		}
		if disabled>>bit&1 == 0 {
			levels |= 1 << n
		}
	}
	return levels
}

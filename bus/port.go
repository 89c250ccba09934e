package bus

// Port is the wiring between a host and a controller: SPI, two lines to the chip and one from it.
// A device in software offers one, so does a real module behind spidev, and so does the client of a
// bus on a socket.
//
// Tx may be called by one goroutine at a time; the other methods at any time.
type Port interface {
	// Tx clocks one chip-select window. w are the bytes to the chip, r takes those from it, slot by
	// slot; either may be nil (zeros go out, or what comes in is dropped), else both have the same
	// length. The protocol keeps its state from window to window.
	Tx(w, r []byte) error
	// SetReset drives RESET_N: low holds the chip in hard reset.
	SetReset(low bool) error
	// SetEnable drives CHIP_EN: high powers the chip.
	SetEnable(high bool) error
	// IRQ reads the interrupt line; asserted means low: the chip has a message.
	IRQ() (asserted bool, err error)
	// OnIRQ sets the function that is called at each falling edge of the interrupt line; nil sets
	// none. fn only signals: it returns at once and never calls back into the bus.
	OnIRQ(fn func())
}

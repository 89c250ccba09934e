package spi

// The command bytes (2.2).
const (
	cmdDMAWrite      = 0xc1 // no host uses C1, C2, C5 and C6
	cmdDMARead       = 0xc2
	cmdInternalWrite = 0xc3
	cmdInternalRead  = 0xc4
	cmdTerminate     = 0xc5
	cmdRepeat        = 0xc6
	cmdDMAExtWrite   = 0xc7
	cmdDMAExtRead    = 0xc8
	cmdSingleWrite   = 0xc9
	cmdSingleRead    = 0xca
	cmdReset         = 0xcf
)

// commandLen has the length of each command without CRC7, by low nibble; 0: no such command (2.2).
var commandLen = [16]int{
	cmdDMAWrite & 15: 6, cmdDMARead & 15: 6, cmdInternalWrite & 15: 7, cmdInternalRead & 15: 4, cmdTerminate & 15: 4,
	cmdRepeat & 15: 4, cmdDMAExtWrite & 15: 7, cmdDMAExtRead & 15: 7, cmdSingleWrite & 15: 8, cmdSingleRead & 15: 4,
	cmdReset & 15: 4,
}

const (
	maxCommand    = 9    // with CRC7
	clocklessFlag = 0x80 // in the first address byte of C3 and C4
)

// The tokens of data packets (2.7, 2.8); hosts look at the high nibble only.
const (
	tokenFirst = 0xf1
	tokenInner = 0xf2
	tokenLast  = 0xf3 // last or only
)

// Answers to data packets of a write (2.8).
const (
	dataFirst = 0xc1
	dataInner = 0xc2
	dataLast  = 0xc3
)

// State is the second byte of an answer: the error in the low nibble, the state of the DMA engine in
// the high one. 0 is good (2.6).
type State uint8

// The errors.
const (
	StateReady       State = 0
	StateUnsupported State = 1 // no such command
	StateUnexpected  State = 2 // data packet out of turn
	StateCRC7        State = 3 // of a command
	StateCRC16       State = 4 // of data
	StateInternal    State = 5
)

var stateNames = [...]string{"ready", "unsupported command", "unexpected data packet", "command CRC7 error",
	"data CRC16 error", "internal error"}

// String prints the error, or the whole byte of an unknown one.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "state 0x" + string("0123456789abcdef"[s>>4]) + string("0123456789abcdef"[s&15])
}

// packetSize returns the size of a data packet for a value of SPI_CONFIG (2.5). Codes above 8192 bytes
// are not known; they are taken as they say.
func packetSize(config uint32) int { return 256 << (config >> 4 & 7) }

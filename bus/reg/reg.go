package reg

import (
	"strconv"
	"strings"
)

// Addr is an address on the bus of the chip. Only the low 24 bits travel.
type Addr = uint32

// AddrMask has the bits of an address that travel on SPI; hosts cut the rest off (2.2).
const AddrMask Addr = 0xffffff

// Clockless marks an address in the space of the clockless registers, which answer while the core
// clock stands still (3.1). The same number without the mark is another register. The mark is ours:
// on the wire it is the top bit of a 15-bit address, in commands C3 and C4 only.
const Clockless Addr = 1 << 31

// The clockless registers (3.1).
const (
	WakeClk      = Clockless | 0x01 // WAKE_CLK_REG
	HostCortComm = Clockless | 0x0b // HOST_CORT_COMM
	ClocksEn     = Clockless | 0x0f // CLOCKS_EN_REG
	CortHostComm = Clockless | 0x10 // CORT_HOST_COMM
)

// Hosts treat unmarked addresses as clockless too when they are this low: for reads up to the first,
// for writes up to the second (2.2).
const (
	ClocklessReadMax  Addr = 0xff
	ClocklessWriteMax Addr = 0x30
)

// Bits of the clockless registers.
const (
	WakeClkHost    = 1 << 1 // in WakeClk: the host asks for clocks
	HostAwake      = 1 << 0 // in HostCortComm: the host uses the chip
	ClocksRunning  = 1 << 2 // in ClocksEn
	CortBusy       = 1 << 0 // in CortHostComm: chip busy with the host; chip_sleep spins while it is set [BD-10]
	WakeClkAtReset = 1 << 0
)

// Identification and boot (3.2).
const (
	ChipID       Addr = 0x1000   // NMI_CHIPID
	RevID        Addr = 0x11fc   // revid, in a disabled line of one host
	RFRevID      Addr = 0x13f4   // rfrevid
	BTChipID     Addr = 0x3b0000 // of the WINC3400
	EfuseControl Addr = 0x1014   // bit 31: values loaded
	WaitForHost  Addr = 0x207bc  // M2M_WAIT_FOR_HOST_REG, bit 0: skip the wait for the boot ROM
	BootROM      Addr = 0xc000c  // BOOTROM_REG
	State        Addr = 0x108c   // NMI_STATE_REG: version word and readiness at boot, then the head of a request
	GP1          Addr = 0x14a0   // rNMI_GP_REG_1: configuration by the host
	GP0          Addr = 0x149c   // rNMI_GP_REG_0: MAC pointers of firmware 19.3.0
	GP2          Addr = 0xc0008  // rNMI_GP_REG_2: pointer to the GP structure
	Rev          Addr = 0x207ac  // NMI_REV_REG: version word
	RevATE       Addr = 0x1048   // NMI_REV_REG_ATE: version word of test firmware
)

// Values at boot (3.2, 4.1).
const (
	EfuseLoaded     = 1 << 31
	WaitSkip        = 1 << 0
	BootROMFinished = 0x10add09e // in BootROM: the boot ROM has finished
	StartFirmware   = 0xef522f61 // to BootROM
	FirmwareReady   = 0x02532636 // in State: the firmware runs
	StartATE        = 0x3c1cd57d // to Rev: start test firmware
	ATERunning      = 0xd75dc1c3 // in Rev: test firmware runs
	ATEHighState    = 0x00100000 // to State, for ATE "high"
	StartPowerSave  = 0x94992610 // defined by hosts, unused
	ProgramStart    = 0x26961735 // defined by hosts, unused
	BootStart       = 0x12345678 // defined by hosts, unused
)

// Chip families: the value of ChipID after masking (3.2, 4.1).
const (
	ChipID1500     = 0x001003a0 // what a software device reports
	ChipFamilyMask = 0xff0
	ChipFamily3A0  = 0x3a0
	ChipFamily2B0  = 0x2b0
	ChipID3400     = 0x1000f0
	ChipIDHostBits = 0x5 << 16 // hosts force bits 19:16 to 5
	ChipIDHostMask = 0xf << 16
	ChipIDRevA     = 0x1002a0
	ChipIDRevB     = 0x1002b0
)

// Bits of GP1, the configuration that a host writes before it starts the firmware (3.2).
const (
	GP1SDIOInterrupt = 1 << 0
	GP1UsePMU        = 1 << 1
	GP1SleepClockRTC = 1 << 2
	GP1SleepClockXO  = 1 << 3
	GP1ExtPA         = 1 << 4
	GP1LegacyRF      = 1 << 5
	GP1LogsDisabled  = 1 << 6
	GP1Ethernet      = 1 << 7 // bypass mode
	GP1Reserved8     = 1 << 8 // always set by hosts
	GP1Reserved9     = 1 << 9 // set by 19.7.7
	GP1XTALGM2       = 1 << 10
)

// Reset, pin mux, interrupt (3.3).
const (
	BootResetMux Addr = 0x1118  // rNMI_BOOT_RESET_MUX
	GlobalReset  Addr = 0x1400  // NMI_GLB_RESET_0
	PinMux0      Addr = 0x1408  // NMI_PIN_MUX_0
	IntrEnable   Addr = 0x1a00  // NMI_INTR_ENABLE
	FlashPinMux  Addr = 0x1410  // pads of the flash
	ROMIntr      Addr = 0x20300 // interrupt enables of the ROM
	PLL0         Addr = 0x141c
	PLL1         Addr = 0x1428
	PMU          Addr = 0x1e48
)

// Bits and values of those.
const (
	MuxCPUByRegister   = 1 << 0  // in BootResetMux: GlobalReset bit 10 rules the CPU, not the pad
	CPURun             = 1 << 10 // in GlobalReset: CPU out of reset
	GlobalResetAtReset = 0xfffffbff
	PinMuxIRQN         = 1 << 8  // in PinMux0
	IntrHost           = 1 << 16 // in IntrEnable: IRQN may be driven
	FlashPadsMask      = 0x7777 << 12
	FlashPadsConnected = 0x1111 << 12
	FlashPadsParked    = 0x0010 << 12
)

// The SPI block (2.5, 3.3).
const (
	SPIBlock  Addr = 0xe800 // an address without the clockless flag in C3 and C4 counts from here
	SPIConfig Addr = 0xe824
	SPIEnd    Addr = 0xe848
)

// Bits of SPIConfig.
const (
	SPIAlwaysOne   = 1 << 1 // unknown, must stay 1
	SPICRC7        = 1 << 2 // commands carry CRC7
	SPICRC16       = 1 << 3 // data packets carry CRC16
	SPIPacketShift = 4      // size of a data packet: 256 << n
	SPIPacketMask  = 7 << SPIPacketShift
	SPIPacketMax   = 5 // 8192 bytes
	// SPIConfigAtReset: CRC on, 1024 bytes.
	SPIConfigAtReset = SPIAlwaysOne | SPICRC7 | SPICRC16 | 2<<SPIPacketShift
	// SPIConfigHost is what vendor hosts write: CRC off, 8192 bytes.
	SPIConfigHost = SPIAlwaysOne | SPIPacketMax<<SPIPacketShift
)

// HIF registers (3.4).
const (
	RcvCtrl0 Addr = 0x1070   // WIFI_HOST_RCV_CTRL_0: notice of a message to the host, see hif.Notice
	RcvCtrl1 Addr = 0x1084   // WIFI_HOST_RCV_CTRL_1: address of that message; also short flash reads
	RcvCtrl2 Addr = 0x1078   // WIFI_HOST_RCV_CTRL_2: bit 1 requests a buffer, the device clears it
	RcvCtrl3 Addr = 0x106c   // WIFI_HOST_RCV_CTRL_3: doorbell, address<<2 | 2
	RcvCtrl4 Addr = 0x150400 // WIFI_HOST_RCV_CTRL_4: the buffer granted, 0 refused
	RcvCtrl5 Addr = 0x1088   // WIFI_HOST_RCV_CTRL_5, never used
	Wake     Addr = 0x1074   // WAKE_REG of older drivers
)

// Bits and values of those.
const (
	RcvPending    = 1 << 0 // in RcvCtrl0
	RcvDone       = 1 << 1 // in RcvCtrl0
	RcvSizeShift  = 2
	RcvSizeMask   = 0xfff << RcvSizeShift
	RequestBuffer = 1 << 1 // in RcvCtrl2
	Doorbell      = 1 << 1 // in RcvCtrl3
	DoorbellShift = 2
	WakeValue     = 0x5678
	SleepValue    = 0x4321
)

// GPIO and pull-ups (3.5).
const (
	GPIODirection Addr = 0x20108 // bit n: GPIO n is an output
	GPIOOutput    Addr = 0x20100
	GPIOInput     Addr = 0x20104
	PullDisable   Addr = 0x142c // bit n: pull-up of pad n is off
)

// Flash controller (6.1).
const (
	FlashMode    Addr = 0x10200
	FlashCmdCnt  Addr = 0x10204 // the trigger
	FlashDataCnt Addr = 0x10208 // bytes to read after the command
	FlashBuf1    Addr = 0x1020c // command bytes 0..3
	FlashBuf2    Addr = 0x10210 // command byte 4
	FlashBufDir  Addr = 0x10214 // a bit per command byte, 1 output
	FlashTrDone  Addr = 0x10218 // 1 when done
	FlashDMAAddr Addr = 0x1021c
	FlashMSBCtl  Addr = 0x10220
	FlashTXCtl   Addr = 0x10224
)

// Fields of FlashCmdCnt.
const (
	FlashCmdBytesMask  = 0x7f
	FlashStart         = 1 << 7
	FlashWriteCntShift = 8 // bits 27:8
	FlashWriteCntMask  = 0xfffff << FlashWriteCntShift
)

// Test firmware and crypto engines, in special builds only (3.7).
const (
	ATEStartTX Addr = 0x10a8
	ATEStopTX  Addr = 0x10ac
	ATEStartRX Addr = 0x10b0
	SHA256     Addr = 0x180000
	BigInt     Addr = 0x180080
)

// Memory windows for block access (3.8).
const (
	DataMemory    Addr = 0x30000 // hosts OR this to 16-bit pointers
	DataMemoryEnd Addr = 0x40000
	SharedMemory  Addr = 0xd0000 // packet memory; flash staging starts here
	StagingLen         = 32 << 10
)

var names = map[Addr]string{
	WakeClk: "WAKE_CLK", HostCortComm: "HOST_CORT_COMM", ClocksEn: "CLOCKS_EN", CortHostComm: "CORT_HOST_COMM",
	ChipID: "CHIPID", RevID: "REVID", RFRevID: "RFREVID", BTChipID: "BT_CHIPID", EfuseControl: "EFUSE_CTRL",
	WaitForHost: "WAIT_FOR_HOST", BootROM: "BOOTROM", State: "NMI_STATE", GP0: "GP_REG_0", GP1: "GP_REG_1", GP2: "GP_REG_2",
	Rev: "NMI_REV", RevATE: "NMI_REV_ATE", BootResetMux: "BOOT_RESET_MUX", GlobalReset: "GLB_RESET_0", PinMux0: "PIN_MUX_0",
	IntrEnable: "INTR_ENABLE", FlashPinMux: "FLASH_PIN_MUX", ROMIntr: "ROM_INTR", PLL0: "PLL_0", PLL1: "PLL_1", PMU: "PMU",
	SPIConfig: "SPI_CONFIG", RcvCtrl0: "RCV_CTRL_0", RcvCtrl1: "RCV_CTRL_1", RcvCtrl2: "RCV_CTRL_2", RcvCtrl3: "RCV_CTRL_3",
	RcvCtrl4: "RCV_CTRL_4", RcvCtrl5: "RCV_CTRL_5", Wake: "WAKE", GPIODirection: "GPIO_DIR", GPIOOutput: "GPIO_OUT",
	GPIOInput: "GPIO_IN", PullDisable: "PULL_DISABLE", FlashMode: "FLASH_MODE", FlashCmdCnt: "FLASH_CMD_CNT",
	FlashDataCnt: "FLASH_DATA_CNT", FlashBuf1: "FLASH_BUF1", FlashBuf2: "FLASH_BUF2", FlashBufDir: "FLASH_BUF_DIR",
	FlashTrDone: "FLASH_TR_DONE", FlashDMAAddr: "FLASH_DMA_ADDR", FlashMSBCtl: "FLASH_MSB_CTL", FlashTXCtl: "FLASH_TX_CTL",
	ATEStartTX: "ATE_START_TX", ATEStopTX: "ATE_STOP_TX", ATEStartRX: "ATE_START_RX", SHA256: "SHA256", BigInt: "BIGINT",
}

// String returns the name of the register at a, for traces, or the address in hexadecimal, with "c:"
// before it in the clockless space.
func String(a Addr) string {
	if s, ok := names[a]; ok {
		return s
	}
	hex := "0x" + strconv.FormatUint(uint64(a&^Clockless), 16)
	if a&Clockless != 0 {
		return "c:" + hex
	}
	return hex
}

// Parse returns the address that String prints as s.
func Parse(s string) (a Addr, ok bool) {
	if a, ok := addrs[s]; ok {
		return a, true
	}
	hex, clockless := strings.CutPrefix(s, "c:")
	hex, ok = strings.CutPrefix(hex, "0x")
	v, err := strconv.ParseUint(hex, 16, 24)
	if clockless {
		v |= uint64(Clockless)
	}
	return Addr(v), ok && err == nil
}

// addrs is names the other way round.
var addrs = func() map[string]Addr {
	m := make(map[string]Addr, len(names))
	for a, s := range names {
		m[s] = a
	}
	return m
}()

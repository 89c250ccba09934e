package reg

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

func TestString(t *testing.T) {
	for a, want := range map[Addr]string{
		ChipID: "CHIPID", RcvCtrl0: "RCV_CTRL_0", SPIConfig: "SPI_CONFIG", WakeClk: "WAKE_CLK", 0x01: "0x1",
		Clockless | 0x55: "c:0x55", 0xd0100: "0xd0100", 0: "0x0",
	} {
		if got := String(a); got != want {
			t.Errorf("%#x: %q, want %q", a, got, want)
		}
	}
}

// Every register has a name to print, and no two have the same.
func TestEveryRegisterHasAName(t *testing.T) {
	used := map[string]Addr{}
	for a, name := range names {
		if b, ok := used[name]; ok {
			t.Errorf("%s is both %#x and %#x", name, a, b)
		}
		used[name] = a
	}
	file, err := parser.ParseFile(token.NewFileSet(), "reg.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			if v := s.(*ast.ValueSpec); isAddr(v) && !isPlace[v.Names[0].Name] {
				declared++
			}
		}
	}
	if declared != len(names) {
		t.Errorf("%d registers declared, %d have names", declared, len(names))
	}
}

// isPlace has the constants of type Addr that are no registers.
var isPlace = map[string]bool{"AddrMask": true, "Clockless": true, "ClocklessReadMax": true, "ClocklessWriteMax": true,
	"SPIBlock": true, "SPIEnd": true, "DataMemory": true, "DataMemoryEnd": true, "SharedMemory": true}

// isAddr says whether a constant is an address: of that type, or marked as clockless.
func isAddr(v *ast.ValueSpec) bool {
	if id, ok := v.Type.(*ast.Ident); ok {
		return id.Name == "Addr"
	}
	if len(v.Values) != 1 {
		return false
	}
	b, ok := v.Values[0].(*ast.BinaryExpr)
	if !ok {
		return false
	}
	x, ok := b.X.(*ast.Ident)
	return ok && x.Name == "Clockless"
}

// The values of host-bus 2.5 and 4.1 that hosts write or wait for.
func TestBootValues(t *testing.T) {
	if SPIConfigAtReset != 0x2e || SPIConfigHost != 0x52 {
		t.Errorf("SPI_CONFIG %#x at reset, %#x by hosts", SPIConfigAtReset, SPIConfigHost)
	}
	if GlobalResetAtReset&CPURun != 0 || GlobalResetAtReset == 0 {
		t.Error("after reset the CPU is held, and the register is not 0")
	}
	if GP1UsePMU|GP1Reserved8 != 0x102 {
		t.Errorf("configuration of common hosts is %#x", GP1UsePMU|GP1Reserved8)
	}
	if FlashPadsConnected != 0x1111000 || FlashPadsParked != 0x10000 || FlashPadsMask != 0x7777000 {
		t.Error("flash pads")
	}
}

// What String prints, Parse reads.
func TestParse(t *testing.T) {
	for a := range names {
		if got, ok := Parse(String(a)); !ok || got != a {
			t.Errorf("%s: %#x, %v, want %#x", String(a), got, ok, a)
		}
	}
	for _, a := range []Addr{0, 1, 0xd0100, AddrMask, Clockless, Clockless | 0x7ff} {
		if got, ok := Parse(String(a)); !ok || got != a {
			t.Errorf("%s: %#x, %v, want %#x", String(a), got, ok, a)
		}
	}
	for _, s := range []string{"", "CHIP", "0x", "c:", "c:0x", "c:0xg", "12", "0x1000000", "0x-1", "0xc:1"} {
		if a, ok := Parse(s); ok {
			t.Errorf("%q is %#x", s, a)
		}
	}
}

package hif

import (
	"bytes"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestOpNames(t *testing.T) {
	for op, want := range map[Op]string{
		OpSend: "IP/SEND", OpConnect: "WIFI/CONN", OpConnectOld: "WIFI/CONNECT", OpSockConnect: "IP/CONNECT", OpUpdateStatus: "OTA/UPDATE_STATUS",
		OpSetCipherSuites: "SSL/SET_CS_LIST", OpRSAVerifyDone: "CRYPTO/RSA_VERIFY_RESP", MakeOp(GroupSigma, 13): "SIGMA/SET_TIME",
		MakeOp(GroupWiFi, 99): "WIFI/99", MakeOp(12, 3): "group(12)/3", MakeOp(GroupMain, 0): "MAIN/0",
	} {
		if got := op.String(); got != want {
			t.Errorf("%#x: %q, want %q", uint16(op), got, want)
		}
	}
}

// Each opcode of the list in spec hif-messages 2.1 has its number and its name.
func TestWiFiOpcodesOfTheSpec(t *testing.T) {
	list := `1 RESTART 2 SET_MAC_ADDRESS 4 CURRENT_RSSI 6 CONN_INFO 9 PROVISION_INFO 11 SET_SYS_TIME 15 CUST_INFO_ELEMENT
		16 SCAN 17 SCAN_DONE 19 SCAN_RESULT 20 SET_SCAN_OPTION 26 GET_SYS_TIME 27 SYS_TIME 31 GET_PRNG 33 SCAN_SSID_LIST
		35 PASSIVE_SCAN 37 CONFIG_SNTP 39 DELETE_APID 40 CONNECT 43 DISCONNECT 44 CON_STATE_CHANGED 45 SLEEP 50 DHCP_CONF
		52 IP_CONFLICT 58 DOZE 59 CONN 60 IND_CONN_PARAM 61 DHCP_FAILURE 70 ENABLE_AP 71 DISABLE_AP 105 ROAMING
		107 SET_STOP_SCAN_OPTION`
	f := strings.Fields(list)
	for i := 0; i < len(f); i += 2 {
		var n uint8
		for _, c := range f[i] {
			n = n*10 + uint8(c-'0')
		}
		if got := MakeOp(GroupWiFi, n).String(); got != "WIFI/"+f[i+1] {
			t.Errorf("%d: %s, want %s", n, got, f[i+1])
		}
	}
}

func TestHM02_IPConfigLayoutByDriverVersion(t *testing.T) {
	for word, want := range map[VersionWord]int{
		0: 16, 0x13301344: 16, 0x1352134f: 16, 0x13521350: 20, 0x13521352: 20, 0x13301353: 20,
		0x13301354: 24, 0x13301361: 24, 0x13301377: 24,
	} {
		if got := IPConfigSize(word.Low()); got != want {
			t.Errorf("%#x: %d, want %d", uint32(word), got, want)
		}
		if got := len(IPConfig{Size: want}.Append(nil)); got != want {
			t.Errorf("layout of %d bytes has %d", want, got)
		}
	}
}

func TestHM03_BytesBehindTheFourthAreIgnored(t *testing.T) {
	a, err := ParseHeader([]byte{2, 0x41, 0x14, 0})
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseHeader([]byte{2, 0x41, 0x14, 0, 0xde, 0xad, 0xbe, 0xef})
	if err != nil || a != b {
		t.Errorf("%v, %v; want %v", b, err, a)
	}
}

func TestHM04_GroupsThatHostsTake(t *testing.T) {
	for g, want := range map[Group]bool{GroupMain: false, GroupWiFi: true, GroupIP: true, GroupHIF: false, GroupOTA: true,
		GroupSSL: true, GroupCrypto: true, GroupSigma: true, GroupInternal: false, 9: false, 255: false} {
		if got := g.Deliverable(); got != want {
			t.Errorf("%v: %v", g, got)
		}
	}
}

func TestHM05_DataBitIsOnTheRegisterOnly(t *testing.T) {
	op := MakeOp(GroupIP, 0x45|0x80)
	if op != OpSend {
		t.Errorf("MakeOp keeps the data bit: %#x", uint16(op))
	}
	if b := (Header{Op: op, Len: 8}).Append(nil); b[1] != 0x45 {
		t.Errorf("header with opcode %#x", b[1])
	}
	if h, _ := ParseHeader([]byte{2, 0xc5, 8, 0}); h.Op != OpSend {
		t.Errorf("parsed %v", h.Op)
	}
	if r := ParseRequest(Request{Op: op, Data: true, Len: 8}.Word()); !r.Data || r.Op != OpSend {
		t.Errorf("request %+v", r)
	}
}

func TestHeaderThatCannotBe(t *testing.T) {
	for _, b := range [][]byte{nil, {1}, {1, 2, 8}} {
		if _, err := ParseHeader(b); err != ErrShort {
			t.Errorf("% x: %v", b, err)
		}
	}
	if _, err := ParseHeader([]byte{1, 2, 7, 0}); err != ErrInvalid {
		t.Errorf("length 7: %v", err)
	}
}

func TestHM12_RecvSaysWhatTheHostCanTake(t *testing.T) {
	m, err := ParseRecv(Recv{Timeout: 5, Sock: 3, Session: 7, HasBuffer: true, Buffer: 100}.Append(nil))
	if err != nil || !m.HasBuffer || m.Buffer != 100 {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err = ParseRecv(Recv{Timeout: 5, Sock: 3, Session: 7}.Append(nil)); err != nil || m.HasBuffer {
		t.Errorf("%+v, %v", m, err)
	}
}

// Fields behind the NUL of a text are what was on the host's stack (2.2).
func TestGarbageBehindText(t *testing.T) {
	b := ConnectOld{SSID: "net", Channel: 1, Credentials: Credentials{Security: SecurityPSK, Passphrase: "secret99"}}.Append(nil)
	for i := 9; i < 65; i++ {
		b[i] = 0xa5
	}
	for i := oldSSID + 4; i < oldNoSave; i++ {
		b[i] = 0xa5
	}
	b[66], b[67], b[105], b[107] = 0xa5, 0xa5, 0xa5, 0xa5
	m, err := ParseConnectOld(b)
	if err != nil || m.SSID != "net" || m.Passphrase != "secret99" {
		t.Errorf("%+v, %v", m, err)
	}
}

// An open network announced with 152 bytes of credentials that are not there, as one host does.
func TestCredentialSizeIsNotBelieved(t *testing.T) {
	b := Connect{SSID: "net", Channel: 1, Credentials: Credentials{Security: SecurityOpen}}.Append(nil)
	b[0] = 152
	if m, err := ParseConnect(b); err != nil || m.SSID != "net" {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestFieldsWithImpossibleValues(t *testing.T) {
	edit := func(m Payload, at int, v ...byte) []byte {
		b := m.Append(nil)
		copy(b[at:], v)
		return b
	}
	psk := Connect{SSID: "n", Credentials: Credentials{Security: SecurityPSK, Passphrase: "12345678"}}
	wep := Connect{SSID: "n", Credentials: Credentials{Security: SecurityWEP, WEPKey: "0123456789"}}
	for name, c := range map[string]struct {
		b     []byte
		parse func([]byte) (Payload, error)
		want  error
	}{
		"SSID longer than its field":          {edit(psk, 4, 33), as(ParseConnect), ErrInvalid},
		"passphrase longer than its field":    {edit(psk, 48, 65), as(ParseConnect), ErrInvalid},
		"credentials cut off":                 {psk.Append(nil)[:60], as(ParseConnect), ErrShort},
		"WEP key of 6 bytes":                  {edit(wep, 49, 6), as(ParseConnect), ErrInvalid},
		"WEP key cut off":                     {wep.Append(nil)[:55], as(ParseConnect), ErrShort},
		"channel 256":                         {edit(ConnectOld{SSID: "n"}, 69, 1), as(ParseConnectOld), ErrInvalid},
		"five SSIDs":                          {[]byte{1, 0, 0, 0, 5, 0, 0, 0, 0, 0}, as(ParseScanSSIDList), ErrInvalid},
		"SSID list cut off":                   {[]byte{1, 0, 0, 0, 2, 1, 'a', 2, 'b'}, as(ParseScanSSIDList), ErrShort},
		"SSID of 33 bytes":                    {append([]byte{1, 0, 0, 0, 1, 33}, make([]byte, 33)...), as(ParseScanSSIDList), ErrInvalid},
		"host name of 65 bytes":               {[]byte(strings.Repeat("a", 65)), as(ParseDNSResolve), ErrInvalid},
		"no host name":                        {[]byte{0, 'a'}, as(ParseDNSResolve), ErrShort},
		"data inside the head of a reply":     {edit(RecvReply{Status: 1, Data: []byte{1}}, 10, 15, 0), as(ParseRecvReply), ErrInvalid},
		"option value of 65 bytes":            {edit(SSLOption{}, 4, 65), as(ParseSSLOption), ErrInvalid},
		"option value of 4 GiB":               {edit(SSLOption{}, 4, 0xff, 0xff, 0xff, 0xff), as(ParseSSLOption), ErrInvalid},
		"URL of 256 bytes":                    {[]byte(strings.Repeat("a", 256)), as(ParseURL), ErrInvalid},
		"file block of 129 bytes":             {edit(FileData{}, 0, 129), as(ParseFileData), ErrInvalid},
		"1581 random bytes":                   {[]byte{0, 0, 0, 0, 0x2d, 6, 0, 0}, as(ParsePRNG), ErrInvalid},
		"Ethernet frame cut off":              {edit(SendEthernet{Frame: make([]byte, 60)}, 0, 61), as(ParseSendEthernet), ErrShort},
		"certificate cut off":                 {edit(ConnectParam{Data: make([]byte, 4)}, 6, 5), as(ParseConnectParam), ErrShort},
		"information element cut off":         {[]byte{4, 1, 2, 3}, as(ParseCustomIE), ErrShort},
		"information elements of 252 bytes":   {append([]byte{252}, make([]byte, 252)...), as(ParseCustomIE), ErrInvalid},
		"own certificates, another mark":      {[]byte{1, 2, 0, 0, 0, 0, 0, 0}, as(ParseOwnCerts), ErrInvalid},
		"own certificates, cut":               {OwnCerts{Total: 2, Chunk: 2, Data: make([]byte, 7)}.Append(nil), as(ParseOwnCerts), ErrShort},
		"revoked certificate, serial too big": {edit(CRL{}, 4, 65), as(ParseCRL), ErrInvalid},
	} {
		if m, err := c.parse(c.b); err != c.want {
			t.Errorf("%s: %v (%+v), want %v", name, err, m, c.want)
		}
	}
}

// Text that is too long for its field is cut, and the NUL stays.
func TestAppendCutsText(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, m := range []Payload{ConnInfo{SSID: long}, ScanResult{SSID: long}, DeviceName{Name: long}, DNSReply{Name: long},
		ConnectOld{SSID: long, Credentials: Credentials{Security: SecurityPSK, Passphrase: long}},
		ConnectOld{Credentials: Credentials{Security: SecurityWEP, WEPKey: long}},
		ConnectOld{Credentials: Credentials{Security: SecurityEnterprise, User: long, Password: long}},
		Connect{SSID: long, Credentials: Credentials{Security: SecurityPSK, Passphrase: long}},
		Connect{SSID: long, Credentials: Credentials{Security: SecurityWEP, WEPKey: long}},
		APConfig{SSID: long, Security: SecurityPSK, Key: long}, APConfig{SSID: long, Security: SecurityWEP, Key: long, Size: 70},
		Provision{AP: APConfig{Size: 70}, Domain: long}, StartUpdateV2{URL: long, SNI: long}, SNTPConfig{Server: long},
		SSLOption{Value: []byte(long)}, FileData{Data: []byte(long)}, WPSReply{SSID: long, Passphrase: long},
		ProvisionInfo{SSID: long, Passphrase: long}, DeleteAPID{SSID: long}, Revision{BuildDate: long, BuildTime: long},
		CRL{Entries: [][]byte{[]byte(long)}}} {
		empty := reflect.New(reflect.TypeOf(m)).Elem().Interface().(Payload)
		want := len(empty.Append(nil))
		switch e := m.(type) {
		case Connect:
			want = ConnectLen + wepPart
			if e.Security == SecurityPSK {
				want = ConnectLen + pskPart
			}
		case APConfig:
			want = APConfigLen148
			if e.Size == 70 {
				want = 70
			}
		case Provision:
			want = ProvisionLen138
		}
		if got := len(m.Append(nil)); got != want {
			t.Errorf("%T: %d bytes, want %d", m, got, want)
		}
	}
}

func TestVersions(t *testing.T) {
	w := MakeVersionWord(V19_7_7, V19_3_0)
	if uint32(w) != 0x13301377 || w.Low() != V19_7_7 || w.High() != V19_3_0 {
		t.Errorf("word %#x", uint32(w))
	}
	if s := V19_7_7.String(); s != "19.7.7" {
		t.Error(s)
	}
	if MakeVersion(19, 5, 2) != V19_5_2 || !(V19_5_2 < V19_5_4) || !(V19_7_7 < MakeVersion(20, 0, 0)) {
		t.Error("versions do not compare")
	}
}

func TestSysTime(t *testing.T) {
	at := time.Date(2024, 2, 29, 23, 59, 58, 999, time.FixedZone("", 3600))
	m := MakeSysTime(at)
	if m != (SysTime{2024, 2, 29, 22, 59, 58}) || !m.Time().Equal(at.Truncate(time.Second)) {
		t.Errorf("%+v, %v", m, m.Time())
	}
	if MakeSysTime(time.Time{}) != (SysTime{}) || !(SysTime{}).Time().IsZero() {
		t.Error("an unknown time is not zero")
	}
}

func TestNoAllocationOnTheWayOfData(t *testing.T) {
	buf := make([]byte, 0, MaxLen)
	data := make([]byte, MaxSend)
	remote := netip.MustParseAddrPort("10.0.0.1:80")
	allocs := testing.AllocsPerRun(100, func() {
		b := AppendMessage(buf[:0], OpRecv, RecvReply{Remote: remote, Status: MaxSend, Session: 1, Data: data})
		h, err := ParseHeader(b)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := ParseRecvReply(b[HeaderLen:h.Len]); err != nil || len(m.Data) != MaxSend {
			t.Fatal(err)
		}
		b = AppendMessage(buf[:0], OpSend, Send{Sock: 1, Size: MaxSend, Session: 1})
		if _, err := ParseSend(b[HeaderLen:]); err != nil {
			t.Fatal(err)
		}
		b = AppendMessage(buf[:0], OpSend, SendReply{Sock: 1, Status: MaxSend, Session: 1})
		if _, err := ParseSendReply(b[HeaderLen:]); err != nil {
			t.Fatal(err)
		}
		b = AppendMessage(buf[:0], OpRecv, Recv{Timeout: NoTimeout, Session: 1})
		if _, err := ParseRecv(b[HeaderLen:]); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestBH13_SpareBytesOfAHeaderAreZero(t *testing.T) {
	buf := bytes.Repeat([]byte{0xa5}, 64) // what was there before must not show
	b := AppendMessage(buf[:0], OpClose, Close{Sock: 3, Session: 7})
	if !bytes.Equal(b[4:8], make([]byte, 4)) {
		t.Errorf("% x", b)
	}
}

func TestBH14_TheLongestSendFitsAMessage(t *testing.T) {
	if HeaderLen+TCPDataOffset+MaxSend > MaxLen || HeaderLen+UDPDataOffset+MaxSend > MaxLen || MaxLen != 1596 {
		t.Error("a send of 1400 bytes does not fit")
	}
	if n := (Notice{Pending: true, Size: MaxLen}).Word() >> 2 & 0xfff; n != MaxLen {
		t.Errorf("a notice holds %d", n)
	}
}

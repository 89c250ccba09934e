package hif

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// golden is a row of spec hif-messages 3.17, or built from a layout table of it: the register word,
// the first four bytes of the header and the payload, in hexadecimal; "xx" is a byte that hosts leave
// undefined and we send as 0.
type golden struct {
	name    string
	op      Op
	data    bool // the data-packet bit
	reg     uint32
	toHost  bool // reg is the notice of a device, not the request of a host
	header  string
	payload string
	msg     Payload
	parse   func(b []byte) (Payload, error)
}

// as makes a uniform function of a parser.
func as[P Payload](f func([]byte) (P, error)) func([]byte) (Payload, error) {
	return func(b []byte) (Payload, error) { return f(b) }
}

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

var server = at("93.184.216.34:80")

var goldens = []golden{
	{"BIND", OpBind, false, 0x00144102, false, "02 41 14 00", "02 00 14 E9 00 00 00 00 07 xx 01 00",
		Bind{Addr: at("0.0.0.0:5353"), Sock: 7, Session: 1}, as(ParseBind)},
	{"BIND reply", OpBind, false, 0x31, true, "02 41 0C 00", "07 00 01 00", BindReply{Sock: 7, Session: 1}, as(ParseBindReply)},
	{"LISTEN", OpListen, false, 0x000C4202, false, "02 42 0C 00", "01 02 05 00", Listen{Sock: 1, Backlog: 2, Session: 5}, as(ParseListen)},
	{"LISTEN reply, too many", OpListen, false, 0x31, true, "02 42 0C 00", "01 F9 05 00",
		BindReply{Sock: 1, Status: StatusTooManyListen, Session: 5}, as(ParseBindReply)},
	{"CONNECT", OpSockConnect, false, 0x00144402, false, "02 44 14 00", "02 00 00 50 5D B8 D8 22 00 xx 03 00",
		SockConnect{Addr: server, Session: 3}, as(ParseSockConnect)},
	{"CONNECT reply", OpSockConnect, false, 0x31, true, "02 44 0C 00", "00 00 58 00", SockConnectReply{AppDataOffset: 88}, as(ParseSockConnectReply)},
	{"CONNECT reply, refused", OpSockConnect, false, 0x31, true, "02 44 0C 00", "06 F4 00 00",
		SockConnectReply{Sock: 6, Status: StatusAborted}, as(ParseSockConnectReply)},
	{"SSL_CONNECT", OpSSLConnect, false, 0x00144B02, false, "02 4B 14 00", "02 00 01 BB 5D B8 D8 22 02 61 04 00",
		SockConnect{Addr: at("93.184.216.34:443"), Sock: 2, Flags: TLSActive | TLSNoTXCopy | TLSCheckSNI, Session: 4}, as(ParseSockConnect)},
	{"ALPN reply", OpSSLConnectALPN, false, 0x41, true, "02 57 10 00", "02 00 5D 00 01 00 00 00",
		ALPNReply{SockConnectReply{Sock: 2, AppDataOffset: 93}, 1}, as(ParseALPNReply)},
	{"SEND reply", OpSend, false, 0x41, true, "02 45 10 00", "00 00 05 00 03 00 00 00", SendReply{Status: 5, Session: 3}, as(ParseSendReply)},
	{"SEND reply, aborted", OpSend, false, 0x41, true, "02 45 10 00", "00 00 F4 FF 03 00 00 00", SendReply{Status: StatusAborted, Session: 3}, as(ParseSendReply)},
	{"RECV", OpRecv, false, 0x00104602, false, "02 46 10 00", "FF FF FF FF 00 xx 03 00", Recv{Timeout: NoTimeout, Session: 3}, as(ParseRecv)},
	{"RECV 19.7.7", OpRecv, false, 0x00144602, false, "02 46 14 00", "E8 03 00 00 00 xx 03 00 78 05 xx xx",
		Recv{Timeout: 1000, Session: 3, HasBuffer: true, Buffer: 1400}, as(ParseRecv)},
	{"RECV reply", OpRecv, false, 0x75, true, "02 46 1D 00", "02 00 00 50 5D B8 D8 22 05 00 10 00 00 00 03 00 77 6F 72 6C 64",
		RecvReply{Remote: server, Status: 5, Offset: 16, Session: 3, Data: []byte("world")}, as(ParseRecvReply)},
	{"RECV reply, closed", OpRecv, false, 0x61, true, "02 46 18 00", "00 00 00 00 00 00 00 00 00 00 10 00 00 00 03 00",
		RecvReply{Session: 3}, as(ParseRecvReply)},
	{"CLOSE", OpClose, false, 0x000C4902, false, "02 49 0C 00", "00 xx 03 00", Close{Session: 3}, as(ParseClose)},
	{"ACCEPT", OpAccept, false, 0x51, true, "02 43 14 00", "02 00 9C 40 C0 A8 01 07 01 02 58 00",
		Accept{Peer: at("192.168.1.7:40000"), Listener: 1, Sock: 2, AppDataOffset: 88}, as(ParseAccept)},
	{"DNS_RESOLVE", OpDNSResolve, false, 0x00144A02, false, "02 4A 14 00", hex.EncodeToString([]byte("example.com\x00")),
		DNSResolve{Name: "example.com"}, as(ParseDNSResolve)},
	{"DNS_RESOLVE reply", OpDNSResolve, false, 0x131, true, "02 4A 4C 00", hex.EncodeToString([]byte("example.com")) + zero(53) + "5DB8D822",
		DNSReply{Name: "example.com", IP: [4]byte{93, 184, 216, 34}}, as(ParseDNSReply)},
	{"PING", OpPing, false, 0x00145202, false, "02 52 14 00", "C0 A8 01 01 78 56 34 12 01 00 80 xx",
		Ping{IP: [4]byte{192, 168, 1, 1}, Private: 0x12345678, Count: 1, TTL: 128}, as(ParsePing)},
	{"PING reply", OpPing, false, 0x71, true, "02 52 1C 00", "C0 A8 01 01 78 56 34 12 0C 00 00 00 01 00 00 00 00 00 00 00",
		PingReply{IP: [4]byte{192, 168, 1, 1}, Private: 0x12345678, RTT: 12, Success: 1}, as(ParsePingReply)},
	{"SET_SOCKET_OPTION", OpSetSocketOpt, false, 0x00104F02, false, "02 4F 10 00", "E0 00 00 FB 07 01 09 00",
		SocketOption{Value: GroupValue([4]byte{224, 0, 0, 251}), Sock: 7, Option: OptJoinGroup, Session: 9}, as(ParseSocketOption)},
	{"SSL_CREATE", OpSSLCreate, false, 0x000C5002, false, "02 50 0C 00", "03 00 00 00", SSLCreate{Sock: 3}, as(ParseSSLCreate)},
	{"SSL_SET_SOCK_OPT", OpSSLSetOpt, false, 0x00505102, false, "02 51 50 00", "03 02 07 00 04 00 00 00 61 2E 62 63" + zero(60),
		SSLOption{Sock: 3, Option: SSLOptSNI, Session: 7, Value: []byte("a.bc")}, as(ParseSSLOption)},
	{"STATIC_IP_CONF", OpStaticIP, false, 0x001C0A02, false, "02 0A 1C 00", "C0 A8 01 32 C0 A8 01 01 C0 A8 01 01 FF FF FF 00 00 00 00 00",
		IPConfig{IP: [4]byte{192, 168, 1, 50}, Gateway: [4]byte{192, 168, 1, 1}, DNS: [4]byte{192, 168, 1, 1}, Mask: [4]byte{255, 255, 255}, Size: 20}, as(ParseIPConfig)},
	{"CON_STATE_CHANGED", OpStateChanged, false, 0x31, true, "01 2C 0C 00", "01 00 00 00", StateChanged{State: Connected}, as(ParseStateChanged)},
	{"CON_STATE_CHANGED, wrong key", OpStateChanged, false, 0x31, true, "01 2C 0C 00", "00 03 00 00", StateChanged{Error: ConnAuthFail}, as(ParseStateChanged)},
	{"DHCP_CONF 16", OpDHCPConf, false, 0x61, true, "01 32 18 00", "C0 A8 01 32 C0 A8 01 01 C0 A8 01 01 FF FF FF 00", lease(16), as(ParseIPConfig)},
	{"DHCP_CONF 20", OpDHCPConf, false, 0x71, true, "01 32 1C 00", "C0 A8 01 32 C0 A8 01 01 C0 A8 01 01 FF FF FF 00 80 51 01 00", lease(20), as(ParseIPConfig)},
	{"DHCP_CONF 24", OpDHCPConf, false, 0x81, true, "01 32 20 00", "C0 A8 01 32 C0 A8 01 01 C0 A8 01 01 00 00 00 00 FF FF FF 00 80 51 01 00", lease(24), as(ParseIPConfig)},
	{"CONNECT old, PSK", OpConnectOld, false, 0x00742801, false, "01 28 74 00",
		hex.EncodeToString([]byte("secret99")) + zero(57) + "02 0000 0600" + hex.EncodeToString([]byte("net")) + zero(30) + "01 00000000",
		ConnectOld{SSID: "net", Channel: 6, NoSave: true, Credentials: Credentials{Security: SecurityPSK, Passphrase: "secret99"}}, as(ParseConnectOld)},
	{"CONNECT old, WEP", OpConnectOld, false, 0x00742801, false, "01 28 74 00",
		"01 0A" + hex.EncodeToString([]byte("0123456789")) + zero(53) + "03 0000 FF00" + hex.EncodeToString([]byte("net")) + zero(30) + "00 00000000",
		ConnectOld{SSID: "net", Channel: AllChannels, Credentials: Credentials{Security: SecurityWEP, WEPIndex: 1, WEPKey: "0123456789"}}, as(ParseConnectOld)},
	{"CONNECT old, 802.1X", OpConnectOld, false, 0x00742801, false, "01 28 74 00",
		hex.EncodeToString([]byte("joe")) + zero(18) + hex.EncodeToString([]byte("pw")) + zero(39) + zero(3) + "04 0000 0100" + hex.EncodeToString([]byte("net")) + zero(30) + "00 00000000",
		ConnectOld{SSID: "net", Channel: 1, Credentials: Credentials{Security: SecurityEnterprise, User: "joe", Password: "pw"}}, as(ParseConnectOld)},
	{"CONN, PSK", OpConnect, true, 0x00A4BB01, false, "01 3B A4 00",
		"9800 03 05 03" + hex.EncodeToString([]byte("net")) + zero(29) + "01 020000000001 02 000000" +
			"08" + hex.EncodeToString([]byte("secret99")) + zero(99),
		Connect{SSID: "net", Channel: 6, Store: StoreCredentials | StoreEncrypted, HasBSSID: true, BSSID: [6]byte{2, 0, 0, 0, 0, 1},
			Credentials: Credentials{Security: SecurityPSK, Passphrase: "secret99"}}, as(ParseConnect)},
	{"CONN, WEP", OpConnect, true, 0x0048BB01, false, "01 3B 48 00",
		"3C00 00 FF 03" + hex.EncodeToString([]byte("net")) + zero(29) + "00 000000000000 03 000000" + "02 05 0123456789" + zero(9),
		Connect{SSID: "net", Channel: AllChannels, Credentials: Credentials{Security: SecurityWEP, WEPIndex: 2, WEPKey: "0123456789"}}, as(ParseConnect)},
	{"CONN, open", OpConnect, false, 0x00383B01, false, "01 3B 38 00",
		"2C00 00 00 03" + hex.EncodeToString([]byte("net")) + zero(29) + "00 000000000000 01 000000",
		Connect{SSID: "net", Channel: 1, Credentials: Credentials{Security: SecurityOpen}}, as(ParseConnect)},
	{"ENABLE_AP 136", OpEnableAP, false, 0x00904601, false, "01 46 90 00",
		hex.EncodeToString([]byte("ap")) + zero(31) + "06 00 08" + zero(27) + "02 01 C0A80101" + hex.EncodeToString([]byte("secret99")) + zero(57+2), softAP(136), as(ParseAPConfig)},
	{"ENABLE_AP 70", OpEnableAP, false, 0x004E4601, false, "01 46 4E 00",
		hex.EncodeToString([]byte("ap")) + zero(31) + "05 01 0A" + hex.EncodeToString([]byte("0123456789")) + zero(17) + "03 00 C0A80101 00",
		APConfig{SSID: "ap", Channel: 6, Security: SecurityWEP, IP: [4]byte{192, 168, 1, 1}, Key: "0123456789", WEPIndex: 1, Size: 70}, as(ParseAPConfig)},
	{"ENABLE_AP 148", OpEnableAP, true, 0x009CC601, false, "01 46 9C 00",
		hex.EncodeToString([]byte("ap")) + zero(31) + "06 00 08" + zero(27) + "02 01 C0A80101" + hex.EncodeToString([]byte("secret99")) + zero(57+2) +
			"C0A80101 C0A80101 00000000", softAP(148), as(ParseAPConfig)},
	{"START_PROVISION 204", OpStartProvision, true, 0x00D48801, false, "01 08 D4 00",
		hex.EncodeToString([]byte("ap")) + zero(31) + "06 00 08" + zero(27) + "02 01 C0A80101" + hex.EncodeToString([]byte("secret99")) + zero(57+2) +
			hex.EncodeToString([]byte("page")) + zero(60) + "01 000000", Provision{AP: softAP(136), Domain: "page", Redirect: true}, as(ParseProvision)},
	{"START_PROVISION 216", OpStartProvision, true, 0x00E08801, false, "01 08 E0 00",
		hex.EncodeToString([]byte("ap")) + zero(31) + "06 00 08" + zero(27) + "02 01 C0A80101" + hex.EncodeToString([]byte("secret99")) + zero(57+2) +
			hex.EncodeToString([]byte("page")) + zero(60) + "01 C0A80101 C0A80101 00000000 000000", Provision{AP: softAP(148), Domain: "page", Redirect: true}, as(ParseProvision)},
	{"SCAN", OpScan, false, 0x000C1001, false, "01 10 0C 00", "FF 00 xx xx", Scan{Channel: AllChannels}, as(ParseScan)},
	{"SCAN_SSID_LIST", OpScanSSIDList, true, 0x0012A101, false, "01 21 12 00", "06 00 2C 01 02 02 61 62 01 63",
		ScanSSIDList{Scan{6, 300}, []string{"ab", "c"}}, as(ParseScanSSIDList)},
	{"SCAN_DONE", OpScanDone, false, 0x31, true, "01 11 0C 00", "03 00 00 00", ScanDone{Count: 3}, as(ParseScanDone)},
	{"SCAN_RESULT", OpScanResult, false, 0xd1, true, "01 13 34 00", "01 C4 02 06 020000000001" + hex.EncodeToString([]byte("net")) + zero(31),
		ScanResult{Index: 1, RSSI: -60, Security: SecurityPSK, Channel: 6, BSSID: [6]byte{2, 0, 0, 0, 0, 1}, SSID: "net"}, as(ParseScanResult)},
	{"CURRENT_RSSI", OpRSSI, false, 0x31, true, "01 04 0C 00", "C4 00 00 00", RSSI{-60}, as(ParseRSSI)},
	{"CONN_INFO", OpConnInfo, false, 0xe1, true, "01 06 38 00", hex.EncodeToString([]byte("net")) + zero(30) + "02 C0A80132 020000000001 C4 06 0000",
		ConnInfo{SSID: "net", Security: SecurityPSK, IP: [4]byte{192, 168, 1, 50}, MAC: [6]byte{2, 0, 0, 0, 0, 1}, RSSI: -60, Channel: 6}, as(ParseConnInfo)},
	{"SYS_TIME", OpSysTime, false, 0x41, true, "01 1B 10 00", "E8 07 02 1D 17 3B 3A 00", SysTime{2024, 2, 29, 23, 59, 58}, as(ParseSysTime)},
	{"CONFIG_SNTP 36", OpConfigSNTP, false, 0x002C2501, false, "01 25 2C 00", hex.EncodeToString([]byte("*.pool")) + zero(27) + "01 0000",
		SNTPConfig{Server: "*.pool", DHCP: true}, as(ParseSNTPConfig)},
	{"CONFIG_SNTP 44", OpConfigSNTP, false, 0x00342501, false, "01 25 34 00", hex.EncodeToString([]byte("*.pool")) + zero(27) + "000000 01000000 00000000",
		SNTPConfig{Server: "*.pool", DHCP: true, Wide: true}, as(ParseSNTPConfig)},
	{"UPDATE_STATUS", OpUpdateStatus, false, 0x31, true, "04 6B 0C 00", "01 07 00 00", UpdateStatus{UpdateDownload, UpdateBadImage}, as(ParseUpdateStatus)},
	{"START_FW_UPDATE", OpStartUpdate, false, 0x00116704, false, "04 67 11 00", hex.EncodeToString([]byte("http://a\x00")), URL{"http://a"}, as(ParseURL)},
	{"SET_CS_LIST", OpSetCipherSuites, false, 0x000C0505, false, "05 05 0C 00", "D3 00 00 00", CipherSuites{0xd3}, as(ParseCipherSuites)},
	{"SHA256_INIT", OpSHA256Init, false, 0x00880106, false, "06 01 88 00", "0102" + zero(126), SHA256{Context: [128]byte{1, 2}, Data: []byte{}}, as(ParseSHA256)},
	{"SHA256_FINISH reply", OpSHA256FinishDone, false, 0x2b1, true, "06 06 AC 00", "0102" + zero(126) + "F4000000 05" + zero(31),
		SHA256Reply{Context: [128]byte{1, 2}, Result: CryptoFailed, Digest: append([]byte{5}, make([]byte, 31)...)}, as(ParseSHA256Reply)},
	{"RSA_SIGN", OpRSASign, true, 0x02308706, false, "06 07 30 02", "03" + zero(255) + "04" + zero(255) + "05" + zero(31) + "0001 0300 2000 0000",
		RSA{N: [256]byte{3}, E: [256]byte{4}, Hash: [32]byte{5}, NSize: 256, ESize: 3, HashSize: 32, Data: []byte{}}, as(ParseRSA)},
	{"RSA_SIGN reply", OpRSASignDone, false, 0x8d5, true, "06 08 35 02", "03" + zero(255) + "04" + zero(255) + "05" + zero(31) + "0001 0300 2000 0000 00000000 06",
		RSAReply{RSA: RSA{N: [256]byte{3}, E: [256]byte{4}, Hash: [32]byte{5}, NSize: 256, ESize: 3, HashSize: 32, Data: []byte{6}}}, as(ParseRSAReply)},
	{"version block", 0, false, 0, false, "", "A0031000 130707 130300" + hex.EncodeToString([]byte("Mar 01 2024\x0010:20:30\x00")) + "00 0A00 0000 55535444",
		Revision{ChipID: 0x1003a0, Firmware: V19_7_7, MinDriver: V19_3_0, BuildDate: "Mar 01 2024", BuildTime: "10:20:30", SVN: 10, Understudy: true}, as(ParseRevision)},
	{"GP structure", 0, false, 0, false, "", "C0 0C C8 0C 40 0C 80 0C", Pointers{0xcc0, 0xcc8, 0xc40, 0xc80}, as(ParsePointers)},
}

func zero(n int) string { return strings.Repeat("00", n) }

func lease(size int) IPConfig {
	m := IPConfig{IP: [4]byte{192, 168, 1, 50}, Gateway: [4]byte{192, 168, 1, 1}, DNS: [4]byte{192, 168, 1, 1},
		Mask: [4]byte{255, 255, 255}, Lease: 86400, Size: size}
	if size == 16 {
		m.Lease = 0
	}
	return m
}

func softAP(size int) APConfig {
	m := APConfig{SSID: "ap", Channel: 6, Security: SecurityPSK, Hidden: true, IP: [4]byte{192, 168, 1, 1}, Key: "secret99", Size: size}
	if size == 148 {
		m.Router, m.DNS = m.IP, m.IP
	}
	return m
}

// unhex reads hexadecimal with blanks; xx is 0.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "xx", "00").Replace(s))
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return b
}

func TestGoldenBytes(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			payload := unhex(t, g.payload)
			if got := g.msg.Append(nil); !bytes.Equal(got, payload) {
				t.Errorf("Append:\ngot  % x\nwant % x", got, payload)
			}
			got, err := g.parse(payload)
			if err != nil || !reflect.DeepEqual(got, g.msg) {
				t.Errorf("Parse: %+v, %v\nwant   %+v", got, err, g.msg)
			}
			// Longer is fine, shorter is not (1.5).
			if got, err := g.parse(append(payload[:len(payload):len(payload)], 0, 0)); err != nil {
				t.Errorf("two bytes more: %+v, %v", got, err)
			}
			if g.op == 0 {
				return
			}
			m := AppendMessage(nil, g.op, g.msg)
			if want := unhex(t, g.header); !bytes.Equal(m[:4], want) || !bytes.Equal(m[4:8], make([]byte, 4)) {
				t.Errorf("header % x, want % x", m[:8], want)
			}
			if h, err := ParseHeader(m[:4]); err != nil || h != (Header{g.op, len(m)}) {
				t.Errorf("ParseHeader: %v, %v", h, err)
			}
			if g.toHost {
				n := Notice{Pending: true, Size: len(m)}
				if n.Word() != g.reg || ParseNotice(g.reg) != n {
					t.Errorf("notice %#x, want %#x", n.Word(), g.reg)
				}
				return
			}
			r := Request{Op: g.op, Data: g.data, Len: len(m)}
			if r.Word() != g.reg || ParseRequest(g.reg) != r {
				t.Errorf("request %#x, want %#x", r.Word(), g.reg)
			}
		})
	}
}

// The sends of 3.17, whose data lie behind a gap.
func TestGoldenSends(t *testing.T) {
	for _, g := range []struct {
		op      Op
		reg     uint32
		control string
		msg     Send
		offset  int
	}{
		{OpSend, 0x005DC502, "00 xx 05 00 xxxxxxxxxxxxxxxx 03 00 xx xx", Send{Size: 5, Session: 3}, TCPDataOffset},
		{OpSendTo, 0x0050C702, "07 00 04 00 02 00 00 35 C0 A8 01 01 01 00 00 00", Send{Sock: 7, Size: 4, Addr: at("192.168.1.1:53"), Session: 1}, UDPDataOffset},
	} {
		control := unhex(t, g.control)
		if got := g.msg.Append(nil); !bytes.Equal(got, control) {
			t.Errorf("%v: % x, want % x", g.op, got, control)
		}
		if got, err := ParseSend(control); err != nil || got != g.msg {
			t.Errorf("%v: %+v, %v", g.op, got, err)
		}
		r := Request{Op: g.op, Data: true, Len: HeaderLen + g.offset + int(g.msg.Size)}
		if r.Word() != g.reg {
			t.Errorf("%v: request %#x, want %#x", g.op, r.Word(), g.reg)
		}
		payload := append(append(control, make([]byte, g.offset-SendLen)...), "hello"[:g.msg.Size]...)
		if got, err := g.msg.Data(payload, g.offset); err != nil || string(got) != "hello"[:g.msg.Size] {
			t.Errorf("%v: data %q, %v", g.op, got, err)
		}
		if _, err := g.msg.Data(payload[:len(payload)-1], g.offset); err != ErrShort {
			t.Errorf("%v: cut data: %v", g.op, err)
		}
		if _, err := g.msg.Data(payload, SendLen-1); err != ErrInvalid {
			t.Errorf("%v: data inside the control part: %v", g.op, err)
		}
	}
}

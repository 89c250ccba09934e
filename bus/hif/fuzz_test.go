package hif

import (
	"bytes"
	"reflect"
	"testing"
)

// The parsers of each family, in an order that seeds of the fuzz targets rely on.
var families = map[string][]func([]byte) (Payload, error){
	"wifi": {as(ParseConnectOld), as(ParseConnect), as(ParseConnectParam), as(ParseDefaultConnected), as(ParseStateChanged),
		as(ParseDeleteAPID), as(ParseDeleteAPIDReply), as(ParseScan), as(ParseScanSSIDList), as(ParseScanDone),
		as(ParseGetScanResult), as(ParseScanResult), as(ParseScanOption), as(ParseScanRegion), as(ParseRSSI), as(ParseConnInfo),
		as(ParseDeviceName), as(ParseSetMAC), as(ParseSleep), as(ParseDoze), as(ParseSetting), as(ParseSetting16), as(ParseGains),
		as(ParseRoaming), as(ParseSysTime), as(ParseSetSysTime), as(ParseSNTPConfig), as(ParseAPConfig), as(ParseProvision),
		as(ParseProvisionInfo), as(ParseWPS), as(ParseWPSReply), as(ParseIPConfig), as(ParseIPConflict), as(ParseSendEthernet),
		as(ParseEthernet), as(ParseMulticastMAC), as(ParseMonitor), as(ParseWiFiRX), as(ParseSendWiFi), as(ParsePRNG),
		as(ParsePRNGReply), as(ParseCustomIE), as(ParseAutoRate), as(ParseRevision), as(ParsePointers)},
	"ip": {as(ParseBind), as(ParseListen), as(ParseBindReply), as(ParseAccept), as(ParseSockConnect), as(ParseSockConnectReply),
		as(ParseALPNReply), as(ParseClose), as(ParseSocketOption), as(ParseSend), as(ParseSendReply), as(ParseRecv),
		as(ParseRecvReply), as(ParseDNSResolve), as(ParseDNSReply), as(ParsePing), as(ParsePingReply), as(ParseSSLCreate),
		as(ParseSSLOption), as(ParseSSLExpCheck)},
	"ota": {as(ParseURL), as(ParseStartUpdateV2), as(ParseUpdateStatus), as(ParseUpdateInfo), as(ParseFileStatus), as(ParseReadFile),
		as(ParseFileData), as(ParseFileErased), as(ParseLimits), as(ParseProgress)},
	"ssl":    {as(ParseCipherSuites), as(ParseECC), as(ParseCRL), as(ParseOwnCerts), as(ParseOwnCertsReply)},
	"crypto": {as(ParseSHA256), as(ParseSHA256Reply), as(ParseRSA), as(ParseRSAReply)},
}

// fuzzFamily feeds arbitrary bytes to the parsers of a family: the first byte chooses one. What was
// parsed must survive Append and Parse unchanged, and Append must stay within a message.
func fuzzFamily(f *testing.F, name string) {
	parsers := families[name]
	for i, parse := range parsers {
		f.Add(uint8(i), make([]byte, 400))
		f.Add(uint8(i), bytes.Repeat([]byte{1, 0, 2}, 300))
		for _, g := range goldens {
			b := unhex(f, g.payload)
			if m, err := parse(b); err == nil && reflect.TypeOf(m) == reflect.TypeOf(g.msg) {
				f.Add(uint8(i), b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, i uint8, b []byte) {
		parse := parsers[int(i)%len(parsers)]
		if len(b) > MaxPayload {
			b = b[:MaxPayload]
		}
		m, err := parse(b)
		if err != nil {
			if err != ErrShort && err != ErrInvalid {
				t.Fatalf("%T: error %v", m, err)
			}
			return
		}
		out := m.Append(nil)
		if len(out) > MaxPayload+64 {
			t.Fatalf("%T: %d bytes", m, len(out))
		}
		again, err := parse(out)
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%T: got %+v (%v), was %+v", m, again, err, m)
		}
	})
}

func FuzzWiFi(f *testing.F)   { fuzzFamily(f, "wifi") }
func FuzzIP(f *testing.F)     { fuzzFamily(f, "ip") }
func FuzzOTA(f *testing.F)    { fuzzFamily(f, "ota") }
func FuzzSSL(f *testing.F)    { fuzzFamily(f, "ssl") }
func FuzzCrypto(f *testing.F) { fuzzFamily(f, "crypto") }

func FuzzHeader(f *testing.F) {
	f.Add([]byte{2, 0x45, 0x5d, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if err != nil {
			return
		}
		if again, err := ParseHeader(h.Append(nil)); err != nil || again != h {
			t.Fatalf("got %+v (%v), was %+v", again, err, h)
		}
		_ = h.Op.String()
	})
}

// Every parser says ErrShort to nothing and to one byte.
func TestShortPayloads(t *testing.T) {
	for name, parsers := range families {
		for i, parse := range parsers {
			for _, b := range [][]byte{nil, {0}} {
				m, err := parse(b)
				if _, ok := m.(CustomIE); ok && len(b) == 1 {
					continue // no elements: one byte is all there is
				}
				if err != ErrShort {
					t.Errorf("%s %d %T: %d bytes: %v", name, i, m, len(b), err)
				}
			}
		}
	}
}

package device

import (
	"time"

	"github.com/understudy-net/understudy/bus/hif"
)

// request is a message of the host, in one of the inbox's buffers.
type request struct {
	hif.Op
	payload []byte
	buffer  int // in which it lies, for those that must wait
}

// dispatch acts on a request. Layouts are chosen by length where releases differ [HM-02]; a payload that is too short
// for its layout has no effect but is counted; unknown requests are counted and harmless.
func (f *firmware) dispatch(now time.Time, r request) {
	switch r.Op.Group() {
	case hif.GroupIP:
		f.ipRequest(now, r)
	case hif.GroupWiFi:
		f.wifiRequest(now, r)
	case hif.GroupOTA:
		f.otaRequest(now, r)
	case hif.GroupSSL:
		f.sslRequest(now, r)
	case hif.GroupCrypto:
		f.cryptoRequest(now, r)
	default:
		f.unknown(now, r)
	}
}

// parsed runs do with the message of r, or counts it as malformed.
func parsed[M any](f *firmware, now time.Time, r request, parse func([]byte) (M, error), do func(time.Time, M)) {
	m, err := parse(r.payload)
	if err != nil {
		f.malformed(now, r, err.Error())
		return
	}
	do(now, m)
}

func (f *firmware) malformed(now time.Time, r request, why string) {
	f.d.counters.Malformed++
	f.d.trace(now, EventDropped, r.Op, r.payload, why)
}

func (f *firmware) unknown(now time.Time, r request) {
	f.d.counters.Unknown++
	f.d.trace(now, EventDropped, r.Op, r.payload, "unknown request")
}

func (f *firmware) unsupported(now time.Time, r request) {
	f.d.counters.Unsupported++
	f.d.trace(now, EventDropped, r.Op, r.payload, "not supported")
}

// wifiRequest is group WIFI. Spec hif-messages 2.
func (f *firmware) wifiRequest(now time.Time, r request) {
	switch r.Op {
	case hif.OpConnectOld:
		parsed(f, now, r, hif.ParseConnectOld, f.connectOld)
	case hif.OpConnect:
		f.connectNew(now, r)
	case hif.OpDefaultConnect:
		f.defaultConnect(now)
	case hif.OpDisconnect:
		f.disconnect(now, r)
	case hif.OpEnableAP:
		f.enableAP(now, r)
	case hif.OpDisableAP:
		f.disableAP(now, r)
	case hif.OpCustomIE:
		f.customIE(now, r)
	case hif.OpDeleteAPID:
		parsed(f, now, r, hif.ParseDeleteAPID, f.deleteStored)
	case hif.OpScan, hif.OpPassiveScan, hif.OpScanSSIDList:
		f.scanRequest(now, r)
	case hif.OpGetScanResult:
		parsed(f, now, r, hif.ParseGetScanResult, f.scanResult)
	case hif.OpSetScanOption:
		parsed(f, now, r, hif.ParseScanOption, f.scanOption)
	case hif.OpSetScanRegion:
		parsed(f, now, r, hif.ParseScanRegion, f.scanRegion)
	case hif.OpSetStopScan:
		parsed(f, now, r, hif.ParseSetting, func(_ time.Time, m hif.Setting) { f.scan.stopAtFirst = m.Value != 0 })
	case hif.OpGetRSSI:
		reply(f.d, hif.OpRSSI, hif.RSSI{RSSI: f.rssi()})
	case hif.OpGetConnInfo:
		f.connInfo(now)
	case hif.OpSetDeviceName:
		parsed(f, now, r, hif.ParseDeviceName, func(_ time.Time, m hif.DeviceName) { f.setName(m.Name) })
	case hif.OpSetMAC:
		parsed(f, now, r, hif.ParseSetMAC, f.setMAC)
	case hif.OpSetSysTime:
		parsed(f, now, r, hif.ParseSetSysTime, f.setTime)
	case hif.OpGetSysTime:
		reply(f.d, hif.OpSysTime, hif.MakeSysTime(f.clock.now(now)))
	case hif.OpEnableSNTP, hif.OpDisableSNTP:
		f.enableSNTP(now, r.Op == hif.OpEnableSNTP)
	case hif.OpConfigSNTP:
		parsed(f, now, r, hif.ParseSNTPConfig, f.configSNTP)
	case hif.OpGetPRNG:
		f.random(now, r)
	case hif.OpWPS:
		f.wpsRequest(now, r)
	case hif.OpDisableWPS:
		f.stopWPS(now)
	case hif.OpSetPowerProfile, hif.OpSetTXPower, hif.OpSetBattery, hif.OpSetLogs, hif.OpSetGains, hif.OpAutoRate,
		hif.OpSetGainTable, hif.OpXOSleep, hif.OpSleep, hif.OpListenInterval, hif.OpDoze:
		// Tuning of a radio that is not there, and power states that the chip does not need (1.7, 2.13).
	case hif.OpRoaming:
		parsed(f, now, r, hif.ParseRoaming, f.setRoaming)
	case hif.OpStartProvision:
		f.startProvision(now, r)
	case hif.OpStopProvision:
		f.stopProvision(now, r)
	case hif.OpSendEthernet:
		f.sendEthernet(now, r)
	case hif.OpSetMulticastMAC:
		parsed(f, now, r, hif.ParseMulticastMAC, f.multicastMAC)
	case hif.OpEnableMonitor, hif.OpDisableMonitor, hif.OpSendWiFi, hif.OpConnectParam, hif.OpEnableP2P, hif.OpDisableP2P,
		hif.OpRestart, hif.OpRestartAP, hif.OpClientControl, hif.OpServerInit:
		f.unsupported(now, r) // no answer is due for any of them
	default:
		f.unknown(now, r) // one known host sends SSL_CREATE here (dependencies, habit 8)
	}
}

// ipRequest is group IP: addresses and sockets. Spec hif-messages 2.7, 3.
func (f *firmware) ipRequest(now time.Time, r request) {
	switch r.Op {
	case hif.OpSend, hif.OpSendTo, hif.OpSSLSend:
		f.send(now, r)
	case hif.OpRecv, hif.OpRecvFrom, hif.OpSSLRecv:
		f.recv(now, r)
	case hif.OpBind:
		parsed(f, now, r, hif.ParseBind, f.bind)
	case hif.OpListen:
		parsed(f, now, r, hif.ParseListen, f.listen)
	case hif.OpSockConnect:
		parsed(f, now, r, hif.ParseSockConnect, f.connect)
	case hif.OpClose, hif.OpSSLClose:
		parsed(f, now, r, hif.ParseClose, f.closeRequest)
	case hif.OpSetSocketOpt:
		parsed(f, now, r, hif.ParseSocketOption, f.setOption)
	case hif.OpDNSResolve:
		parsed(f, now, r, hif.ParseDNSResolve, f.resolve)
	case hif.OpPing:
		parsed(f, now, r, hif.ParsePing, f.ping)
	case hif.OpStaticIP:
		parsed(f, now, r, hif.ParseIPConfig, f.staticIP)
	case hif.OpEnableDHCP:
		f.ip.dhcp = true
	case hif.OpDisableDHCP:
		f.ip.dhcp = false
	case hif.OpSSLConnect:
		parsed(f, now, r, hif.ParseSockConnect, f.sslConnect)
	case hif.OpSecure:
		parsed(f, now, r, hif.ParseSockConnect, f.secure)
	case hif.OpSSLBind:
		parsed(f, now, r, hif.ParseBind, f.sslBind)
	case hif.OpSSLCreate:
		parsed(f, now, r, hif.ParseSSLCreate, f.sslCreate)
	case hif.OpSSLSetOpt:
		parsed(f, now, r, hif.ParseSSLOption, f.sslOption)
	case hif.OpSSLExpCheck:
		parsed(f, now, r, hif.ParseSSLExpCheck, f.sslExpiry)
	case hif.OpSSLSetCSListIP:
		f.unsupported(now, r) // no host sends it, and no answer is known
	default:
		f.unknown(now, r)
	}
}

// extend is the extension of our own: it puts the profile's limits in force and says what they are. With sockets open
// the meaning of ids cannot change any more, so the limits stay as they are.
func (f *firmware) extend() {
	p := &f.d.profile
	l := limits{tcp: p.TCPSockets, udp: p.UDPSockets, bytes: p.SendBytes}
	if l != f.limits && f.noSockets() {
		f.limits = l
		f.makeSockets()
	}
	reply(f.d, hif.OpUnderstudy, hif.Limits{
		TCP: uint8(f.limits.tcp), UDP: uint8(f.limits.udp), Send: uint16(f.limits.bytes),
	})
}

// sslRequest is group SSL (5.1). Keys and certificates come with the flash, and a device in software has no need of a host
// that computes for it.
func (f *firmware) sslRequest(now time.Time, r request) {
	switch r.Op {
	case hif.OpSetCipherSuites:
		parsed(f, now, r, hif.ParseCipherSuites, f.setCiphers)
	case hif.OpCRL:
		parsed(f, now, r, hif.ParseCRL, f.revoke)
	case hif.OpWriteCertificates:
		f.writeCerts(now, r)
	case hif.OpECCResponse:
		f.unsupported(now, r)
	default:
		f.unknown(now, r)
	}
}

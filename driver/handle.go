package driver

import (
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
)

// handle dispatches one message: state first, then hooks and callbacks are
// queued in the order in which they are to run. Lock held.
func (d *Driver) handle(h hif.Header, b []byte) {
	if h.Len == 0 {
		return // corrupt and counted
	}
	var err error
	switch h.Op.Group() {
	case hif.GroupWiFi:
		err = d.handleWiFi(h.Op, b)
	case hif.GroupIP:
		err = d.handleIP(h.Op, b)
	case hif.GroupSSL:
		err = d.handleSSL(h.Op, b)
	case hif.GroupOTA:
		err = d.handleOTA(h.Op, b)
	default:
		d.stats.Unknown++
	}
	if err != nil {
		d.stats.Short++
	}
	d.sockets.forgetStale()
	d.ap.late = false
}

func (d *Driver) handleWiFi(op hif.Op, b []byte) error {
	switch op {
	case hif.OpEthernet: // on the way of every byte: no method value, which allocates
		m, err := hif.ParseEthernet(b)
		if err == nil {
			d.handleFrame(m.Frame)
		}
		return err
	case hif.OpStateChanged:
		return with(b, hif.ParseStateChanged, d.handleState)
	case hif.OpDefaultConnected:
		return with(b, hif.ParseDefaultConnected, d.handleDefaultConnected)
	case hif.OpDHCPConf:
		return with(b, hif.ParseIPConfig, d.handleDHCP)
	case hif.OpDHCPFailure:
		d.handleDHCPFailure()
	case hif.OpIPConflict:
		return with(b, hif.ParseIPConflict, d.handleConflict)
	case hif.OpScanDone:
		return with(b, hif.ParseScanDone, d.handleScanDone)
	case hif.OpScanResult:
		return with(b, hif.ParseScanResult, d.handleScanResult)
	case hif.OpConnInfo:
		return with(b, hif.ParseConnInfo, d.handleConnInfo)
	case hif.OpRSSI:
		return with(b, hif.ParseRSSI, d.handleRSSI)
	case hif.OpSysTime:
		return with(b, hif.ParseSysTime, d.handleTime)
	case hif.OpProvisionInfo:
		return with(b, hif.ParseProvisionInfo, d.handleProvision)
	case hif.OpWPS:
		return with(b, hif.ParseWPSReply, d.handleWPS)
	default:
		d.stats.Unknown++
	}
	return nil
}

// handleIP is on the way of every byte: no method values, which allocate.
func (d *Driver) handleIP(op hif.Op, b []byte) (err error) {
	switch op {
	case hif.OpRecv, hif.OpRecvFrom, hif.OpSSLRecv:
		var m hif.RecvReply
		if m, err = hif.ParseRecvReply(b); err == nil {
			d.handleReceived(op, m)
		}
	case hif.OpSend, hif.OpSendTo, hif.OpSSLSend:
		var m hif.SendReply
		if m, err = hif.ParseSendReply(b); err == nil {
			d.handleSent(op, m)
		}
	case hif.OpBind, hif.OpListen, hif.OpSSLBind:
		var m hif.BindReply
		if m, err = hif.ParseBindReply(b); err == nil {
			d.handleBound(op, m)
		}
	case hif.OpAccept:
		return with(b, hif.ParseAccept, d.handleAccept)
	case hif.OpSockConnect, hif.OpSSLConnect, hif.OpSecure: // all three are in use (3.3)
		return with(b, hif.ParseSockConnectReply, func(m hif.SockConnectReply) { d.handleConnected(m, 0) })
	case hif.OpSSLConnectALPN:
		return with(b, hif.ParseALPNReply, func(m hif.ALPNReply) { d.handleConnected(m.SockConnectReply, int(m.Protocol)) })
	case hif.OpDNSResolve:
		return with(b, hif.ParseDNSReply, d.handleDNS)
	case hif.OpPing:
		return with(b, hif.ParsePingReply, d.handlePing)
	default:
		d.stats.Unknown++
	}
	return err
}

func (d *Driver) handleSSL(op hif.Op, b []byte) error {
	if op == hif.OpCipherSuites {
		return with(b, hif.ParseCipherSuites, d.handleCiphers)
	}
	d.stats.Unknown++
	return nil
}

// with parses a payload and hands it on.
func with[M any](b []byte, parse func([]byte) (M, error), do func(M)) error {
	m, err := parse(b)
	if err == nil {
		do(m)
	}
	return err
}

// mailFull says whether a message lies ready that was posted before now.
func (d *Driver) mailFull() bool {
	if d.wakeChip() != nil {
		return false
	}
	v, err := d.spi.ReadReg(reg.RcvCtrl0)
	if err == nil {
		d.sleepChip()
	}
	return err == nil && v&reg.RcvPending != 0
}

package bus

import "github.com/understudy-net/understudy/bus/hif"

// parser reads a payload into its struct.
type parser func(b []byte) (any, error)

func as[T any](parse func([]byte) (T, error)) parser {
	return func(b []byte) (any, error) { return parse(b) }
}

// hostParser returns the parser of a host's message. (A switch and no table, so that programs that trace nothing do not
// carry the parsers.)
func hostParser(op hif.Op) parser {
	switch op {
	case hif.OpSetMAC:
		return as(hif.ParseSetMAC)
	case hif.OpSetDeviceName:
		return as(hif.ParseDeviceName)
	case hif.OpStartProvision:
		return as(hif.ParseProvision)
	case hif.OpSetSysTime:
		return as(hif.ParseSetSysTime)
	case hif.OpCustomIE:
		return as(hif.ParseCustomIE)
	case hif.OpScan, hif.OpPassiveScan:
		return as(hif.ParseScan)
	case hif.OpGetScanResult:
		return as(hif.ParseGetScanResult)
	case hif.OpSetScanOption:
		return as(hif.ParseScanOption)
	case hif.OpSetScanRegion:
		return as(hif.ParseScanRegion)
	case hif.OpSetPowerProfile, hif.OpSetTXPower, hif.OpSetLogs, hif.OpSetGainTable, hif.OpEnableP2P, hif.OpXOSleep, hif.OpSetStopScan:
		return as(hif.ParseSetting)
	case hif.OpSetBattery, hif.OpListenInterval:
		return as(hif.ParseSetting16)
	case hif.OpSendEthernet:
		return as(hif.ParseSendEthernet)
	case hif.OpSetMulticastMAC:
		return as(hif.ParseMulticastMAC)
	case hif.OpGetPRNG:
		return as(hif.ParsePRNG)
	case hif.OpScanSSIDList:
		return as(hif.ParseScanSSIDList)
	case hif.OpSetGains:
		return as(hif.ParseGains)
	case hif.OpAutoRate:
		return as(hif.ParseAutoRate)
	case hif.OpConfigSNTP:
		return as(hif.ParseSNTPConfig)
	case hif.OpDeleteAPID:
		return as(hif.ParseDeleteAPID)
	case hif.OpConnectOld:
		return as(hif.ParseConnectOld)
	case hif.OpSleep:
		return as(hif.ParseSleep)
	case hif.OpWPS:
		return as(hif.ParseWPS)
	case hif.OpEnableMonitor:
		return as(hif.ParseMonitor)
	case hif.OpSendWiFi:
		return as(hif.ParseSendWiFi)
	case hif.OpDoze:
		return as(hif.ParseDoze)
	case hif.OpConnect:
		return as(hif.ParseConnect)
	case hif.OpConnectParam:
		return as(hif.ParseConnectParam)
	case hif.OpEnableAP:
		return as(hif.ParseAPConfig)
	case hif.OpRoaming:
		return as(hif.ParseRoaming)
	case hif.OpStaticIP:
		return as(hif.ParseIPConfig)
	case hif.OpBind, hif.OpSSLBind:
		return as(hif.ParseBind)
	case hif.OpListen:
		return as(hif.ParseListen)
	case hif.OpSockConnect, hif.OpSSLConnect, hif.OpSecure:
		return as(hif.ParseSockConnect)
	case hif.OpSend, hif.OpSendTo, hif.OpSSLSend:
		return as(hif.ParseSend)
	case hif.OpRecv, hif.OpRecvFrom, hif.OpSSLRecv:
		return as(hif.ParseRecv)
	case hif.OpClose, hif.OpSSLClose:
		return as(hif.ParseClose)
	case hif.OpDNSResolve:
		return as(hif.ParseDNSResolve)
	case hif.OpSetSocketOpt:
		return as(hif.ParseSocketOption)
	case hif.OpSSLCreate:
		return as(hif.ParseSSLCreate)
	case hif.OpSSLSetOpt:
		return as(hif.ParseSSLOption)
	case hif.OpPing:
		return as(hif.ParsePing)
	case hif.OpSSLExpCheck:
		return as(hif.ParseSSLExpCheck)
	case hif.OpNotifySetURL, hif.OpStartUpdate, hif.OpStartCortus, hif.OpDownloadFile:
		return as(hif.ParseURL)
	case hif.OpReadFile:
		return as(hif.ParseReadFile)
	case hif.OpStartUpdateV2:
		return as(hif.ParseStartUpdateV2)
	case hif.OpECCResponse:
		return as(hif.ParseECC)
	case hif.OpCRL:
		return as(hif.ParseCRL)
	case hif.OpWriteCertificates:
		return as(hif.ParseOwnCerts)
	case hif.OpSetCipherSuites:
		return as(hif.ParseCipherSuites)
	case hif.OpSHA256Init, hif.OpSHA256Update, hif.OpSHA256Finish:
		return as(hif.ParseSHA256)
	case hif.OpRSASign, hif.OpRSAVerify:
		return as(hif.ParseRSA)
	}
	return nil
}

// deviceParser returns the parser of a device's message.
func deviceParser(op hif.Op) parser {
	switch op {
	case hif.OpRSSI:
		return as(hif.ParseRSSI)
	case hif.OpConnInfo:
		return as(hif.ParseConnInfo)
	case hif.OpProvisionInfo:
		return as(hif.ParseProvisionInfo)
	case hif.OpScanDone:
		return as(hif.ParseScanDone)
	case hif.OpScanResult:
		return as(hif.ParseScanResult)
	case hif.OpSysTime:
		return as(hif.ParseSysTime)
	case hif.OpEthernet:
		return as(hif.ParseEthernet)
	case hif.OpPRNG:
		return as(hif.ParsePRNGReply)
	case hif.OpDeleteAPID:
		return as(hif.ParseDeleteAPIDReply)
	case hif.OpDefaultConnected:
		return as(hif.ParseDefaultConnected)
	case hif.OpStateChanged:
		return as(hif.ParseStateChanged)
	case hif.OpWPS:
		return as(hif.ParseWPSReply)
	case hif.OpCertificates:
		return as(hif.ParseOwnCertsReply)
	case hif.OpDHCPConf:
		return as(hif.ParseIPConfig)
	case hif.OpIPConflict:
		return as(hif.ParseIPConflict)
	case hif.OpWiFiRX:
		return as(hif.ParseWiFiRX)
	case hif.OpBind, hif.OpListen, hif.OpSSLBind:
		return as(hif.ParseBindReply)
	case hif.OpAccept:
		return as(hif.ParseAccept)
	case hif.OpSockConnect:
		return as(hif.ParseSockConnectReply)
	case hif.OpSend, hif.OpSendTo, hif.OpSSLSend:
		return as(hif.ParseSendReply)
	case hif.OpRecv, hif.OpRecvFrom, hif.OpSSLRecv:
		return as(hif.ParseRecvReply)
	case hif.OpDNSResolve:
		return as(hif.ParseDNSReply)
	case hif.OpPing:
		return as(hif.ParsePingReply)
	case hif.OpSSLConnectALPN:
		return as(hif.ParseALPNReply)
	case hif.OpUpdateInfo:
		return as(hif.ParseUpdateInfo)
	case hif.OpUpdateStatus:
		return as(hif.ParseUpdateStatus)
	case hif.OpFileStatus, hif.OpFileDownloaded:
		return as(hif.ParseFileStatus)
	case hif.OpFileData:
		return as(hif.ParseFileData)
	case hif.OpFileErased:
		return as(hif.ParseFileErased)
	case hif.OpUnderstudy:
		return as(hif.ParseLimits)
	case hif.OpProgress:
		return as(hif.ParseProgress)
	case hif.OpECCRequest:
		return as(hif.ParseECC)
	case hif.OpCipherSuites:
		return as(hif.ParseCipherSuites)
	case hif.OpSHA256InitDone, hif.OpSHA256UpdateDone, hif.OpSHA256FinishDone:
		return as(hif.ParseSHA256Reply)
	case hif.OpRSASignDone, hif.OpRSAVerifyDone:
		return as(hif.ParseRSAReply)
	}
	return nil
}

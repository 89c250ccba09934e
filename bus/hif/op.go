package hif

import "strconv"

// Group is the first byte of a header: the service that a message belongs to. Spec hif-messages 1.2.
type Group uint8

// The groups. A device never sends MAIN, HIF or INTERNAL: hosts take them for a bus error and never
// say "RX done" again [HM-04].
const (
	GroupMain     Group = 0
	GroupWiFi     Group = 1
	GroupIP       Group = 2 // IP configuration and sockets
	GroupHIF      Group = 3
	GroupOTA      Group = 4
	GroupSSL      Group = 5
	GroupCrypto   Group = 6
	GroupSigma    Group = 7 // manufacturing test
	GroupInternal Group = 8
)

var groupNames = [...]string{"MAIN", "WIFI", "IP", "HIF", "OTA", "SSL", "CRYPTO", "SIGMA", "INTERNAL"}

// String prints the name of the group, or the number of an unknown one.
func (g Group) String() string {
	if int(g) < len(groupNames) {
		return groupNames[g]
	}
	return "group(" + strconv.Itoa(int(g)) + ")"
}

// Deliverable says whether hosts dispatch messages of the group that a device sends them. All others
// leave a host deaf [HM-04].
func (g Group) Deliverable() bool {
	return g == GroupWiFi || g == GroupIP || GroupOTA <= g && g <= GroupSigma
}

// Op names a message: the group in the high byte, the opcode (7 bits) in the low one. Requests and
// answers share the numbers of a group. Spec hif-messages 1.3.
type Op uint16

// MakeOp joins a group and an opcode; the data-packet bit (0x80) of code is dropped.
func MakeOp(g Group, code uint8) Op { return Op(g)<<8 | Op(code&0x7f) }

// Group returns the group of the message.
func (o Op) Group() Group { return Group(o >> 8) }

// Code returns the opcode within the group.
func (o Op) Code() uint8 { return uint8(o) & 0x7f }

// String prints GROUP/NAME as the protocol spells it, or GROUP/number for an unknown opcode.
func (o Op) String() string {
	var names []string
	switch o.Group() {
	case GroupWiFi:
		names = wifiNames[:]
	case GroupIP:
		names = ipNames[:]
	case GroupOTA:
		names = otaNames[:]
	case GroupSSL:
		names = sslNames[:]
	case GroupCrypto:
		names = cryptoNames[:]
	case GroupSigma:
		names = sigmaNames[:]
	}
	if c := int(o.Code()); c < len(names) && names[c] != "" {
		return o.Group().String() + "/" + names[c]
	}
	return o.Group().String() + "/" + strconv.Itoa(int(o.Code()))
}

// Group WIFI. Spec hif-messages 2.1. H is the host, D the device.
const (
	OpRestart          Op = 1<<8 | 1  // H→D, no host sends it
	OpSetMAC           Op = 1<<8 | 2  // H→D SET_MAC_ADDRESS: [SetMAC]
	OpGetRSSI          Op = 1<<8 | 3  // H→D CURRENT_RSSI request, no payload
	OpRSSI             Op = 1<<8 | 4  // D→H CURRENT_RSSI: [RSSI]
	OpGetConnInfo      Op = 1<<8 | 5  // H→D, no payload
	OpConnInfo         Op = 1<<8 | 6  // D→H: [ConnInfo]
	OpSetDeviceName    Op = 1<<8 | 7  // H→D: [DeviceName]
	OpStartProvision   Op = 1<<8 | 8  // H→D START_PROVISION_MODE, data bit: [Provision]
	OpProvisionInfo    Op = 1<<8 | 9  // D→H: [ProvisionInfo]
	OpStopProvision    Op = 1<<8 | 10 // H→D, no payload
	OpSetSysTime       Op = 1<<8 | 11 // H→D: [SetSysTime]
	OpEnableSNTP       Op = 1<<8 | 12 // H→D ENABLE_SNTP_CLIENT, no payload
	OpDisableSNTP      Op = 1<<8 | 13 // H→D DISABLE_SNTP_CLIENT, no payload
	OpMemoryRecover    Op = 1<<8 | 14 // D→H, hosts ignore it
	OpCustomIE         Op = 1<<8 | 15 // H→D CUST_INFO_ELEMENT, data bit: [CustomIE]
	OpScan             Op = 1<<8 | 16 // H→D: [Scan]
	OpScanDone         Op = 1<<8 | 17 // D→H: [ScanDone]
	OpGetScanResult    Op = 1<<8 | 18 // H→D SCAN_RESULT request: [GetScanResult]
	OpScanResult       Op = 1<<8 | 19 // D→H: [ScanResult]
	OpSetScanOption    Op = 1<<8 | 20 // H→D: [ScanOption]
	OpSetScanRegion    Op = 1<<8 | 21 // H→D: [ScanRegion]
	OpSetPowerProfile  Op = 1<<8 | 22 // H→D: [Setting]
	OpSetTXPower       Op = 1<<8 | 23 // H→D: [Setting]
	OpSetBattery       Op = 1<<8 | 24 // H→D SET_BATTERY_VOLTAGE: [Setting16], volts × 100
	OpSetLogs          Op = 1<<8 | 25 // H→D SET_ENABLE_LOGS: [Setting]
	OpGetSysTime       Op = 1<<8 | 26 // H→D, no payload
	OpSysTime          Op = 1<<8 | 27 // D→H: [SysTime]
	OpSendEthernet     Op = 1<<8 | 28 // H→D SEND_ETHERNET_PACKET, data bit: [SendEthernet]
	OpEthernet         Op = 1<<8 | 29 // D→H ETHERNET_RX_PACKET: [Ethernet]
	OpSetMulticastMAC  Op = 1<<8 | 30 // H→D SET_MAC_MCAST: [MulticastMAC]
	OpGetPRNG          Op = 1<<8 | 31 // H→D, data bit: [PRNG]
	OpPRNG             Op = 1<<8 | 32 // D→H: [PRNG] and the random bytes
	OpScanSSIDList     Op = 1<<8 | 33 // H→D, data bit: [ScanSSIDList]
	OpSetGains         Op = 1<<8 | 34 // H→D: [Gains]
	OpPassiveScan      Op = 1<<8 | 35 // H→D: [Scan]
	OpAutoRate         Op = 1<<8 | 36 // H→D CONG_AUTO_RATE (19.5.4): [AutoRate]
	OpConfigSNTP       Op = 1<<8 | 37 // H→D (19.6.1): [SNTPConfig]
	OpSetGainTable     Op = 1<<8 | 38 // H→D SET_GAIN_TABLE_IDX (19.6.1): [Setting]
	OpDeleteAPID       Op = 1<<8 | 39 // both (19.6.1): [DeleteAPID], [DeleteAPIDReply]
	OpConnectOld       Op = 1<<8 | 40 // H→D CONNECT, the old form: [ConnectOld]
	OpDefaultConnect   Op = 1<<8 | 41 // H→D, no payload
	OpDefaultConnected Op = 1<<8 | 42 // D→H DEFAULT_CONNECT result: [DefaultConnected]
	OpDisconnect       Op = 1<<8 | 43 // H→D, no payload
	OpStateChanged     Op = 1<<8 | 44 // D→H CON_STATE_CHANGED: [StateChanged]
	OpSleep            Op = 1<<8 | 45 // H→D, the power-save mode: [Sleep]
	OpWPSScan          Op = 1<<8 | 46 // no host sends it
	OpWPS              Op = 1<<8 | 47 // both: [WPS], [WPSReply]
	OpStartWPS         Op = 1<<8 | 48 // inside the device
	OpDisableWPS       Op = 1<<8 | 49 // H→D, no payload
	OpDHCPConf         Op = 1<<8 | 50 // D→H, an event although the protocol calls it a request: [IPConfig]
	OpIPConfigured     Op = 1<<8 | 51 // inside the device
	OpIPConflict       Op = 1<<8 | 52 // D→H: [IPConflict]
	OpEnableMonitor    Op = 1<<8 | 53 // H→D ENABLE_MONITORING: [Monitor]
	OpDisableMonitor   Op = 1<<8 | 54 // H→D DISABLE_MONITORING, no payload
	OpWiFiRX           Op = 1<<8 | 55 // D→H WIFI_RX_PACKET: [WiFiRX]
	OpSendWiFi         Op = 1<<8 | 56 // H→D SEND_WIFI_PACKET, data bit: [SendWiFi]
	OpListenInterval   Op = 1<<8 | 57 // H→D LSN_INT: [Setting16], beacons
	OpDoze             Op = 1<<8 | 58 // H→D manual sleep: [Doze]
	OpConnect          Op = 1<<8 | 59 // H→D CONN (19.6.1), data bit unless open: [Connect]
	OpConnectParam     Op = 1<<8 | 60 // H→D IND_CONN_PARAM (19.6.1), data bit: [ConnectParam]
	OpDHCPFailure      Op = 1<<8 | 61 // D→H (19.6.1), no payload
	OpEnableAP         Op = 1<<8 | 70 // H→D, data bit from 19.6.1: [APConfig]
	OpDisableAP        Op = 1<<8 | 71 // H→D, no payload
	OpRestartAP        Op = 1<<8 | 72 // no host sends it
	OpP2PInternal      Op = 1<<8 | 90 // P2P_INT_CONNECT, inside the device
	OpEnableP2P        Op = 1<<8 | 91 // H→D: [Setting], the listen channel
	OpDisableP2P       Op = 1<<8 | 92 // H→D, no payload
	OpP2PRepost        Op = 1<<8 | 93 // inside the device
	OpClientControl    Op = 1<<8 | 100
	OpClientInfo       Op = 1<<8 | 101
	OpServerInit       Op = 1<<8 | 102
	OpRoaming          Op = 1<<8 | 105 // H→D (19.6.1): [Roaming]
	OpXOSleep          Op = 1<<8 | 106 // H→D XO_SLEEP_ENABLE (19.7.7): [Setting]
	OpSetStopScan      Op = 1<<8 | 107 // H→D SET_STOP_SCAN_OPTION (19.7.7): [Setting]
)

var wifiNames = [128]string{
	1: "RESTART", 2: "SET_MAC_ADDRESS", 3: "GET_CURRENT_RSSI", 4: "CURRENT_RSSI", 5: "GET_CONN_INFO", 6: "CONN_INFO",
	7: "SET_DEVICE_NAME", 8: "START_PROVISION_MODE", 9: "PROVISION_INFO", 10: "STOP_PROVISION_MODE", 11: "SET_SYS_TIME",
	12: "ENABLE_SNTP_CLIENT", 13: "DISABLE_SNTP_CLIENT", 14: "MEMORY_RECOVER", 15: "CUST_INFO_ELEMENT", 16: "SCAN",
	17: "SCAN_DONE", 18: "GET_SCAN_RESULT", 19: "SCAN_RESULT", 20: "SET_SCAN_OPTION", 21: "SET_SCAN_REGION",
	22: "SET_POWER_PROFILE", 23: "SET_TX_POWER", 24: "SET_BATTERY_VOLTAGE", 25: "SET_ENABLE_LOGS", 26: "GET_SYS_TIME",
	27: "SYS_TIME", 28: "SEND_ETHERNET_PACKET", 29: "ETHERNET_RX_PACKET", 30: "SET_MAC_MCAST", 31: "GET_PRNG", 32: "PRNG",
	33: "SCAN_SSID_LIST", 34: "SET_GAINS", 35: "PASSIVE_SCAN", 36: "CONG_AUTO_RATE", 37: "CONFIG_SNTP",
	38: "SET_GAIN_TABLE_IDX", 39: "DELETE_APID", 40: "CONNECT", 41: "DEFAULT_CONNECT", 42: "DEFAULT_CONNECT_RESULT",
	43: "DISCONNECT", 44: "CON_STATE_CHANGED", 45: "SLEEP", 46: "WPS_SCAN", 47: "WPS", 48: "START_WPS", 49: "DISABLE_WPS",
	50: "DHCP_CONF", 51: "IP_CONFIGURED", 52: "IP_CONFLICT", 53: "ENABLE_MONITORING", 54: "DISABLE_MONITORING",
	55: "WIFI_RX_PACKET", 56: "SEND_WIFI_PACKET", 57: "LSN_INT", 58: "DOZE", 59: "CONN", 60: "IND_CONN_PARAM",
	61: "DHCP_FAILURE", 70: "ENABLE_AP", 71: "DISABLE_AP", 72: "RESTART_AP", 90: "P2P_INT_CONNECT", 91: "ENABLE_P2P",
	92: "DISABLE_P2P", 93: "P2P_REPOST", 100: "CLIENT_CTRL", 101: "CLIENT_INFO", 102: "SERVER_INIT", 105: "ROAMING",
	106: "XO_SLEEP_ENABLE", 107: "SET_STOP_SCAN_OPTION",
}

// Group IP: configuration and sockets. A reply has the opcode of its request. Spec hif-messages 2.7, 3.3.
const (
	OpStaticIP       Op = 2<<8 | 10   // H→D STATIC_IP_CONF: [IPConfig]
	OpEnableDHCP     Op = 2<<8 | 11   // H→D, no payload
	OpDisableDHCP    Op = 2<<8 | 12   // H→D, no payload
	OpBind           Op = 2<<8 | 0x41 // [Bind], [BindReply]
	OpListen         Op = 2<<8 | 0x42 // [Listen], [BindReply]
	OpAccept         Op = 2<<8 | 0x43 // D→H event only: [Accept]
	OpSockConnect    Op = 2<<8 | 0x44 // CONNECT: [SockConnect], [SockConnectReply]
	OpSend           Op = 2<<8 | 0x45 // data bit: [Send], [SendReply]
	OpRecv           Op = 2<<8 | 0x46 // [Recv], [RecvReply]
	OpSendTo         Op = 2<<8 | 0x47 // data bit: [Send], [SendReply]
	OpRecvFrom       Op = 2<<8 | 0x48 // [Recv], [RecvReply]
	OpClose          Op = 2<<8 | 0x49 // [Close], no reply
	OpDNSResolve     Op = 2<<8 | 0x4a // [DNSResolve], [DNSReply]
	OpSSLConnect     Op = 2<<8 | 0x4b // [SockConnect], [SockConnectReply] with OpSockConnect
	OpSSLSend        Op = 2<<8 | 0x4c // data bit: [Send], [SendReply]
	OpSSLRecv        Op = 2<<8 | 0x4d // [Recv], [RecvReply]
	OpSSLClose       Op = 2<<8 | 0x4e // [Close], no reply
	OpSetSocketOpt   Op = 2<<8 | 0x4f // SET_SOCKET_OPTION: [SocketOption], no reply
	OpSSLCreate      Op = 2<<8 | 0x50 // [SSLCreate], no reply
	OpSSLSetOpt      Op = 2<<8 | 0x51 // SSL_SET_SOCK_OPT: [SSLOption], no reply
	OpPing           Op = 2<<8 | 0x52 // [Ping], [PingReply]
	OpSSLSetCSListIP Op = 2<<8 | 0x53 // SSL_SET_CS_LIST of this group: no host sends it
	OpSSLBind        Op = 2<<8 | 0x54 // [Bind], [BindReply]
	OpSSLExpCheck    Op = 2<<8 | 0x55 // [SSLExpCheck], no reply
	OpSecure         Op = 2<<8 | 0x56 // (19.7.7) [SockConnect], [SockConnectReply] with OpSockConnect
	OpSSLConnectALPN Op = 2<<8 | 0x57 // D→H (19.7.7), answers OpSSLConnect: [ALPNReply]
)

var ipNames = [128]string{
	10: "STATIC_IP_CONF", 11: "ENABLE_DHCP", 12: "DISABLE_DHCP",
	0x41: "BIND", 0x42: "LISTEN", 0x43: "ACCEPT", 0x44: "CONNECT", 0x45: "SEND", 0x46: "RECV", 0x47: "SENDTO",
	0x48: "RECVFROM", 0x49: "CLOSE", 0x4a: "DNS_RESOLVE", 0x4b: "SSL_CONNECT", 0x4c: "SSL_SEND", 0x4d: "SSL_RECV",
	0x4e: "SSL_CLOSE", 0x4f: "SET_SOCKET_OPTION", 0x50: "SSL_CREATE", 0x51: "SSL_SET_SOCK_OPT", 0x52: "PING",
	0x53: "SSL_SET_CS_LIST", 0x54: "SSL_BIND", 0x55: "SSL_EXP_CHECK", 0x56: "SECURE", 0x57: "SSL_CONNECT_ALPN",
}

// Group OTA. Spec hif-messages 4.1. The last two are ours: only a device that shows the mark USTD in its
// version block speaks them, and only a driver that saw it asks.
const (
	OpNotifySetURL   Op = 4<<8 | 100 // H→D: [URL]
	OpNotifyCheck    Op = 4<<8 | 101 // H→D NOTIF_CHECK_FOR_UPDATE, no payload
	OpNotifySchedule Op = 4<<8 | 102 // no host sends it
	OpStartUpdate    Op = 4<<8 | 103 // H→D START_FW_UPDATE: [URL]
	OpSwitchFirmware Op = 4<<8 | 104 // H→D, no payload
	OpRollback       Op = 4<<8 | 105 // H→D ROLLBACK_FW, no payload
	OpUpdateInfo     Op = 4<<8 | 106 // D→H NOTIF_UPDATE_INFO: [UpdateInfo]
	OpUpdateStatus   Op = 4<<8 | 107 // D→H: [UpdateStatus]
	OpOTATest        Op = 4<<8 | 108 // no host sends it
	OpStartCortus    Op = 4<<8 | 109 // H→D START_CRT_UPDATE: [URL]
	OpSwitchCortus   Op = 4<<8 | 110 // H→D SWITCH_CRT_IMG, no payload
	OpRollbackCortus Op = 4<<8 | 111 // H→D ROLLBACK_CRT, no payload
	OpAbortUpdate    Op = 4<<8 | 112 // H→D ABORT, no payload
	OpGetFileStatus  Op = 4<<8 | 113 // H→D HOST_FILE_STATUS (19.6.1), no payload
	OpFileStatus     Op = 4<<8 | 114 // D→H: [FileStatus]
	OpDownloadFile   Op = 4<<8 | 115 // H→D HOST_FILE_DOWNLOAD: [URL]
	OpFileDownloaded Op = 4<<8 | 116 // D→H: [FileStatus]
	OpReadFile       Op = 4<<8 | 117 // H→D HOST_FILE_READ: [ReadFile]
	OpFileData       Op = 4<<8 | 118 // D→H: [FileData]
	OpEraseFile      Op = 4<<8 | 119 // H→D HOST_FILE_ERASE, no payload
	OpFileErased     Op = 4<<8 | 120 // D→H: [FileErased]
	OpStartUpdateV2  Op = 4<<8 | 121 // H→D START_FW_UPDATE_V2 (19.7.7), data bit: [StartUpdateV2]
	OpUnderstudy     Op = 4<<8 | 126 // ours, both: no payload, [Limits]
	OpProgress       Op = 4<<8 | 127 // ours, D→H: [Progress]
)

var otaNames = [128]string{
	100: "NOTIF_SET_URL", 101: "NOTIF_CHECK_FOR_UPDATE", 102: "NOTIF_SCHED", 103: "START_FW_UPDATE", 104: "SWITCH_FIRMWARE",
	105: "ROLLBACK_FW", 106: "NOTIF_UPDATE_INFO", 107: "UPDATE_STATUS", 108: "TEST", 109: "START_CRT_UPDATE",
	110: "SWITCH_CRT_IMG", 111: "ROLLBACK_CRT", 112: "ABORT", 113: "GET_HOST_FILE_STATUS", 114: "HOST_FILE_STATUS",
	115: "HOST_FILE_DOWNLOAD", 116: "HOST_FILE_DOWNLOADED", 117: "HOST_FILE_READ", 118: "HOST_FILE_DATA",
	119: "HOST_FILE_ERASE", 120: "HOST_FILE_ERASED", 121: "START_FW_UPDATE_V2", 126: "USTD", 127: "USTD_PROGRESS",
}

// Group SSL. Spec hif-messages 5.1.
const (
	OpCertVerify        Op = 5 << 8   // unused
	OpECCRequest        Op = 5<<8 | 1 // D→H REQ_ECC: [ECC]
	OpECCResponse       Op = 5<<8 | 2 // H→D RESP_ECC, data bit: [ECC]
	OpCRL               Op = 5<<8 | 3 // H→D IND_CRL, data bit: [CRL]
	OpWriteCertificates Op = 5<<8 | 4 // H→D IND_CERTS_ECC, WRITE_OWN_CERTS from 19.6.1, data bit: [OwnCerts]
	OpSetCipherSuites   Op = 5<<8 | 5 // H→D SET_CS_LIST: [CipherSuites]
	OpCipherSuites      Op = 5<<8 | 6 // D→H RESP_SET_CS_LIST: [CipherSuites]
	OpCertificates      Op = 5<<8 | 7 // D→H RESP_WRITE_OWN_CERTS (19.6.1): [OwnCerts] without data
)

var sslNames = [...]string{"CERT_VERIF", "REQ_ECC", "RESP_ECC", "IND_CRL", "WRITE_OWN_CERTS", "SET_CS_LIST",
	"RESP_SET_CS_LIST", "RESP_WRITE_OWN_CERTS"}

// Group CRYPTO: requests are odd, the answer is the next number. Spec hif-messages 5.2.
const (
	OpSHA256Init       Op = 6<<8 | 1 // H→D: [SHA256], as the next two
	OpSHA256InitDone   Op = 6<<8 | 2 // D→H: [SHA256Reply], as the next two
	OpSHA256Update     Op = 6<<8 | 3
	OpSHA256UpdateDone Op = 6<<8 | 4
	OpSHA256Finish     Op = 6<<8 | 5
	OpSHA256FinishDone Op = 6<<8 | 6
	OpRSASign          Op = 6<<8 | 7  // H→D: [RSA]
	OpRSASignDone      Op = 6<<8 | 8  // D→H: [RSAReply]
	OpRSAVerify        Op = 6<<8 | 9  // H→D: [RSA]
	OpRSAVerifyDone    Op = 6<<8 | 10 // D→H: [RSAReply]
)

var cryptoNames = [...]string{"", "SHA256_INIT", "SHA256_INIT_RESP", "SHA256_UPDATE", "SHA256_UPDATE_RESP", "SHA256_FINISH",
	"SHA256_FINISH_RESP", "RSA_SIGN", "RSA_SIGN_RESP", "RSA_VERIFY", "RSA_VERIFY_RESP"}

// Group SIGMA is for manufacturing tests; opcodes 3 to 13 are known by name only. Spec hif-messages 5.3.
var sigmaNames = [...]string{3: "ENABLE", "TRAFFIC_START", "TRAFFIC_STATS", "TRAFFIC_STOP", "ICMP_ARP", "ICMP_RX", "ICMP_TX",
	"UDP_TX", "UDP_TX_DEFER", "SECURITY_POLICY", "SET_TIME"}

package understudy_test

import (
	"flag"
	"fmt"
	"go/ast"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/functions.md and docs/behaviours.md anew")

// functionsDoc is the table that TestFunctionsTable checks and, with -update,
// writes.
const functionsDoc = "docs/functions.md"

// documented lists the functions of the documented driver: those that this
// project is measured by first, then the others by subject. The prefix WDRV_WINC_
// of all names that begin with a capital is left out.
var documented = []struct{ subject, names string }{
	{"Starred", `IPUseDHCPSet IPUseDHCPGet IPAddressSet IPAddressGet IPDNSServerAddressSet IPDefaultGatewaySet IPLinkActive
		IPDHCPServerConfigure ICMPEchoRequest SocketRegisterEventCallback SocketRegisterResolverCallback
		OTAUpdateFromURL OTAUpdateAbort SwitchActiveFirmwareImage`},
	{"Life cycle", `Initialize Tasks ISR Deinitialize Reinitialize Status StatusExt Open Close UserHandleSet UserHandleGet`},
	{"Firmware updates", `RollbackActiveFirmwareImage OTASSLServerAuthModeSet OTASSLServerAuthModeIsEnabled OTASSLSNISet
		OTASSLSNIIsEnabled`},
	{"Station", `BSSConnect BSSReconnect BSSDisconnect AssocDisconnect BSSRoamingConfigure AssocSSIDGet AssocPeerAddressGet
		AssocAuthTypeGet AssocRSSIGet`},
	{"Soft-AP", `APStart APStop APSetCustIE CustIEStoreCtxSetStorage CustIEStoreCtxAddIE CustIEStoreCtxRemoveIE
		HTTPProvCtxSetDefaults HTTPProvCtxSetDomainName HTTPProvCtxSetURLWildcard HTTPProvCtxSetConnectCallback`},
	{"Contexts", `BSSCtxSetDefaults BSSCtxSetSSID BSSCtxSetBSSID BSSCtxSetChannel BSSCtxSetSSIDVisibility BSSCtxIsValid
		AuthCtxSetDefaults AuthCtxSetOpen AuthCtxSetWPA AuthCtxSetOneTimeUse AuthCtxSetWEP AuthCtxIsValid
		AuthCtxSetWPAEnterpriseMSCHAPv2 AuthCtxSetWPAEnterpriseTLS EntSec802_1XServerAuthSet EntSec802_1XServerAuthGet
		EntSec802_1XRootCertHashSet EntSec802_1XRootCertHashGet EntSec802_1XCertExpCheckSet EntSec802_1XCertExpCheckGet
		EntSec802_1XSessionCacheSet EntSec802_1XSessionCache`},
	{"Scan", `BSSFindFirst BSSFindNext BSSFindReset BSSFindGetInfo BSSFindSetScanParameters BSSFindSetRSSIThreshold
		BSSFindSetEnabledChannels BSSFindSetScanMatchMode BSSFindGetNumBSSResults BSSFindInProgress`},
	{"Time", `SystemTimeSNTPClientEnable SystemTimeSNTPClientDisable SystemTimeSetCurrent SystemTimeGetCurrent LocalTimeToUTC
		UTCToLocalTime`},
	{"Power save", `PowerSaveSetMode PowerSaveGetMode PowerSaveSetBeaconInterval PowerSaveManualSleep`},
	{"Flash", `NVMRead NVMWrite NVMEraseSector`},
	{"TLS", `SSLCTXDefault SSLCTXCipherSuitesSet SSLCTXCipherSuitesGet SSLActiveCipherSuitesSet SSLECCReqCallbackSet
		SSLECCHandShakeRsp SSLRetrieveCert SSLRetrieveHash SSLStopRetrieveCert sslEnableCertExpirationCheck`},
	{"Information", `InfoDriverVersionGet InfoDeviceFirmwareVersionGet InfoDeviceIDGet InfoDeviceMACAddressGet EthernetAddressGet
		InfoDeviceNameSet OperatingModeGet GainTableIndexSet AutoRateSelectTransmitRate DebugRegisterCallback
		MulticastMACFilterAdd MulticastMACFilterRemove`},
	{"Other modes", `EthernetRecvPacket EthernetSendPacket HostFileDownload HostFileRead HostFileUpdateReadBuffer HostFileErase
		HostFileFindByID HostFileGetSize WPSEnrolleeDiscoveryStartPIN WPSEnrolleeDiscoveryStartPBC WPSEnrolleeDiscoveryStop
		BLEStart BLEStop BLEIsStarted`},
	{"Berkeley sockets", `socketInit socketDeinit IsSocketReady registerSocketCallback registerSocketEventCallback
		registerSocketResolveCallback socket bind listen accept connect secure send sendto recv recvfrom close shutdown
		gethostbyname setsockopt getsockopt set_alpn_list get_alpn_index get_error_detail m2m_ping_req inet_addr inet_ntop
		htons htonl ntohs ntohl`},
}

// absent says of functions that no Go method stands for why that is so: "none"
// where there is nothing to stand for them, "not yet" where there will be, and
// else where to look.
var absent = func() map[string]string {
	m := map[string]string{}
	for names, why := range map[string]string{
		"UserHandleSet UserHandleGet": "none, because closures carry what callbacks need",
		"AuthCtxSetWEP":               "none, because WEP was removed from this firmware family",
		"AuthCtxSetWPAEnterpriseMSCHAPv2 AuthCtxSetWPAEnterpriseTLS EntSec802_1XServerAuthSet EntSec802_1XServerAuthGet":  "not yet: 802.1X is `ErrUnsupported`",
		"EntSec802_1XRootCertHashSet EntSec802_1XRootCertHashGet EntSec802_1XCertExpCheckSet EntSec802_1XCertExpCheckGet": "not yet: 802.1X is `ErrUnsupported`",
		"EntSec802_1XSessionCacheSet EntSec802_1XSessionCache":                                                            "not yet: 802.1X is `ErrUnsupported`",
		"LocalTimeToUTC UTCToLocalTime":                "none, because package time does it",
		"DebugRegisterCallback":                        "`Config.Trace`",
		"GainTableIndexSet AutoRateSelectTransmitRate": "not yet: there is no radio to tune",
		"SSLECCReqCallbackSet SSLECCHandShakeRsp SSLRetrieveCert SSLRetrieveHash SSLStopRetrieveCert": "not yet: the device does the arithmetic of its TLS itself",
		"BLEStart BLEStop BLEIsStarted":               "none, because only the WINC3400 has Bluetooth",
		"socketInit socketDeinit IsSocketReady":       "none, because start-up and `Driver.Close` do it",
		"inet_addr inet_ntop htons htonl ntohs ntohl": "none, because net/netip has addresses and no byte order shows",
	} {
		for _, n := range strings.Fields(names) {
			m[n] = why
		}
	}
	return m
}()

// notListed are names of the document that are no functions.
var notListed = map[string]bool{"BSS_CONTEXT": true, "AUTH_CONTEXT": true, "CUST_IE_STORE_CONTEXT": true}

// TestFunctionsTable finds, for each documented function, the Go declarations
// whose comments say that they stand for it. One without any needs a line in
// absent, and so does one whose method only says ErrUnsupported; one that works
// must have none. The result is docs/functions.md.
func TestFunctionsTable(t *testing.T) {
	known := map[string]bool{}
	for _, d := range documented {
		for _, n := range strings.Fields(d.names) {
			if known[n] {
				t.Errorf("%s is listed twice", n)
			}
			known[n] = true
		}
	}
	goNames, unsupported := standIns(t, known)
	for n := range absent {
		if !known[n] {
			t.Errorf("absent has %s, which is not documented", n)
		}
	}
	var b strings.Builder
	b.WriteString(functionsHead)
	for _, d := range documented {
		fmt.Fprintf(&b, "\n## %s\n\n| Function | Go |\n|---|---|\n", d.subject)
		for _, n := range strings.Fields(d.names) {
			fmt.Fprintf(&b, "| `%s` | %s |\n", n, standIn(t, n, goNames[n], unsupported))
		}
	}
	b.WriteString(behavioursSection())
	if *update {
		if err := os.WriteFile(functionsDoc, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if b.String() != read(t, functionsDoc) {
		t.Errorf("%s is not what the comments say; go test . -run TestFunctionsTable -update", functionsDoc)
	}
}

const functionsHead = `# The documented functions and what stands for them

Made from the comments of the packages ` + "`driver` and `driver/hostnet`" + ` by ` + "`go test . -run TestFunctionsTable -update`" + `; a test keeps it
true. Names that begin with a capital have the prefix ` + "`WDRV_WINC_`" + ` in the document. "Starred" are the functions that this
project is measured by.
`

// standIn is the second column of a function.
func standIn(t *testing.T, name string, found []string, unsupported map[string]bool) string {
	t.Helper()
	why, isAbsent := absent[name]
	var refusing []string
	for _, g := range found {
		if unsupported[g] {
			refusing = append(refusing, g)
		}
	}
	switch {
	case len(found) == 0 && !isAbsent:
		t.Errorf("%s: no comment says \"stands for\", and absent does not say why", name)
	case len(refusing) < len(found) && isAbsent:
		t.Errorf("%s: absent says %q, but there is %v", name, why, found)
	case len(refusing) > 0 && !isAbsent:
		t.Errorf("%s: %v only says ErrUnsupported; absent must say so", name, refusing)
	}
	var cells []string
	for _, g := range found {
		cell := "`" + g + "`"
		if unsupported[g] {
			cell += " (only `ErrUnsupported`)"
		}
		cells = append(cells, cell)
	}
	if isAbsent {
		cells = append(cells, why)
	}
	return strings.Join(cells, ", ")
}

// standIns reads the comments of the two packages. It returns the declarations
// for each documented function, and which of them only refuse.
func standIns(t *testing.T, known map[string]bool) (found map[string][]string, unsupported map[string]bool) {
	t.Helper()
	found, unsupported = map[string][]string{}, map[string]bool{}
	for _, pkg := range []struct{ dir, prefix string }{{"driver", ""}, {"driver/hostnet", "hostnet."}} {
		for _, d := range declarations(t, pkg.dir) {
			name := pkg.prefix + d.name
			unsupported[name] = d.fn != nil && refuses(d.fn)
			for _, n := range standsFor(t, name, d.doc, known) {
				found[n] = append(found[n], name)
			}
		}
	}
	for _, names := range found {
		slices.Sort(names)
	}
	return found, unsupported
}

// declaration is an exported function, method, type, variable or constant.
type declaration struct {
	name, doc string
	fn        *ast.FuncDecl
}

func declarations(t *testing.T, dir string) (all []declaration) {
	t.Helper()
	for _, f := range files(t, dir) {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				r := receiver(d)
				if !d.Name.IsExported() || r != "" && !ast.IsExported(r) {
					continue
				}
				name := d.Name.Name
				if r != "" {
					name = r + "." + name
				}
				all = append(all, declaration{name, d.Doc.Text(), d})
			case *ast.GenDecl:
				for _, s := range d.Specs {
					all = append(all, specs(d, s)...)
				}
			}
		}
	}
	return all
}

func specs(d *ast.GenDecl, s ast.Spec) (all []declaration) {
	add := func(id *ast.Ident, docs ...*ast.CommentGroup) {
		doc := ""
		for _, c := range docs {
			doc += c.Text() + "\n"
		}
		if id.IsExported() {
			all = append(all, declaration{name: id.Name, doc: doc})
		}
	}
	switch s := s.(type) {
	case *ast.TypeSpec:
		add(s.Name, d.Doc, s.Doc)
	case *ast.ValueSpec:
		for _, id := range s.Names {
			add(id, s.Doc, s.Comment)
		}
	}
	return all
}

var sentence = regexp.MustCompile(`stands for ((?:[^.]|\.\S)*)`)
var word = regexp.MustCompile(`[A-Za-z0-9_]+|,`)

// standsFor finds documented functions in the sentences with "stands for": those
// with the prefix, and those that cannot be mistaken for a word, anywhere in the
// sentence; others only right behind these two words, in an enumeration.
func standsFor(t *testing.T, where, doc string, known map[string]bool) (names []string) {
	t.Helper()
	doc = strings.Join(strings.Fields(doc), " ")
	for _, m := range sentence.FindAllStringSubmatch(doc, -1) {
		enumeration := true
		for _, w := range word.FindAllString(m[1], -1) {
			n, prefixed := strings.CutPrefix(w, "WDRV_WINC_")
			switch {
			case prefixed && !known[n] && !notListed[n]:
				t.Errorf("%s stands for %s, which is not documented", where, w)
			case known[n] && (prefixed || enumeration || strings.ContainsAny(n[1:], "_ABCDEFGHIJKLMNOPQRSTUVWXYZ")):
				if !slices.Contains(names, n) {
					names = append(names, n)
				}
			case w == "," || w == "and" || w == "both" || prefixed:
			default:
				enumeration = false
			}
		}
	}
	return names
}

// refuses says whether a function is a single return with ErrUnsupported in it,
// or with the method that returns it after the common checks.
func refuses(fn *ast.FuncDecl) bool {
	if fn.Body == nil || len(fn.Body.List) != 1 {
		return false
	}
	ret, ok := fn.Body.List[0].(*ast.ReturnStmt)
	if !ok {
		return false
	}
	found := false
	ast.Inspect(ret, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && (id.Name == "ErrUnsupported" || id.Name == "unsupported") {
			found = true
		}
		return true
	})
	return found
}

// Every exported method of the driver's three types names the documented
// function that it stands for, or says that there is none.
func TestDriverMethodsNameTheDocumentedFunction(t *testing.T) {
	// What Go adds to the document, and parts of a value's nature.
	own := map[string]bool{
		"Client.Driver": true, "Client.Err": true, "Client.IPConfig": true, "Client.OnIP": true, "Client.AskAssoc": true,
		"Client.EchoHook": true, "Client.ResolveHook": true, "Client.SocketHook": true,
		"Client.UpdateHook": true, "Client.SwitchImageHook": true, "Client.RollbackHook": true, "Client.DownloadFileHook": true, "Client.EraseFileHook": true, "Client.FrameHook": true, "Socket.RecvHook": true,
		"Socket.ID": true, "Socket.String": true, "Socket.Valid": true,
		"Driver.Hook": true, "Driver.Config": true, "Driver.Stats": true, "Driver.Err": true,
	}
	n := 0
	for _, fn := range functions(t, "driver") {
		name := receiver(fn) + "." + fn.Name.Name
		switch receiver(fn) {
		case "Client", "Driver", "Socket", "Flash", "Region":
		default:
			continue
		}
		if !fn.Name.IsExported() || own[name] {
			continue
		}
		n++
		if doc := strings.Join(strings.Fields(fn.Doc.Text()), " "); !strings.Contains(doc, "stands for") {
			t.Errorf("%s: the comment does not say which documented function it stands for", name)
		}
	}
	if n < 40 {
		t.Errorf("only %d methods were looked at", n)
	}
}

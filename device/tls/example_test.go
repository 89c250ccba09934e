package tls_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log"

	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/device/tls"
)

// A root certificate, as a file has it.
const rootPEM = `-----BEGIN CERTIFICATE-----
MIIBYjCCAQegAwIBAgIBATAKBggqhkjOPQQDAjAXMRUwEwYDVQQDEwxleGFtcGxl
IHJvb3QwIBcNMjAwMTAxMDAwMDAwWhgPMjA1MDAxMDEwMDAwMDBaMBcxFTATBgNV
BAMTDGV4YW1wbGUgcm9vdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABPuyEBQO
zAScgRVcnd0HdxI6jwiTYXDkzpzqNgSh0+QnfVaHAbWyeuokLfCsTbXIvk/vHh/T
naBAEdNyBk/5pCWjQjBAMA4GA1UdDwEB/wQEAwICBDAPBgNVHRMBAf8EBTADAQH/
MB0GA1UdDgQWBBSXBrBkpl/Q+luL3Dcpg48AxpSUQjAKBggqhkjOPQQDAgNJADBG
AiEA7YjUQMMa+mApkXY3bDsxVcNabRDZpuP/u8CVA2Z0HYUCIQCmcwo8ABkyIa37
sAXYT8QxENnII72C/luUgMbKj6xBZA==
-----END CERTIFICATE-----
`

// The root certificates that a device trusts lie in its flash: give it one that has them as device.Config.Flash.
func ExampleSetRoots() {
	f, err := flash.New(flash.Size4M)
	if err != nil {
		log.Fatal(err)
	}
	block, _ := pem.Decode([]byte(rootPEM))
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		log.Fatal(err)
	}
	if err := tls.SetRoots(f, root); err != nil {
		log.Fatal(err)
	}
	roots, err := tls.Roots(f)
	fmt.Println(len(roots), roots[0].Subject, err)
	// Output: 1 CN=example root <nil>
}

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/understudy-net/understudy/uplink/user"
)

func terminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

func newGet(std stdio) *cobra.Command {
	var o options
	var output, cacert string
	c := &cobra.Command{
		Use:   "get URL",
		Short: "Fetch a URL through driver, bus, device and air",
		Long: `Fetch a URL with the device's sockets and write the body to standard output, or
to the file of -o. HTTPS is done on the host's side, over a plain socket of the
device; --cacert names the certificates that it trusts instead of the system's.

This host's loopback is http://host.internal/, with --allow-host.`,
		Args: argCount(1, "one URL"),
	}
	c.Flags().StringVarP(&output, "output", "o", "", "write the body to `FILE` and tell the throughput")
	c.Flags().StringVar(&cacert, "cacert", "", "trust the certificates in the PEM `FILE`, and no others, for https")
	return hostVerb(std, c, &o, true, func(ctx context.Context, h *host, p printer, args []string) error {
		roots, err := readRoots(cacert)
		if err != nil {
			return err
		}
		u, err := url.Parse(args[0])
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return usagef("get %s: want a URL such as http://example.com/file", args[0])
		}
		if loopback(u.Hostname()) {
			return usagef("get %s: %s would be the device itself; this host's loopback is %s, with --allow-host", args[0], u.Hostname(), user.HostName)
		}
		return h.get(ctx, std, p, u.String(), output, roots)
	})
}

// loopback says whether a host in a URL means the machine that asks.
func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// readRoots reads certificates from a PEM file; without one the system's count.
func readRoots(name string) (*x509.CertPool, error) {
	if name == "" {
		return nil, nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, usagef("--cacert: %v", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b) {
		return nil, usagef("--cacert %s: no certificate in it; want a PEM file", name)
	}
	return roots, nil
}

func (h *host) get(ctx context.Context, std stdio, p printer, url, output string, roots *x509.CertPool) error {
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig:       &tls.Config{RootCAs: roots},
		DialContext:           h.DialContext,
		TLSHandshakeTimeout:   h.o.timeout,
		ResponseHeaderTimeout: h.o.timeout,
		DisableCompression:    true,
	}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "understudy/"+buildVersion())
	start := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("get: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("get %s: the server says %s", url, resp.Status)
	}
	n, err := save(std, resp, output)
	if err != nil {
		return fmt.Errorf("get %s: %w", url, err)
	}
	if output == "" {
		return nil
	}
	d := time.Since(start)
	rate := float64(n) * 8 / 1e6 / d.Seconds()
	return p.result(map[string]any{"url": url, "file": output, "bytes": n, "seconds": d.Seconds(), "mbit_per_second": rate},
		"%s: %d bytes in %.2f s, %.1f Mbit/s\n", output, n, d.Seconds(), rate)
}

// save writes the body to a file, with a progress bar on a terminal, or to
// standard output.
func save(std stdio, resp *http.Response, output string) (n int64, err error) {
	if output == "" {
		return io.Copy(std.out, resp.Body)
	}
	f, err := os.Create(output)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	bar := progressbar.NewOptions64(resp.ContentLength,
		progressbar.OptionSetWriter(std.err),
		progressbar.OptionSetVisibility(isTerminal(std.err)),
		progressbar.OptionSetDescription("get"),
		progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
	n, err = io.Copy(io.MultiWriter(f, bar), resp.Body)
	bar.Finish() // its errors are those of the terminal
	if err == nil && resp.ContentLength > 0 && n != resp.ContentLength {
		err = fmt.Errorf("got %d bytes of %d: %w", n, resp.ContentLength, io.ErrUnexpectedEOF)
	}
	return n, err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// stdio is where a command reads and writes; tests give their own.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// exit codes.
const (
	exitOK    = 0
	exitError = 1 // the command ran and failed
	exitUsage = 2 // the command line makes no sense
)

// usageError marks a mistake in the command line.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run is the command: it returns the exit code.
func run(ctx context.Context, args []string, std stdio) int {
	root := newRoot(std)
	root.SetArgs(args)
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, new(usageError)), strings.HasPrefix(err.Error(), "unknown command"):
		fmt.Fprintf(std.err, "understudy: %v\n", err)
		return exitUsage
	default:
		fmt.Fprintf(std.err, "understudy: %v\n", err)
		return exitError
	}
}

func newRoot(std stdio) *cobra.Command {
	root := &cobra.Command{
		Use:   "understudy",
		Short: "A WINC-compatible Wi-Fi network controller in software",
		Long: `Understudy stands in for a WINC network controller: the Wi-Fi module with a
TCP/IP stack of its own that a small microcontroller asks over SPI.

Without --bus, the verbs boot a controller in this process, join it to a virtual
access point and reach the network through the uplink. With --bus they act on
the controller that "understudy run --bus ..." offers in another process.`,
		Example: `  understudy demo
  understudy get http://example.com/ -o page.html
  understudy run --bus unix:/tmp/winc.sock --pcap air.pcapng`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%w\nsee: %s --help", err, c.CommandPath())
	})
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddCommand(
		newDemo(std), newRun(std), newScan(std), newPing(std), newResolve(std),
		newGet(std), newIP(std), newAP(std), newTime(std), newSockets(std), newOTA(std), newVersion(std),
	)
	root.AddCommand(newImage(std), newFlash(std))
	return root
}

// argCount is cobra.ExactArgs with an error that says what is wanted.
func argCount(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("%s takes %s, got %d arguments\nsee: %s --help", c.Name(), what, len(args), c.CommandPath())
		}
		return nil
	}
}

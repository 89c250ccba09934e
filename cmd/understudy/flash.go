package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/device/flash"
)

func newFlash(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "flash",
		Short: "Look into the flash of a chip, and give it certificates",
		Long: `The flash of the chip in a file, as --flash FILE keeps it: what lies in it, and
the certificates for its TLS. No device is started.`,
		Example: `  understudy flash inspect chip.bin
  understudy flash roots chip.bin --add ca.pem                    # whom the device trusts
  understudy flash identity chip.bin --cert server.pem --key server.key    # who it is`,
	}
	c.AddCommand(newFlashInspect(std), newFlashRoots(std), newFlashIdentity(std))
	return c
}

func newFlashInspect(std stdio) *cobra.Command {
	var asJSON, secrets bool
	c := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show the map, the firmware, the certificates and the stored networks",
		Long: `Show what lies in the flash of a chip: the regions and how far each is used, the
control section in both its copies, the firmware images with their versions and which
of them runs, the certificates, the networks that a default connect uses, and the host
file.

The file is only read, also while a device has it, and may be damaged: then this
says what is wrong with it.`,
		Example: `  understudy flash inspect chip.bin
  understudy flash inspect chip.bin --json`,
		Args: argCount(1, "one file"),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := readFlash(args[0])
			if err != nil {
				return err
			}
			r, err := inspectFlash(f, secrets)
			if err != nil {
				return err
			}
			r.File = args[0]
			return r.print(printer{std.out, asJSON})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&secrets, "passphrases", false, "show the passphrases of the stored networks")
	return c
}

// readFlash reads the image of a chip, which may be damaged, and does not touch the file.
func readFlash(name string) (*flash.Flash, error) {
	s, err := os.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w\nmake one with --flash %s on a verb such as \"understudy ip\"", err, name)
	}
	if err != nil {
		return nil, err
	}
	if n := s.Size(); !s.Mode().IsRegular() || n != flash.Size2M && n != flash.Size4M && n != flash.Size8M {
		return nil, fmt.Errorf("%s: %w", name, flash.ErrSize)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	base, err := flash.NewBase(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return base.New(), nil
}

// changeFlash opens the flash of a chip, which it makes if there is none, and changes it.
func changeFlash(name string, change func(*flash.Flash) error) error {
	f, err := flash.OpenFile(name, device.WINC1500().FlashFormat())
	if errors.Is(err, flash.ErrLocked) {
		return fmt.Errorf("%w\nend the device that has it first; it reads its certificates when it starts", err)
	}
	if err != nil {
		return err
	}
	return errors.Join(change(f), f.Close())
}

// erased reports whether nothing was written to a region.
func erased(f *flash.Flash, r flash.Region) (bool, error) {
	n, err := usedBytes(f, r)
	return n == 0, err
}

// usedBytes is how far a region was written.
func usedBytes(f *flash.Flash, r flash.Region) (int, error) {
	p, err := f.Region(r)
	if err != nil {
		return 0, err
	}
	b := make([]byte, p.Size())
	if _, err := p.ReadAt(b, 0); err != nil {
		return 0, err
	}
	for n := len(b); n > 0; n-- {
		if b[n-1] != 0xff {
			return n, nil
		}
	}
	return 0, nil
}

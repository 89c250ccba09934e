package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/device/image"
)

func newImage(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "image",
		Short: "Make, look at, check and serve firmware images",
		Long: `Images are the files that a device fetches with "understudy ota update": a SHA-256
digest, a magic number, a size, and what goes into the flash. Those made here carry
no code, only what can be seen of firmware from outside: its version, its chip, and a
signature, if it has one.`,
		Example: `  understudy image build --version 19.8.1 -o new.img
  understudy image inspect new.img
  understudy image serve . --listen 127.0.0.1:8070`,
	}
	c.AddCommand(newImageBuild(std), newImageInspect(std), newImageVerify(std), newImageServe(std))
	return c
}

func newImageBuild(std stdio) *cobra.Command {
	var version, least, chip, size, key, payload, output string
	var asJSON bool
	c := &cobra.Command{
		Use:   "build (--version VERSION | --payload FILE) -o FILE",
		Short: "Make an image",
		Long: `Make an image of synthetic firmware with a version. The same flags make the same
bytes. With --payload it is made from somebody else's firmware instead, which is
carried as it is.

The key of --key is an Ed25519 key, such as "openssl genpkey -algorithm ed25519"
makes.`,
		Args: argCount(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			if (version == "") == (payload == "") || output == "" {
				return usagef("image build needs -o and either --version or --payload")
			}
			if payload != "" && (size != "" || key != "" || least != "" || chip != "") {
				return usagef("--payload goes without --size, --key, --chip and --min-driver: nothing in it is changed")
			}
			b, err := buildImage(version, least, chip, size, key, payload)
			if err != nil {
				return err
			}
			if err := os.WriteFile(output, b, 0o644); err != nil {
				return err
			}
			return inspectImage(printer{std.out, asJSON}, output, b)
		},
	}
	f := c.Flags()
	f.StringVar(&version, "version", "", "`VERSION` of the firmware, as 19.8.1")
	f.StringVar(&least, "min-driver", "", "`VERSION` of the oldest host driver that it works with; 19.3.0 without it")
	f.StringVar(&chip, "chip", "", "`ID` of the chip that it is for, 0 for any; "+fmt.Sprintf("%#x", device.WINC1500().ChipID)+" without it")
	f.StringVar(&size, "size", "", "length of the file in `BYTES`, as 100000 or 128k; as much as a slot takes without it")
	f.StringVar(&key, "key", "", "sign with the private key in the PEM `FILE`")
	f.StringVar(&payload, "payload", "", "wrap the firmware in `FILE` instead")
	f.StringVarP(&output, "output", "o", "", "write the image to `FILE`")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func buildImage(version, least, chip, size, key, payload string) ([]byte, error) {
	if payload != "" {
		b, err := os.ReadFile(payload)
		if err != nil {
			return nil, err
		}
		file := image.Wrap(b)
		return file, image.Verify(file, image.SlotSize)
	}
	s := image.Spec{Chip: device.WINC1500().ChipID, Size: image.SlotSize}
	var err error
	if s.Version, err = parseVersion("--version", version); err != nil {
		return nil, err
	}
	if least != "" {
		if s.MinDriver, err = parseVersion("--min-driver", least); err != nil {
			return nil, err
		}
	}
	if chip != "" {
		if s.Chip, err = parseChip(chip); err != nil {
			return nil, err
		}
	}
	if size != "" {
		if s.Size, err = parseBytes("--size", size); err != nil {
			return nil, err
		}
	}
	if key != "" {
		if s.Key, err = readPrivateKey(key); err != nil {
			return nil, err
		}
	}
	b, err := image.Build(s)
	if err != nil {
		return nil, usageError{err}
	}
	return b, nil
}

func parseVersion(flag, s string) (image.Version, error) {
	v, err := image.ParseVersion(s)
	if err == nil && v == 0 {
		err = errors.New("0.0.0 is no version; drivers take it for no firmware")
	}
	if err != nil {
		return 0, usagef("%s: %w", flag, err)
	}
	return v, nil
}

func parseChip(s string) (uint32, error) {
	id, err := strconv.ParseUint(s, 0, 32)
	if err != nil {
		return 0, usagef("--chip %s: want the id of a chip, such as 0x1003a0", s)
	}
	return uint32(id), nil
}

// parseBytes reads a number of bytes, more than 0, of which k means 1024.
func parseBytes(flag, s string) (int, error) {
	digits, k := strings.CutSuffix(strings.ToLower(s), "k")
	n, err := strconv.ParseUint(digits, 10, 32)
	if k {
		n <<= 10
	}
	if err != nil || n == 0 || n > 1<<31-1 {
		return 0, usagef("%s %s: want a number of bytes, such as 100000 or 128k", flag, s)
	}
	return int(n), nil
}

// readPEM reads a file with one block of PEM.
func readPEM(name string) ([]byte, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, usagef("--key: %v", err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, usagef("--key %s: want a PEM file, such as \"openssl genpkey -algorithm ed25519\" makes", name)
	}
	return block.Bytes, nil
}

func readPrivateKey(name string) (ed25519.PrivateKey, error) {
	der, err := readPEM(name)
	if err != nil {
		return nil, err
	}
	any, err := x509.ParsePKCS8PrivateKey(der)
	if k, ok := any.(ed25519.PrivateKey); ok {
		return k, nil
	}
	return nil, usagef("--key %s: want an Ed25519 private key (PKCS #8)%s", name, because(err))
}

// readPublicKey takes a private key too.
func readPublicKey(name string) (ed25519.PublicKey, error) {
	der, err := readPEM(name)
	if err != nil {
		return nil, err
	}
	any, err := x509.ParsePKIXPublicKey(der)
	if err == nil {
		if k, ok := any.(ed25519.PublicKey); ok {
			return k, nil
		}
	} else if k, e := readPrivateKey(name); e == nil {
		return k.Public().(ed25519.PublicKey), nil
	}
	return nil, usagef("--key %s: want an Ed25519 public key%s", name, because(err))
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

func newImageInspect(std stdio) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Say what an image is, whether or not it is good",
		Args:  argCount(1, "one file"),
		RunE: func(_ *cobra.Command, args []string) error {
			b, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			return inspectImage(printer{std.out, asJSON}, args[0], b)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// inspectImage prints what the file b says of itself, and what a device would say to it.
func inspectImage(p printer, name string, b []byte) error {
	f, err := image.Parse(b)
	if errors.Is(err, image.ErrShort) || errors.Is(err, image.ErrMagic) {
		return fmt.Errorf("%s: %w", name, err) // nothing to tell
	}
	bad := image.Verify(b, image.SlotSize)
	m := map[string]any{
		"file": name, "bytes": len(b), "size": f.Size, "digest": hex.EncodeToString(f.Digest[:]),
		"good": bad == nil, "foreign": f.Foreign,
	}
	if bad != nil {
		m["why"] = bad.Error()
	}
	ours := err == nil && !f.Foreign
	if ours {
		m["version"], m["min_driver"] = f.Head.Version().String(), f.Head.MinDriver().String()
		m["chip"] = fmt.Sprintf("%#x", f.Head.Chip())
		if f.Head.Key != nil {
			m["signed_by"] = hex.EncodeToString(f.Head.Key)
		}
	}
	if p.json {
		return p.result(m, "")
	}
	w := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	row("file", "%s, %d bytes", name, len(b))
	row("digest", "%x", f.Digest)
	switch {
	case ours:
		row("firmware", "%v, for drivers from %v on", f.Head.Version(), f.Head.MinDriver())
		row("chip", "%s", chipName(f.Head.Chip()))
		if f.Head.Key != nil {
			row("signed by", "%x", []byte(f.Head.Key))
		}
	case f.Foreign:
		row("firmware", "of somebody else, %d bytes", len(f.Payload))
	}
	if bad != nil {
		row("verdict", "bad: %v", bad)
	} else {
		row("verdict", "good")
	}
	return w.Flush()
}

func chipName(id uint32) string {
	if id == 0 {
		return "any"
	}
	return fmt.Sprintf("%#x", id)
}

func newImageVerify(std stdio) *cobra.Command {
	var chip, key string
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check an image as a device does; the exit code tells",
		Args:  argCount(1, "one file"),
		RunE: func(_ *cobra.Command, args []string) error {
			k := image.NewChecker(image.SlotSize)
			var err error
			if chip != "" {
				if k.Chip, err = parseChip(chip); err != nil {
					return err
				}
			}
			if key != "" {
				if k.Key, err = readPublicKey(key); err != nil {
					return err
				}
			}
			b, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			return verifyImage(printer{std.out, asJSON}, args[0], b, k)
		},
	}
	f := c.Flags()
	f.StringVar(&chip, "chip", "", "`ID` of the chip that it must be for")
	f.StringVar(&key, "key", "", "PEM `FILE` with the key that it must be signed with, the public one or the private one")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func verifyImage(p printer, name string, b []byte, k *image.Checker) error {
	_, err := k.Write(b)
	if err == nil {
		err = k.Close()
	}
	m, what := map[string]any{"file": name, "good": err == nil}, "firmware of somebody else"
	if h := k.Head(); h != nil {
		what = "firmware " + h.Version().String()
		m["version"] = h.Version().String()
	}
	if err != nil {
		m["why"] = err.Error()
		if p.json {
			return errors.Join(p.result(m, ""), fmt.Errorf("%s: %w", name, err))
		}
		return fmt.Errorf("%s: %w", name, err)
	}
	return p.result(m, "%s: good, %s\n", name, what)
}

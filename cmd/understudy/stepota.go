package main

import (
	"fmt"

	"github.com/understudy-net/understudy/device/image"
	"github.com/understudy-net/understudy/driver"
)

const (
	imagePath      = "/new.img"
	factoryVersion = "19.7.7"
	updateVersion  = "19.8.1"
)

// firmwareFile is the update that the demo's web server has.
func firmwareFile() ([]byte, error) {
	v, err := image.ParseVersion(updateVersion)
	if err != nil {
		return nil, err
	}
	return image.Build(image.Spec{Version: v, Size: 128 << 10})
}

// stepUpdate loads new firmware and has it run.
func stepUpdate(t *tour) (string, error) {
	t.call("Net.Join(ctx, ...), Net.Update(ctx, \"http://%s%s\")", wwwName, imagePath)
	if err := t.Join(); err != nil {
		return "", err
	}
	var stored, expected int64
	err := t.Net.Update(background, "http://"+wwwName+imagePath, func(s, e int64) { stored, expected = s, e })
	if err != nil {
		return "", err
	}
	if stored != 128<<10 || expected != stored {
		return "", fmt.Errorf("the progress ended at %d of %d bytes", stored, expected)
	}
	if err := t.wantFirmware(factoryVersion, updateVersion); err != nil {
		return "", fmt.Errorf("after the update: %w", err)
	}
	t.call("Net.SwitchImage(ctx): from the next reset on")
	if err := t.Net.SwitchImage(background); err != nil {
		return "", err
	}
	t.call("Driver.Restart()")
	if err := t.Driver.Restart(); err != nil {
		return "", err
	}
	if err := t.wantFirmware(updateVersion, factoryVersion); err != nil {
		return "", fmt.Errorf("after the switch: %w", err)
	}
	return fmt.Sprintf("firmware %s runs now; %s stands by for a rollback", updateVersion, factoryVersion), nil
}

// wantFirmware reads both versions from the chip, and compares them.
func (t *tour) wantFirmware(running, standby string) error {
	c, err := t.Net.Client()
	if err != nil {
		return err
	}
	t.Client = c
	var is, other driver.Version
	if is, err = c.Firmware(); err != nil {
		return err
	}
	if other, err = c.StandbyFirmware(); err != nil {
		return err
	}
	if is.String() != running || other.String() != standby {
		return fmt.Errorf("firmware %v runs and %v stands by, want %s and %s", is, other, running, standby)
	}
	return nil
}

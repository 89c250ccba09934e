package flash_test

import (
	"fmt"

	"github.com/understudy-net/understudy/device/flash"
)

// A chip in memory, formatted, and what the boot firmware finds in it.
func Example() {
	base, err := flash.Format{Size: flash.Size4M, Version: 0x13301377}.Base()
	if err != nil {
		fmt.Println(err)
		return
	}
	f := base.New() // as many as you like: they share what they do not write
	b, err := f.Boot()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("image at %#x runs; the other one is %v\n", b.Running.Offset, b.Control.Rollback.Mark)
	// Output: image at 0xa000 runs; the other one is invalid
}

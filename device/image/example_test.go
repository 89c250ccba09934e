package image_test

import (
	"errors"
	"fmt"

	"github.com/understudy-net/understudy/device/image"
)

// A file is built, looked at, and checked; one flipped bit is found.
func Example() {
	v, err := image.ParseVersion("19.8.1")
	if err != nil {
		fmt.Println(err)
		return
	}
	file, err := image.Build(image.Spec{Version: v, Chip: 0x1003a0, Body: []byte("hello")})
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := image.Parse(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d bytes, firmware %v for chip %#x\n", f.Size, f.Head.Version(), f.Head.Chip())
	fmt.Println("good:", image.Verify(file, image.SlotSize) == nil)
	file[len(file)-1] ^= 1
	fmt.Println("digest wrong:", errors.Is(image.Verify(file, image.SlotSize), image.ErrDigest))
	// Output:
	// 109 bytes, firmware 19.8.1 for chip 0x1003a0
	// good: true
	// digest wrong: true
}

// A stream is checked piece by piece, while what belongs into the slot goes there.
func ExampleChecker() {
	file := image.Wrap([]byte("firmware of somebody else"))
	c := image.NewChecker(image.SlotSize)
	var slot []byte
	for piece := range 7 {
		p, err := c.Write(file[piece*10 : min(piece*10+10, len(file))])
		if err != nil {
			fmt.Println(err)
			return
		}
		slot = append(slot, p...)
	}
	fmt.Printf("%q, %d of %d bytes, %v\n", slot, c.Stored(), c.Expected(), c.Close())
	// Output: "firmware of somebody else", 25 of 65 bytes, <nil>
}

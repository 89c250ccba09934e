package image

import (
	"fmt"
	"strconv"
	"strings"
)

// Version is a release of firmware or of a driver: major<<8 | minor<<4 | patch, as the registers of the chip have it, so
// versions compare as numbers. Spec host-bus 4.5.
type Version uint16

func makeVersion(major, minor, patch byte) Version {
	return Version(major)<<8 | Version(minor&15)<<4 | Version(patch&15)
}

// ParseVersion reads a version as 19.8.1: three numbers, of which the second and the third are at most 15.
func ParseVersion(s string) (Version, error) {
	part := strings.Split(s, ".")
	if len(part) == 3 {
		major, err1 := strconv.ParseUint(part[0], 10, 8)
		minor, err2 := strconv.ParseUint(part[1], 10, 4)
		patch, err3 := strconv.ParseUint(part[2], 10, 4)
		if err1 == nil && err2 == nil && err3 == nil {
			return makeVersion(byte(major), byte(minor), byte(patch)), nil
		}
	}
	return 0, fmt.Errorf("image: version %q; want three numbers, the last two at most 15, as 19.8.1", s)
}

// String prints the version as 19.8.1.
func (v Version) String() string {
	return strconv.Itoa(int(v>>8)) + "." + strconv.Itoa(int(v>>4&15)) + "." + strconv.Itoa(int(v&15))
}

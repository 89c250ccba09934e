package wps

// ValidPIN reports whether pin has eight digits of which the last is the checksum: the sum of all, the first, third, fifth and
// seventh three times, is a multiple of ten.
func ValidPIN(pin string) bool {
	if len(pin) != 8 {
		return false
	}
	sum := 0
	for i, c := range []byte(pin) {
		if c < '0' || c > '9' {
			return false
		}
		sum += int(c-'0') * (3 - i%2*2)
	}
	return sum%10 == 0
}

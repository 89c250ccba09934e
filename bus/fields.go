package bus

import (
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"

	"github.com/understudy-net/understudy/bus/hif"
)

// MessageText prints a HIF message as taps and the events of a device do: which way it goes, its name, the
// length of its payload and its fields.
//
//	H> IP/BIND (12) {Addr:0.0.0.0:80 Sock:7 Session:1}
//	<D WIFI/CON_STATE_CHANGED (4) {State:connected Error:ok}
//
// payload is what is known of the message behind the header, length how long it is; fields that are not known are
// left out. Keys and passphrases are printed like all else.
func MessageText(op hif.Op, toHost bool, length int, payload []byte) string {
	way := "H> "
	if toHost {
		way = "<D "
	}
	s := way + op.String() + " (" + strconv.Itoa(length) + ")"
	if f := fields(op, toHost, payload); f != "" {
		s += " " + f
	}
	return s
}

// fields prints the fields of a payload; "" for messages without.
func fields(op hif.Op, toHost bool, payload []byte) string {
	parse := hostParser(op)
	if toHost {
		parse = deviceParser(op)
	}
	if parse == nil {
		if len(payload) == 0 {
			return ""
		}
		return data(payload)
	}
	m, err := parse(payload)
	if err != nil {
		return "! " + err.Error() + ": " + data(payload)
	}
	var b strings.Builder
	printValue(&b, reflect.ValueOf(m))
	return b.String()
}

// printValue prints a field or a whole message.
func printValue(b *strings.Builder, v reflect.Value) {
	if s, ok := special(v); ok {
		b.WriteString(s)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		printStruct(b, v)
	case reflect.Slice, reflect.Array:
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteByte(' ')
			}
			printValue(b, v.Index(i))
		}
		b.WriteByte(']')
	default:
		fmt.Fprint(b, v.Interface())
	}
}

// printStruct leaves out what says nothing: empty texts and lists, addresses of zeros.
func printStruct(b *strings.Builder, v reflect.Value) {
	b.WriteByte('{')
	first := true
	for i := range v.NumField() {
		f := v.Field(i)
		if !v.Type().Field(i).IsExported() || empty(f) {
			continue
		}
		if !first {
			b.WriteByte(' ')
		}
		first = false
		b.WriteString(v.Type().Field(i).Name)
		b.WriteByte(':')
		printValue(b, f)
	}
	b.WriteByte('}')
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String, reflect.Slice:
		return v.Len() == 0
	case reflect.Array, reflect.Struct:
		return v.IsZero()
	}
	return false
}

// special prints what has a form of its own.
func special(v reflect.Value) (string, bool) {
	switch x := v.Interface().(type) {
	case [4]byte:
		return netip.AddrFrom4(x).String(), true
	case [6]byte:
		return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", x[0], x[1], x[2], x[3], x[4], x[5]), true
	case []byte:
		return data(x), true
	case string:
		return strconv.Quote(x), true
	case fmt.Stringer:
		return x.String(), true
	}
	if v.Kind() == reflect.Array && v.Type().Elem().Kind() == reflect.Uint8 {
		raw := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(raw), v)
		return data(raw), true
	}
	return "", false
}

// maxData is the most bytes of data that a field shows.
const maxData = 32

// data prints bytes: as text if they are, else in hexadecimal.
func data(p []byte) string {
	shown := p[:min(len(p), maxData)]
	text := true
	for _, c := range shown {
		text = text && (c >= ' ' && c < 0x7f || c == '\r' || c == '\n' || c == '\t')
	}
	s := fmt.Sprintf("% X", shown)
	if text {
		s = strconv.Quote(string(shown))
	}
	if more := len(p) - len(shown); more > 0 {
		s += "+" + strconv.Itoa(more)
	}
	return s
}

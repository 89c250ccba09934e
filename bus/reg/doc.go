// Package reg names the addresses and bits of a WINC1500 class controller that hosts touch, each one
// once. Addresses are those of the chip's bus, 24 bits; the clockless registers have a space of their
// own, marked by [Clockless]. Values are 32 bits wide. Section numbers are those of the spec "host bus".
package reg

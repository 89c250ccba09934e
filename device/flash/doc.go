// Package flash is the serial NOR flash behind the controller: its bytes, its rules, and what lies where in it.
//
// A [Flash] is an array of 2, 4 or 8 Mbit with the rules of NOR: it is erased in sectors of 4 KiB, to ones, and
// programmed in pages of 256 bytes, which only clears bits and wraps inside the page. It is called synchronously: storage
// waits for nobody, so this is the one part of a device that does I/O (doors, "flash"). Where the bytes are:
//
//	f, err := flash.New(flash.Size8M)                    // in memory, erased
//	f := base.New()                                      // in memory, over a Base that many chips share
//	f, err := flash.Open(storage, size)                  // anything with ReadAt and WriteAt; checked
//	f, err := flash.OpenFile("winc.img", format)         // a file: made if there is none, locked, checked
//
// In memory a chip costs what was written to it: sectors that were not touched are those of the base, and an erased
// sector costs nothing.
//
// On top of the array stand, each in a file of its own:
//
//   - [Chip]: the serial commands, as the controller of the module sends them (spec host-bus 6.2);
//   - [Region] and [Part]: the map (6.3);
//   - [Control]: which of the two firmware images runs, in two copies (6.4), with the table of regions that newer hosts
//     read ([Table]) and a note of ours;
//   - [Flash.Boot], which picks the image to run, and [Flash.BootTrial], which tries new ones (package image has the
//     format of what lies in a slot);
//   - [Flash.Networks]: what DEFAULT_CONNECT remembers.
//
// # Limits
//
// One owner: a Flash has no lock. Programming and erasing take no time. Writes to a file go to the operating system at
// once and are synced by Close; a crash of the host can lose the latest ones. [PowerCut] and [BadSectors] are storages
// for tests of what a cut of power leaves behind, in the middle of a write too, and of what wears out.
package flash

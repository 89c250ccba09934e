package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

func (r rowReport) print(w io.Writer) {
	fmt.Fprintf(w, "%s  [%s; a unit is one %s; %s time]\n", r.Title, r.Key, r.Unit, r.Clock)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tw, "\ta unit\t±\tratio\tMbit/s\tallocs\tpackets\t%s\t\n", map[string]string{"cpu": "by the clock", "wall": "CPU"}[r.Clock])
	for i, x := range r.Results {
		if x.Failure != "" {
			fmt.Fprintf(tw, "%s\tfailed: %s\t\t\t\t\t\t\t\n", x.Name, x.Failure)
			continue
		}
		times := ""
		if i > 0 {
			times = fmt.Sprintf("%.2f", r.Ratios[x.Name])
		}
		packets := ""
		if x.Median.Packets > 0 {
			packets = fmt.Sprintf("%.2f", x.Median.Packets)
		}
		rate := ""
		if v := r.rate(x); v > 0 {
			rate = fmt.Sprintf("%.0f", v)
		}
		fmt.Fprintf(tw, "%s\t%s\t%.0f%%\t%s\t%s\t%.2f\t%s\t%s\t%s\n", x.Name, nanos(x.Median.time(r.Clock == "wall")), 100*x.Spread, times, rate,
			x.Median.Allocs, packets, nanos(x.Median.time(r.Clock != "wall")), x.Note)
	}
	tw.Flush()
	for _, t := range r.Targets {
		word := "met"
		if !t.Met {
			word = "MISSED"
		}
		fmt.Fprintf(w, "  target %.2f of %s: %.2f, %s\n", t.Wanted, t.Over, t.Got, word)
	}
	fmt.Fprintln(w)
}

func nanos(ns float64) string {
	switch {
	case ns < 10e3:
		return fmt.Sprintf("%.0f ns", ns)
	case ns < 10e6:
		return fmt.Sprintf("%.1f µs", ns/1e3)
	}
	return time.Duration(ns).Round(10 * time.Microsecond).String()
}

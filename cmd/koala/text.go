package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/koala-go/sdk/progress"
)

// printJSON prints one JSON document, indented.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// plural returns a count with a noun, which has an s at its end unless n is 1.
func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}

// bytesText returns a size in powers of 1000, such as "13.5 GB".
func bytesText(n int64) string { return humanize.BytesN(uint64(max(n, 0)), 3) }

// rateText returns bytes per second, such as "1.27 GB/s".
func rateText(n int64, elapsed time.Duration) string {
	seconds := max(elapsed.Seconds(), 1e-9) // a clock may not have moved
	return bytesText(int64(float64(n)/seconds)) + "/s"
}

// amountText returns an amount with its unit, such as "13.5 GB" or "1,000
// records".
func amountText(n int64, unit progress.Unit) string {
	if unit == progress.Bytes {
		return bytesText(n)
	}
	return humanize.Comma(n) + " " + string(unit)
}

// size is a number of bytes on the command line, such as 5GB, 256MiB or
// 1000000.
type size int64

// UnmarshalText parses a positive size.
func (s *size) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n < 1 || n > math.MaxInt64 {
		return fmt.Errorf("%q is not a size: give a number of bytes such as 5GB, 256MiB or 1000000", text)
	}
	*s = size(n)
	return nil
}

// percent is a share on the command line, such as 1% or 0.01.
type percent float64

// UnmarshalText parses a share above 0 % and up to 100 %.
func (p *percent) UnmarshalText(text []byte) error {
	word, divided := strings.CutSuffix(string(text), "%")
	f, err := strconv.ParseFloat(word, 64)
	if divided {
		f /= 100
	}
	if err != nil || !(f > 0 && f <= 1) {
		return fmt.Errorf("%q is not a share: give a percentage such as 1%% or a fraction such as 0.01", text)
	}
	*p = percent(f)
	return nil
}

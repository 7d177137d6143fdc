package prompt

import (
	"bytes"
	"unicode/utf8"
)

// EndReason says why a reply ended.
type EndReason uint8

// The reasons.
const (
	StreamEnd    EndReason = iota // the stream ended, or goes on, without a stop sequence
	EndOfReply                    // the model made the dialect's End
	ForgedTurn                    // the model made the user's marker: it began to write for the user
	ForgedHeader                  // the model made the header: it began another conversation
	CustomStop                    // the model made one of the caller's stop sequences
)

// String returns the name of the reason.
func (r EndReason) String() string {
	return [...]string{"stream end", "end", "forged turn", "forged header", "stop"}[min(r, CustomStop)]
}

// Ending says how a reply ended and what was left out of it.
type Ending struct {
	Reason   EndReason // why the reply ended
	Stop     string    // the stop sequence that ended it, or ""
	Cut      string    // the text from the stop sequence on, 1,024 bytes at most
	CutBytes int       // the number of all bytes from the stop sequence on
	Trimmed  bool      // whether the space before the reply was removed
	Replaced int       // the number of bytes that were not UTF-8 and became U+FFFD
}

// Filter extracts a reply from the stream of a server. It ends the reply at the
// dialect's End, at a forged user marker or header, and at the caller's stop sequences.
// The stop sequence that is complete first ends the reply; the longest one if several
// are complete at once. The result does not depend on how the stream is cut into
// pieces.
//
// It holds back only what may be the beginning of a stop sequence and incomplete
// characters, and returns whole characters of UTF-8.
type Filter struct {
	stops   []stop
	held    []byte // not returned yet
	started bool   // whether the first byte has arrived
	end     Ending
	closed  bool
}

type stop struct {
	text   []byte
	reason EndReason
}

// NewFilter returns a filter for one reply. It ignores empty stop sequences.
func (d *Dialect) NewFilter(stops ...string) *Filter {
	f := &Filter{}
	f.add(d.End, EndOfReply)
	f.add(d.Markers.User, ForgedTurn)
	f.add(d.Header, ForgedHeader)
	for _, s := range stops {
		f.add(s, CustomStop)
	}
	return f
}

func (f *Filter) add(text string, reason EndReason) {
	if text != "" {
		f.stops = append(f.stops, stop{[]byte(text), reason})
	}
}

// Append reads a piece of the stream and appends the new part of the reply that is
// certain to dst. After the reply has ended, it appends nothing and counts the piece in
// CutBytes.
func (f *Filter) Append(dst []byte, piece []byte) []byte {
	if f.Done() {
		f.cut(piece)
		return dst
	}
	if !f.started && len(piece) > 0 {
		f.started = true
		if piece[0] == ' ' {
			f.end.Trimmed = true
			piece = piece[1:]
		}
	}
	searched := len(f.held)
	f.held = append(f.held, piece...)
	if at, s := f.find(searched); s != nil {
		f.end.Reason, f.end.Stop = s.reason, string(s.text)
		f.cut(f.held[at:])
		dst = f.release(dst, at, true)
		f.held = nil
		return dst
	}
	return f.release(dst, len(f.held)-f.partialStop(), false)
}

// Close ends the stream and appends what the filter holds back to dst. The bytes of an
// incomplete character become U+FFFD.
func (f *Filter) Close(dst []byte) []byte {
	if !f.closed {
		f.closed = true
		dst = f.release(dst, len(f.held), true)
	}
	return dst
}

// Done reports whether the reply has ended, by a stop sequence or by Close.
func (f *Filter) Done() bool { return f.end.Reason != StreamEnd || f.closed }

// Ending returns how the reply ended.
func (f *Filter) Ending() Ending { return f.end }

// find returns the stop sequence that is complete first and its offset in held, or nil.
// The first bytes have been searched before and contain none.
func (f *Filter) find(searched int) (at int, found *stop) {
	end := len(f.held) + 1
	for i := range f.stops {
		s := &f.stops[i]
		from := max(0, searched-len(s.text)+1)
		n := bytes.Index(f.held[from:], s.text)
		if n < 0 {
			continue
		}
		if e := from + n + len(s.text); e < end || e == end && from+n < at {
			at, end, found = from+n, e, s
		}
	}
	return at, found
}

// partialStop returns the number of bytes at the end that may be the beginning of a
// stop sequence.
func (f *Filter) partialStop() int {
	longest := 0
	for i := range f.stops {
		s := f.stops[i].text
		for n := min(len(s)-1, len(f.held)); n > longest; n-- {
			if bytes.HasSuffix(f.held, s[:n]) {
				longest = n
				break
			}
		}
	}
	return longest
}

// release appends the first n bytes of held to dst and removes them. An incomplete
// character stays unless last is set.
func (f *Filter) release(dst []byte, n int, last bool) []byte {
	out := f.held[:n]
	at := 0
	for at < len(out) {
		r, size := utf8.DecodeRune(out[at:])
		if r == utf8.RuneError && size == 1 {
			if !last && !utf8.FullRune(out[at:]) {
				break
			}
			f.end.Replaced++
		}
		dst = utf8.AppendRune(dst, r)
		at += size
	}
	f.held = append(f.held[:0], f.held[at:]...)
	return dst
}

// maxCut bounds Ending.Cut in bytes.
const maxCut = 1024

// cut records text after the reply.
func (f *Filter) cut(text []byte) {
	f.end.CutBytes += len(text)
	f.end.Cut += string(text[:min(len(text), maxCut-len(f.end.Cut))])
}

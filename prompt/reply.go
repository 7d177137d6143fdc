package prompt

import (
	"bytes"
	"unicode/utf8"
)

// EndReason is why a reply ended.
type EndReason uint8

// The reasons.
const (
	StreamEnd    EndReason = iota // no stop came: the stream goes on, or the server ended it
	EndOfReply                    // the dialect's End came
	ForgedTurn                    // the model began to speak for the user
	ForgedHeader                  // it began a conversation
	CustomStop                    // one of the caller's stops
)

// String is the reason's name.
func (r EndReason) String() string {
	return [...]string{"stream end", "end", "forged turn", "forged header", "stop"}[min(r, CustomStop)]
}

// Ending says how a reply ended and what was left out of it.
type Ending struct {
	Reason EndReason
	Stop   string // the text that ended it, "" when nothing did
	// Cut is the text from the stop on, 1,024 bytes of it at most, and
	// CutBytes the number of its bytes, with all that came after.
	Cut      string
	CutBytes int
	// Trimmed is whether the one space before a reply was taken away, and
	// Replaced how many bytes that are not UTF-8 became U+FFFD.
	Trimmed  bool
	Replaced int
}

// Filter makes a reply of what a server sends, piece by piece. It ends the
// reply at the dialect's End, where the model forges a user marker or a header,
// and at the caller's stops. The stop that is complete first ends it; of those
// complete at once, the longest. How the stream is cut into pieces changes
// nothing.
//
// It holds back what may be the beginning of a stop and characters that are
// not whole, and no more, and gives out whole UTF-8.
type Filter struct {
	stops  []stop
	held   []byte // not given out yet
	begun  bool   // the first byte was seen
	end    Ending
	closed bool
}

type stop struct {
	text   []byte
	reason EndReason
}

// NewFilter makes a filter. Empty stops are ignored.
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

// Append takes a piece of the stream and appends what is certain of the reply.
// Once the reply has ended it appends nothing and counts the piece as cut.
func (f *Filter) Append(dst []byte, piece []byte) []byte {
	if f.Done() {
		f.cut(piece)
		return dst
	}
	if !f.begun && len(piece) > 0 {
		f.begun = true
		if piece[0] == ' ' {
			f.end.Trimmed = true
			piece = piece[1:]
		}
	}
	seen := len(f.held)
	f.held = append(f.held, piece...)
	if at, s := f.find(seen); s != nil {
		f.end.Reason, f.end.Stop = s.reason, string(s.text)
		f.cut(f.held[at:])
		dst = f.give(dst, at, true)
		f.held = nil
		return dst
	}
	return f.give(dst, len(f.held)-f.suspect(), false)
}

// Close says that the stream has ended, and appends what was held back. Bytes
// of a character that is not whole become U+FFFD.
func (f *Filter) Close(dst []byte) []byte {
	if !f.closed {
		f.closed = true
		dst = f.give(dst, len(f.held), true)
	}
	return dst
}

// Done is whether a stop has ended the reply: nothing more will come.
func (f *Filter) Done() bool { return f.end.Reason != StreamEnd || f.closed }

// Ending says how the reply ended.
func (f *Filter) Ending() Ending { return f.end }

// find is the stop that is complete first, and where it begins. What was seen
// before holds none.
func (f *Filter) find(seen int) (at int, found *stop) {
	end := len(f.held) + 1
	for i := range f.stops {
		s := &f.stops[i]
		from := max(0, seen-len(s.text)+1)
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

// suspect is how many bytes at the end may be the beginning of a stop.
func (f *Filter) suspect() int {
	most := 0
	for i := range f.stops {
		s := f.stops[i].text
		for n := min(len(s)-1, len(f.held)); n > most; n-- {
			if bytes.HasSuffix(f.held, s[:n]) {
				most = n
				break
			}
		}
	}
	return most
}

// give appends the first n bytes that are held, and forgets them. Unless they
// are the last, a character that is not whole stays.
func (f *Filter) give(dst []byte, n int, last bool) []byte {
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

// maxCut is how much of the text behind a stop is kept.
const maxCut = 1024

func (f *Filter) cut(text []byte) {
	f.end.CutBytes += len(text)
	f.end.Cut += string(text[:min(len(text), maxCut-len(f.end.Cut))])
}

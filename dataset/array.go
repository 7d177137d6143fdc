package dataset

import (
	"bytes"
	"io"

	"github.com/koala-go/sdk/internal/refusal"
)

// arraySplitter cuts a JSON array into its elements, or an object of arrays,
// {"train":[…],"eval":[…]}, into theirs. It looks at marks and quotes alone:
// whether an element is valid JSON is seen when it is read.
type arraySplitter struct {
	*splitter
	state arrayState
	parts bool // the arrays stand in an object
	full  bool // the block before took not all that could be taken
	grow  bool // the block before had no whole element
}

// arrayState is what comes next.
type arrayState int

const (
	atStart    arrayState = iota // the array or object
	atPart                       // a part's name, or }
	atFirst                      // an element or ]
	atElement                    // an element
	atComma                      // a comma or ]
	atNextPart                   // a comma or }
	atEnd                        // nothing
)

// blockElements bounds the elements of a block.
const blockElements = 512

// elements gives the next elements.
func (a *arraySplitter) elements(b *block) (more bool, err error) {
	if !a.full {
		if _, err := a.read(a.grow); err != nil {
			return false, err
		}
	}
	a.full = true
	if a.state == atStart && bytes.HasPrefix(a.rest, []byte("\xef\xbb\xbf")) {
		return false, errBOM
	}
	for len(b.raws) < blockElements {
		ok, err := a.step(b)
		if err != nil {
			return false, err
		}
		if ok {
			continue
		}
		if !a.eof {
			a.full = false
			break
		}
		if a.space(); a.state != atEnd || len(a.rest) > 0 {
			return false, io.ErrUnexpectedEOF
		}
		return false, nil
	}
	if a.grow = len(b.raws) == 0; len(a.rest) > a.max && a.grow {
		return false, refusal.Reason(ErrUnsupported, "a record longer than %d bytes", a.max)
	}
	return true, nil
}

// drop takes n bytes off the front.
func (a *arraySplitter) drop(n int) {
	a.at.Line += int64(bytes.Count(a.rest[:n], []byte{'\n'}))
	a.at.Offset += int64(n)
	a.rest = a.rest[n:]
}

func (a *arraySplitter) space() {
	a.drop(len(a.rest) - len(bytes.TrimLeft(a.rest, " \t\r\n")))
}

// step reads on by one mark, name or element. It says false when more data is
// needed for it.
func (a *arraySplitter) step(b *block) (bool, error) {
	if a.space(); len(a.rest) == 0 {
		return false, nil
	}
	c := a.rest[0]
	switch {
	case a.state == atStart && c == '{':
		a.parts = true
		return a.mark(atPart), nil
	case a.state == atStart && c == '[':
		return a.mark(atFirst), nil
	case a.state == atPart && c == '"':
		return a.part()
	case (a.state == atFirst || a.state == atComma) && c == ']':
		a.at.Part = ""
		if a.parts {
			return a.mark(atNextPart), nil
		}
		return a.mark(atEnd), nil
	case a.state == atComma && c == ',':
		return a.mark(atElement), nil
	case a.state == atNextPart && c == ',':
		return a.mark(atPart), nil
	case (a.state == atPart || a.state == atNextPart) && c == '}':
		return a.mark(atEnd), nil
	case a.state == atFirst || a.state == atElement:
		return a.element(b)
	}
	return false, refusal.Reason(ErrMalformed, "%q between the elements of a JSON array", c)
}

func (a *arraySplitter) mark(next arrayState) bool {
	a.drop(1)
	a.state = next
	return true
}

// part reads a part's name and the bracket that opens its array.
func (a *arraySplitter) part() (bool, error) {
	open := bytes.IndexByte(a.rest, '[')
	if open < 0 && len(a.rest) < 256 {
		return false, nil
	}
	name, colon, _ := bytes.Cut(a.rest[1:max(open, 1)], []byte{'"'})
	if open < 0 || len(bytes.TrimSpace(colon)) != 1 || bytes.TrimSpace(colon)[0] != ':' {
		return false, refusal.Reason(ErrMalformed, "%.40q is not the name of a part and an array", a.rest)
	}
	if a.at.Part = string(name); a.at.Part != "train" && a.at.Part != "eval" {
		return false, refusal.Reason(ErrMalformed, "part %.40q is neither \"train\" nor \"eval\"", name)
	}
	a.drop(open + 1)
	a.state = atFirst
	return true, nil
}

// element finds the end of an element.
func (a *arraySplitter) element(b *block) (bool, error) {
	n := elementEnd(a.rest)
	if n == len(a.rest) { // a comma or bracket must follow
		return false, nil
	}
	if n == 0 {
		return false, refusal.Reason(ErrMalformed, "%q where an element of a JSON array is due", a.rest[0])
	}
	start := a.at
	data := a.rest[:n]
	a.drop(n)
	start.End = a.at.Offset
	if start.Offset >= a.from {
		b.raws = append(b.raws, raw{at: start, data: bytes.TrimRight(data, " \t\r\n")})
	}
	a.at.Index++
	a.state = atComma
	return true, nil
}

// elementEnd is the place of the comma or bracket that ends an element, or the
// length of data when it is not there.
func elementEnd(data []byte) int {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i = stringEnd(data, i+1)
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth < 0 {
				return i
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return len(data)
}

// stringEnd is the place of the quote that ends a string.
func stringEnd(data []byte, i int) int {
	for i < len(data) {
		n := bytes.IndexByte(data[i:], '"')
		if n < 0 {
			return len(data)
		}
		i += n
		back := i
		for back > 0 && data[back-1] == '\\' {
			back--
		}
		if (i-back)%2 == 0 {
			return i
		}
		i++
	}
	return len(data)
}

package dataset

import (
	"bytes"
	"io"

	"github.com/koala-go/sdk/internal/refusal"
)

// arraySplitter cuts a JSON array, or an object of arrays
// {"train":[…],"eval":[…]}, into elements. It looks at punctuation and quotes
// only. Whether an element is valid JSON is checked later, by a worker.
type arraySplitter struct {
	*splitter
	state arrayState
	parts bool // the file is an object of arrays
	full  bool // the last block was full, so that the rest may hold more elements
	grow  bool // the last block had no whole element
}

// arrayState says what is expected next.
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

// elements adds the next elements to a block. It reports whether there are
// more.
func (a *arraySplitter) elements(b *block) (more bool, err error) {
	if !a.full {
		if _, err := a.read(a.grow); err != nil {
			return false, err
		}
	}
	a.full = true
	if a.state == atStart && bytes.HasPrefix(a.rest, []byte(byteOrderMark)) {
		a.advance(len(byteOrderMark))
	}
	for len(b.records) < blockElements {
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
		if a.skipSpace(); a.state != atEnd || len(a.rest) > 0 {
			return false, io.ErrUnexpectedEOF
		}
		return false, nil
	}
	if a.grow = len(b.records) == 0; len(a.rest) > a.limit && a.grow {
		return false, a.tooLong()
	}
	return true, nil
}

// advance skips n bytes.
func (a *arraySplitter) advance(n int) {
	a.at.Line += int64(bytes.Count(a.rest[:n], []byte{'\n'}))
	a.at.Offset += int64(n)
	a.rest = a.rest[n:]
}

func (a *arraySplitter) skipSpace() {
	a.advance(len(a.rest) - len(bytes.TrimLeft(a.rest, " \t\r\n")))
}

// step reads one punctuation mark, name or element. It reports false when it
// needs more data.
func (a *arraySplitter) step(b *block) (bool, error) {
	if a.skipSpace(); len(a.rest) == 0 {
		return false, nil
	}
	c := a.rest[0]
	switch {
	case a.state == atStart && c == '{':
		a.parts = true
		return a.punctuation(atPart), nil
	case a.state == atStart && c == '[':
		return a.punctuation(atFirst), nil
	case a.state == atPart && c == '"':
		return a.part()
	case (a.state == atFirst || a.state == atComma) && c == ']':
		a.at.Part = ""
		if a.parts {
			return a.punctuation(atNextPart), nil
		}
		return a.punctuation(atEnd), nil
	case a.state == atComma && c == ',':
		return a.punctuation(atElement), nil
	case a.state == atNextPart && c == ',':
		return a.punctuation(atPart), nil
	case (a.state == atPart || a.state == atNextPart) && c == '}':
		return a.punctuation(atEnd), nil
	case a.state == atFirst || a.state == atElement:
		return a.element(b)
	}
	return false, refusal.Reason(ErrMalformed, "%q between the elements of a JSON array", c)
}

func (a *arraySplitter) punctuation(next arrayState) bool {
	a.advance(1)
	a.state = next
	return true
}

// part reads the name of a part and the bracket that opens its array.
func (a *arraySplitter) part() (bool, error) {
	bracket := bytes.IndexByte(a.rest, '[')
	if bracket < 0 && len(a.rest) < 256 {
		return false, nil
	}
	name, colon, _ := bytes.Cut(a.rest[1:max(bracket, 1)], []byte{'"'})
	if bracket < 0 || len(bytes.TrimSpace(colon)) != 1 || bytes.TrimSpace(colon)[0] != ':' {
		return false, refusal.Reason(ErrMalformed, "%.40q is not the name of a part, followed by an array", a.rest)
	}
	if a.at.Part = string(name); a.at.Part != "train" && a.at.Part != "eval" {
		return false, refusal.Reason(ErrMalformed, "part %.40q is neither \"train\" nor \"eval\"", name)
	}
	a.advance(bracket + 1)
	a.state = atFirst
	return true, nil
}

// element adds an element to a block. It reports false when it needs more data
// to find the end.
func (a *arraySplitter) element(b *block) (bool, error) {
	n := elementEnd(a.rest)
	if n == len(a.rest) { // the comma or bracket that ends it is not there yet
		return false, nil
	}
	if n == 0 {
		return false, refusal.Reason(ErrMalformed, "%q in place of an element of a JSON array", a.rest[0])
	}
	start := a.at
	data := a.rest[:n]
	a.advance(n)
	start.End = a.at.Offset
	if start.Offset >= a.from {
		b.records = append(b.records, rawRecord{at: start, data: bytes.TrimRight(data, " \t\r\n")})
	}
	a.at.Index++
	a.state = atComma
	return true, nil
}

// elementEnd returns the index of the comma or bracket that ends an element, or
// the length of data if there is none.
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

// stringEnd returns the index of the quote that ends the string beginning at i.
// It is a quote after an even number of backslashes.
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

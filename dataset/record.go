package dataset

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/strictjson"
)

// Position is where a record stands in the inputs.
type Position struct {
	File   string
	Epoch  int    // how often all inputs were read before
	Input  int    // place of the file among the inputs, from 0
	Offset int64  // of the record's first byte, in the decompressed file; in Parquet files its row, from 0
	End    int64  // just past the record and its newline
	Line   int64  // from 1; in Parquet files its row
	Group  int    // row group in a Parquet file, from 1; 0 in others
	Index  int64  // of the record in its file, from 0; blank and bad lines count too
	Part   string // "train" or "eval" in files that have such parts
}

// Field is a member of a record.
type Field struct {
	Key  string
	Text string
	JSON bool // Text is not the text but the JSON of a value that is none: null, a number, …
}

// Record is a training record: texts in order, the last of which is "fields".
type Record struct {
	At     Position
	Fields []Field
	// Line is the record as it was read, where Read found it written as a
	// training record; nil for one that a source's rule made.
	Line []byte
}

// Get finds a field's text.
func (r *Record) Get(key string) (text string, ok bool) {
	for i := range r.Fields {
		if f := &r.Fields[i]; f.Key == key && !f.JSON {
			return f.Text, true
		}
	}
	return "", false
}

// Query is what the person says in all turns, with newlines between them: the
// texts of fields whose names begin with "human", or with "prompt" in a test
// set.
func (r *Record) Query() string {
	query, found := "", false
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.JSON || !strings.HasPrefix(f.Key, "human") && f.Key != "prompt" {
			continue
		}
		if found {
			query += "\n"
		}
		query, found = query+f.Text, true
	}
	return query
}

// AppendJSON appends the record as it was read, or else as Python's json.dumps
// writes it. There is no newline at the end.
func (r *Record) AppendJSON(dst []byte) []byte {
	if r.Line != nil {
		return append(dst, r.Line...)
	}
	dst = append(dst, '{')
	for i := range r.Fields {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = appendString(dst, r.Fields[i].Key)
		dst = append(dst, ": "...)
		if f := &r.Fields[i]; f.JSON {
			dst = append(dst, f.Text...)
		} else {
			dst = appendString(dst, f.Text)
		}
	}
	return append(dst, '}')
}

var errNoObject = refusal.Reason(ErrMalformed, "the record is no JSON object")

// parseRecord reads a line as a training record.
func parseRecord(line []byte) ([]Field, error) {
	j := strictjson.New(line, 0)
	if j.Peek() != '{' {
		if err := j.Skip(); err != nil {
			return nil, err
		}
		return nil, errNoObject
	}
	fields := make([]Field, 0, 8)
	err := j.Object(func(name string) error {
		f, err := parseField(j, line, name)
		fields = append(fields, f)
		return err
	})
	if err == nil {
		err = j.End()
	}
	return fields, err
}

func parseField(j *strictjson.Reader, line []byte, name string) (Field, error) {
	if j.Peek() == '"' {
		text, err := j.String()
		return Field{Key: name, Text: text}, err
	}
	start := j.Offset()
	err := j.Skip()
	return Field{Key: name, Text: string(line[start:j.Offset()]), JSON: true}, err
}

const hexDigits = "0123456789abcdef"

// plain marks the bytes that json.dumps writes as they are.
var plain = func() (t [256]bool) {
	for c := ' '; c <= '~'; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendString appends a text as Python's json.dumps does: all but ASCII
// escaped.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		start := i
		for i < len(s) && plain[s[i]] {
			i++
		}
		if dst = append(dst, s[start:i]...); i == len(s) {
			break
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		dst = appendEscape(dst, r)
		i += n
	}
	return append(dst, '"')
}

// short are the escapes of two characters.
var short = map[rune]byte{'"': '"', '\\': '\\', '\n': 'n', '\r': 'r', '\t': 't', '\b': 'b', '\f': 'f'}

func appendEscape(dst []byte, r rune) []byte {
	if c, ok := short[r]; ok {
		return append(dst, '\\', c)
	}
	if r < 0x10000 {
		return appendHex(dst, r)
	}
	high, low := utf16.EncodeRune(r)
	return appendHex(appendHex(dst, high), low)
}

func appendHex(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

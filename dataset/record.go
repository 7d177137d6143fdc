package dataset

import (
	"strings"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/strictjson"
)

// Position is the place of a record in the inputs. In a Parquet file, rows
// replace bytes and lines.
type Position struct {
	File   string // name of the input
	Epoch  int    // how often all inputs were read before
	Input  int    // number of the input, from 0
	Offset int64  // offset of the record's first byte after decompression, or number of its row, from 0
	End    int64  // offset just past the record and its newline
	Line   int64  // line or row, from 1
	Group  int    // row group in a Parquet file, from 1; 0 in other files
	Index  int64  // number of the record in its file, from 0; blank and bad lines count too
	Part   string // "train" or "eval" in a file with such parts, else empty
}

// Field is a member of a record.
type Field struct {
	Key  string // name
	Text string // value
	JSON bool   // Text is the JSON of a value that is not a text, such as null or a number
}

// Record is a training record: texts in order. The last one is "fields".
type Record struct {
	At     Position // where the record was read
	Fields []Field  // members in order
	// Line is the record as it was read, if it was read as a training record.
	// It is nil if the rule of a source made the record.
	Line []byte
}

// Get returns the text of a field.
func (r *Record) Get(key string) (text string, ok bool) {
	for i := range r.Fields {
		if f := &r.Fields[i]; f.Key == key && !f.JSON {
			return f.Text, true
		}
	}
	return "", false
}

// Query returns the text of all user turns, joined by newlines: the fields
// whose names begin with "human", and "prompt" in a test set.
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

// requireText returns the text of a field, or an error if there is none.
func (r *Record) requireText(key string) (string, error) {
	for i := range r.Fields {
		if f := &r.Fields[i]; f.Key == key {
			if f.JSON {
				return "", wrongKind(key, f.Text[0], "a text")
			}
			return f.Text, nil
		}
	}
	return "", wrongKind(key, 0, "a text")
}

// AppendJSON appends the record as it was read, or else as Python's json.dumps
// writes it. It appends no newline.
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

var errNotObject = refusal.Reason(ErrMalformed, "the record is not a JSON object")

// parseRecord reads a line as a training record.
func parseRecord(line []byte) ([]Field, error) {
	j := strictjson.New(line, 0)
	if j.Peek() != '{' {
		if err := j.Skip(); err != nil {
			return nil, err
		}
		return nil, errNotObject
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

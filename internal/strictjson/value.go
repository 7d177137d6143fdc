package strictjson

// Value is a JSON value of any kind, for settings whose shape varies.
type Value struct {
	Kind   byte              // Kind is the first byte of the value, one of { [ " t f n, or 0 for every number.
	Offset int64             // the file offset of the value
	Text   string            // Text is the decoded string, or the number as written.
	Items  []*Value          // of an array
	Names  map[string]*Value // the members of an object
}

// Value reads one value, nested at most 64 deep.
func (j *Reader) Value() (*Value, error) { return j.value(maxNesting) }

func (j *Reader) value(depth int) (*Value, error) {
	v := &Value{Kind: j.peek(), Offset: j.Offset()}
	if depth == 0 && (v.Kind == '{' || v.Kind == '[') {
		return nil, j.malformed("JSON is nested deeper than %d", maxNesting)
	}
	start := j.pos
	var err error
	switch v.Kind {
	case '{':
		v.Names = map[string]*Value{}
		err = j.Object(func(name string) (err error) {
			v.Names[name], err = j.value(depth - 1)
			return err
		})
	case '[':
		err = j.Array(func() error {
			item, err := j.value(depth - 1)
			v.Items = append(v.Items, item)
			return err
		})
	case '"':
		v.Text, err = j.String()
	case 't', 'f', 'n':
		err = j.skip(0)
	default:
		v.Kind = '0'
		err = j.number()
		v.Text = string(j.data[start:j.pos])
	}
	return v, err
}

// Get returns a member of an object. It returns nil if v is nil or not an
// object, or if the member is absent or null.
func (v *Value) Get(name string) *Value {
	if v == nil || v.Names[name] == nil || v.Names[name].Kind == 'n' {
		return nil
	}
	return v.Names[name]
}

// Is reports whether v is a string with the given text.
func (v *Value) Is(text string) bool { return v != nil && v.Kind == '"' && v.Text == text }

// True reports whether v is the literal true.
func (v *Value) True() bool { return v != nil && v.Kind == 't' }

// Peek returns the first byte of the next value or punctuation mark, or 0 at
// the end.
func (j *Reader) Peek() byte { return j.peek() }

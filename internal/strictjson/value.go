package strictjson

// Value is a JSON value of any kind, for settings whose shape varies. Numbers
// are kept as they are written.
type Value struct {
	Kind   byte // one of { [ " t f n 0, as the value begins; 0 for all numbers
	Offset int64
	Text   string // of a string or a number
	Items  []*Value
	Names  map[string]*Value
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

// Get is a member of an object; nil when there is none, when it is null, or
// when v is nil or no object.
func (v *Value) Get(name string) *Value {
	if v == nil || v.Names[name] == nil || v.Names[name].Kind == 'n' {
		return nil
	}
	return v.Names[name]
}

// Is is whether the value is a string with this text.
func (v *Value) Is(text string) bool { return v != nil && v.Kind == '"' && v.Text == text }

// True is whether the value is true.
func (v *Value) True() bool { return v != nil && v.Kind == 't' }

// Peek is the first byte of the next value or mark, 0 at the end.
func (j *Reader) Peek() byte { return j.peek() }

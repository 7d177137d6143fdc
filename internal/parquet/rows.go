package parquet

import (
	"bytes"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/koala-go/sdk/internal/refusal"
)

// column gives the values of a column of a row group with their levels.
type column struct {
	leaf   *node
	pages  pages
	dict   *dictionary
	left   int64 // values of the row group that no page had so far
	inPage int32 // values left in the page
	reps   levels
	defs   levels
	values values

	// The next entry: its levels, and whether there is one.
	rep, def int
	more     bool
}

// open begins a row group.
func (c *column) open(f *File, chunk chunk) error {
	c.pages.f, c.pages.c, c.pages.at = f, chunk, chunk.start
	c.dict, c.left, c.inPage = nil, chunk.values, 0
	return c.advance()
}

// advance finds the next entry.
func (c *column) advance() (err error) {
	for c.inPage == 0 {
		err := c.page()
		if err == io.EOF && c.left == 0 {
			c.more = false
			return nil
		}
		if err == io.EOF {
			err = refusal.Reason(io.ErrUnexpectedEOF, "%d values of the column are missing", c.left)
		}
		if err != nil {
			return err
		}
	}
	c.inPage--
	if c.rep, err = c.reps.next(); err == nil {
		c.def, err = c.defs.next()
	}
	c.more = true
	return err
}

// page reads the next page, which may be a dictionary or something to pass
// over.
func (c *column) page() error {
	err := c.pages.next()
	if err != nil {
		return err
	}
	h := &c.pages.current
	switch h.kind {
	case pageDictionary:
		if c.dict != nil || h.values < 0 {
			return refusal.Reason(refusal.ErrMalformed, "a second dictionary, or one of no number of values")
		}
		c.dict, err = newDictionary(c.leaf.typ, bytes.Clone(c.pages.data), h.values)
		return err
	case pageData, pageDataV2:
		if h.values < 0 || int64(h.values) > c.left {
			return refusal.Reason(refusal.ErrMalformed, "a page of %d values where %d are left", h.values, c.left)
		}
		c.left -= int64(h.values)
		c.inPage = h.values
		if c.reps, c.defs, err = c.pages.levels(c.leaf); err == nil {
			c.values, err = c.decoder(c.pages.data)
		}
	}
	return err
}

// Rows reads rows as JSON objects.
type Rows struct {
	f       *File
	o       RowOptions
	tops    []*node
	columns []*column // by leaf; nil for what is not read
	unpack  unpacker
	group   int   // its place, from 0
	inGroup int64 // rows left in it
	out     []byte
	start   int // of the row in out
	bad     error
	err     error
}

// RowOptions say what of the rows is wanted.
type RowOptions struct {
	Columns  func(name string) bool // which columns of the top level (nil: all)
	OmitNull bool                   // leave out nulls at the top level
	Max      int                    // longest row in bytes of JSON
}

// Rows begins at the first row.
func (f *File) Rows(o RowOptions) (*Rows, error) {
	r := &Rows{f: f, o: o, columns: make([]*column, len(f.leaves)), group: -1}
	for _, n := range f.root.children {
		if o.Columns != nil && !o.Columns(n.name) {
			continue
		}
		if err := f.supported(n); err != nil {
			return nil, err
		}
		r.tops = append(r.tops, n)
		for i := n.leaf; i < n.leaf+n.leaves; i++ {
			r.columns[i] = &column{leaf: f.leaves[i], pages: pages{unpacker: &r.unpack}}
		}
	}
	return r, nil
}

// Check refuses a file that has none of the columns that are wanted.
func (f *File) Check(wanted func(name string) bool) error {
	var names []string
	for _, n := range f.root.children {
		if wanted(n.name) {
			return nil
		}
		names = append(names, n.name)
	}
	return refusal.Reason(refusal.ErrMalformed, "none of the columns that the source needs: the file has %.200q", names)
}

// Group is the row group of the row that Next gave, or in which it failed,
// from 1.
func (r *Rows) Group() int { return max(1, r.group+1) }

// Close frees what the decompressor holds.
func (r *Rows) Close() { r.unpack.close() }

// Skip passes over rows: over whole row groups without reading them.
func (r *Rows) Skip(n int64) error {
	for n > 0 && r.err == nil {
		if r.inGroup == 0 && r.group+1 < len(r.f.Groups) && r.f.Groups[r.group+1].Rows <= n {
			r.group++
			n -= r.f.Groups[r.group].Rows
			continue
		}
		if _, _, err := r.Next(nil); err == io.EOF {
			return &Error{r.Group(), "", refusal.Reason(io.ErrUnexpectedEOF, "the file ends %d rows before the one to begin at", n)}
		}
		n--
	}
	return r.err
}

// Next appends the next row to dst. bad is what is wrong with its values
// alone: the row after it can be read. After err, which is io.EOF at the end,
// nothing can.
func (r *Rows) Next(dst []byte) (row []byte, bad, err error) {
	if r.err == nil {
		r.err = r.next(dst)
	}
	if r.err != nil {
		return dst, nil, r.err
	}
	return r.out, r.bad, nil
}

func (r *Rows) next(dst []byte) error {
	for r.inGroup == 0 {
		if err := r.open(); err != nil {
			return err
		}
	}
	r.inGroup--
	r.out, r.start, r.bad = append(dst, '{'), len(dst), nil
	for _, n := range r.tops {
		if r.o.OmitNull && n.repetition == optional && r.columns[n.leaf].def == 0 {
			if err := r.pass(n, 0); err != nil {
				return err
			}
			continue
		}
		r.name(n)
		if err := r.node(n, 0); err != nil {
			return err
		}
	}
	r.out = append(r.out, '}')
	return nil
}

// open begins the next row group, after a look whether the one before is all
// read.
func (r *Rows) open() error {
	for _, c := range r.columns {
		if c != nil && r.group >= 0 && c.more {
			return r.wrong(c, refusal.Reason(refusal.ErrMalformed, "values follow the last row"))
		}
	}
	if r.group++; r.group >= len(r.f.Groups) {
		r.group = max(0, len(r.f.Groups)-1)
		return io.EOF
	}
	g := &r.f.Groups[r.group]
	r.inGroup = g.Rows
	if g.Rows == 0 {
		return nil
	}
	for i, c := range r.columns {
		if c == nil {
			continue
		}
		if err := c.open(r.f, g.chunks[i]); err != nil {
			return r.wrong(c, err)
		}
	}
	return nil
}

// wrong puts an error in its place.
func (r *Rows) wrong(c *column, err error) error {
	return &Error{r.Group(), c.leaf.path(), err}
}

// name appends what goes before a member.
func (r *Rows) name(n *node) {
	if r.out[len(r.out)-1] != '{' {
		r.out = append(r.out, ", "...)
	}
	r.out = append(appendString(r.out, n.name), ": "...)
}

// node appends what a column or group has for the row, or for the element of
// a list, that begins with entries of the repetition level rep. The first
// column below a group tells of it whether it is there and how often.
func (r *Rows) node(n *node, rep int) error {
	first := r.columns[n.leaf]
	switch {
	case n.repetition == required:
		return r.body(n, rep)
	case n.repetition == repeated:
		return r.array(n, n, rep)
	case first.def < n.maxDef:
		if err := r.null(n); err != nil {
			return err
		}
		return r.pass(n, rep)
	}
	return r.body(n, rep)
}

// body appends what is there.
func (r *Rows) body(n *node, rep int) error {
	switch {
	case n.typ != typeGroup:
		return r.leaf(n, rep)
	case n.list:
		return r.array(n.children[0], n.element(), rep)
	}
	r.out = append(r.out, '{')
	for _, c := range n.children {
		r.name(c)
		if err := r.node(c, rep); err != nil {
			return err
		}
	}
	r.out = append(r.out, '}')
	return nil
}

// array appends the elements of a repeated column or group.
func (r *Rows) array(n, element *node, rep int) error {
	r.out = append(r.out, '[')
	first := r.columns[n.leaf]
	if first.def < n.maxDef {
		r.out = append(r.out, ']')
		return r.pass(n, rep)
	}
	for {
		var err error
		if element == n {
			err = r.body(n, rep)
		} else {
			err = r.node(element, rep)
		}
		if err != nil {
			return err
		}
		if rep = n.maxRep; !first.more || first.rep != rep {
			r.out = append(r.out, ']')
			return nil
		}
		r.out = append(r.out, ", "...)
	}
}

// null appends a null.
func (r *Rows) null(n *node) error {
	r.out = append(r.out, "null"...)
	return r.fits(r.columns[n.leaf])
}

// fits refuses rows that are too long.
func (r *Rows) fits(c *column) error {
	if r.o.Max > 0 && len(r.out)-r.start > r.o.Max {
		return r.wrong(c, refusal.Reason(refusal.ErrUnsupported, "a record longer than %d bytes", r.o.Max))
	}
	return nil
}

// entry checks that all columns of a group agree on where a row and an
// element begin.
func (r *Rows) entry(c *column, rep int) error {
	if !c.more || c.rep != rep {
		return r.wrong(c, refusal.Reason(refusal.ErrMalformed, "the column has another number of rows or elements than those beside it"))
	}
	return nil
}

// pass goes over the entry that each column below a node has for what is not
// there.
func (r *Rows) pass(n *node, rep int) error {
	for _, c := range r.columns[n.leaf : n.leaf+n.leaves] {
		err := r.entry(c, rep)
		if err == nil && c.def >= n.maxDef {
			err = r.wrong(c, refusal.Reason(refusal.ErrMalformed, "the column has a value where the group is null"))
		}
		if err != nil {
			return err
		}
		if err := c.advance(); err != nil {
			return r.wrong(c, err)
		}
	}
	return nil
}

// leaf appends a value.
func (r *Rows) leaf(n *node, rep int) error {
	c := r.columns[n.leaf]
	if err := r.entry(c, rep); err != nil {
		return err
	}
	if c.def != n.maxDef {
		return r.wrong(c, refusal.Reason(refusal.ErrMalformed, "the column has no value where the group is there"))
	}
	v, err := c.values.next()
	if err != nil {
		return r.wrong(c, err)
	}
	r.value(c, v)
	if err := r.fits(c); err != nil {
		return err
	}
	if err := c.advance(); err != nil {
		return r.wrong(c, err)
	}
	return nil
}

// value appends a value as JSON. What JSON does not have is noted as bad.
func (r *Rows) value(c *column, v value) {
	switch n := c.leaf; n.typ {
	case typeBoolean:
		r.out = strconv.AppendBool(r.out, v.bits&1 == 1)
	case typeInt32:
		if n.unsigned {
			r.out = strconv.AppendUint(r.out, uint64(uint32(v.bits)), 10)
			return
		}
		r.out = strconv.AppendInt(r.out, int64(int32(v.bits)), 10)
	case typeInt64:
		if n.unsigned {
			r.out = strconv.AppendUint(r.out, v.bits, 10)
			return
		}
		r.out = strconv.AppendInt(r.out, int64(v.bits), 10)
	case typeFloat:
		r.float(c, float64(math.Float32frombits(uint32(v.bits))), 32)
	case typeDouble:
		r.float(c, math.Float64frombits(v.bits), 64)
	default:
		if !utf8.Valid(v.text) {
			r.note(c, refusal.Reason(refusal.ErrMalformed, "the text is not UTF-8"))
			v.text = nil
		}
		r.out = appendString(r.out, v.text)
	}
}

func (r *Rows) float(c *column, f float64, size int) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		r.note(c, refusal.Reason(refusal.ErrMalformed, "%v is no number that JSON has", f))
		f = 0
	}
	r.out = strconv.AppendFloat(r.out, f, 'g', -1, size)
}

// note keeps the first thing that is wrong with the values of a row.
func (r *Rows) note(c *column, err error) {
	if r.bad == nil {
		r.bad = r.wrong(c, err)
	}
}

// appendString appends a JSON string.
func appendString[T []byte | string](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(append(dst, s[start:i]...), '\\')
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, c)
		case '\n':
			dst = append(dst, 'n')
		default:
			const hex = "0123456789abcdef"
			dst = append(dst, 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(dst, s[start:]...), '"')
}

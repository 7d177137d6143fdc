package parquet

import (
	"bytes"
	"io"

	"github.com/koala-go/sdk/internal/refusal"
)

// column reads the entries of a column of a row group. An entry is a pair of
// levels, and a value if the definition level is the highest one.
type column struct {
	leaf   *node
	pages  pages
	dict   *dictionary
	left   int64 // entries of the row group in pages not yet read
	inPage int32 // entries left in the page
	reps   levels
	defs   levels
	values values

	// The levels of the next entry. more is false after the last entry.
	rep, def int
	more     bool
}

// open starts a row group.
func (c *column) open(f *File, chunk chunk) error {
	c.pages.f, c.pages.c, c.pages.at = f, chunk, chunk.start
	c.dict, c.left, c.inPage = nil, chunk.values, 0
	return c.advance()
}

// advance reads the levels of the next entry.
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

// page reads the next page, which may be a dictionary or of a kind to skip.
func (c *column) page() error {
	err := c.pages.next()
	if err != nil {
		return err
	}
	h := &c.pages.current
	switch h.kind {
	case pageDictionary:
		if c.dict != nil || h.values < 0 {
			return refusal.Reason(refusal.ErrMalformed, "the dictionary is the second one, or has no number of values")
		}
		c.dict, err = newDictionary(c.leaf.typ, bytes.Clone(c.pages.data), h.values)
		return err
	case pageData, pageDataV2:
		if h.values < 0 || int64(h.values) > c.left {
			return refusal.Reason(refusal.ErrMalformed, "a page has %d values, but only %d are left in the row group", h.values, c.left)
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
	tops    []*node   // the wanted children of the root
	columns []*column // by leaf; nil for columns that are not wanted
	unpack  unpacker
	group   int    // index of the row group; -1 before the first
	inGroup int64  // rows left in the row group
	out     []byte // the caller's buffer with the row
	start   int    // of the row in out
	bad     error  // the first invalid value of the row
	err     error  // the error that ended reading
}

// RowOptions select the parts of rows to read.
type RowOptions struct {
	// Columns reports whether a column or group of the top level is wanted. Nil
	// means all.
	Columns func(name string) bool

	// OmitNull leaves out nulls at the top level.
	OmitNull bool

	// Max is the greatest length of a row in bytes of JSON. Zero means no limit.
	Max int
}

// Rows returns a reader at the first row. It returns an *Error if a wanted column
// is unsupported.
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

// Check returns an error if the file does not have any of the wanted columns.
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

// Group returns the row group of the row that Next returned, or in which it
// failed, counted from 1.
func (r *Rows) Group() int { return max(1, r.group+1) }

// Close frees the resources of the decompressor.
func (r *Rows) Close() { r.unpack.close() }

// Skip skips n rows. It does not read row groups that it skips entirely.
func (r *Rows) Skip(n int64) error {
	for n > 0 && r.err == nil {
		if r.inGroup == 0 && r.group+1 < len(r.f.Groups) && r.f.Groups[r.group+1].Rows <= n {
			r.group++
			n -= r.f.Groups[r.group].Rows
			continue
		}
		if _, _, err := r.Next(nil); err == io.EOF {
			return &Error{r.Group(), "", refusal.Reason(io.ErrUnexpectedEOF, "the file ends %d rows before the first row to read", n)}
		}
		n--
	}
	return r.err
}

// Next appends the next row to dst. bad describes an invalid value, after which
// the following rows can still be read. err ends reading, and is io.EOF after the
// last row.
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
		// A definition level of 0 in the first column means that the top is null.
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

// open starts the next row group. It checks that the previous one was read
// entirely.
func (r *Rows) open() error {
	for _, c := range r.columns {
		if c != nil && r.group >= 0 && c.more {
			return r.errorAt(c, refusal.Reason(refusal.ErrMalformed, "the column has values after the last row"))
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
			return r.errorAt(c, err)
		}
	}
	return nil
}

// errorAt adds the position in the file to an error.
func (r *Rows) errorAt(c *column, err error) error {
	return &Error{r.Group(), c.leaf.path(), err}
}

// name appends the name of a member, with a comma before all but the first.
func (r *Rows) name(n *node) {
	if r.out[len(r.out)-1] != '{' {
		r.out = append(r.out, ", "...)
	}
	r.out = append(appendString(r.out, n.name), ": "...)
}

// node appends the value of a column or group, for the row or the list element
// whose entries have the repetition level rep. The levels of the first column in
// a group decide whether the group is null and how often it is repeated.
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

// body appends a value that is not null.
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

// array appends the elements of a list. n is the repeated node. element is n
// itself or the node below it.
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

// fits returns an error if the row is too long.
func (r *Rows) fits(c *column) error {
	if r.o.Max > 0 && len(r.out)-r.start > r.o.Max {
		return r.errorAt(c, refusal.Reason(refusal.ErrUnsupported, "the record is longer than %d bytes", r.o.Max))
	}
	return nil
}

// entry checks that a row or an element begins in this column as in the other
// columns of the group.
func (r *Rows) entry(c *column, rep int) error {
	if !c.more || c.rep != rep {
		return r.errorAt(c, refusal.Reason(refusal.ErrMalformed, "the column has a different number of rows or elements than the other columns"))
	}
	return nil
}

// pass consumes the entry that each column below a null node has.
func (r *Rows) pass(n *node, rep int) error {
	for _, c := range r.columns[n.leaf : n.leaf+n.leaves] {
		err := r.entry(c, rep)
		if err == nil && c.def >= n.maxDef {
			err = r.errorAt(c, refusal.Reason(refusal.ErrMalformed, "the column has a value where the group is null"))
		}
		if err != nil {
			return err
		}
		if err := c.advance(); err != nil {
			return r.errorAt(c, err)
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
		return r.errorAt(c, refusal.Reason(refusal.ErrMalformed, "the column has no value where the group is not null"))
	}
	v, err := c.values.next()
	if err != nil {
		return r.errorAt(c, err)
	}
	r.value(c, v)
	if err := r.fits(c); err != nil {
		return err
	}
	if err := c.advance(); err != nil {
		return r.errorAt(c, err)
	}
	return nil
}

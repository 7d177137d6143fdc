package parquet

import (
	"unicode/utf8"

	"github.com/koala-go/sdk/internal/refusal"
)

// The physical types of columns.
const (
	typeBoolean   = 0
	typeInt32     = 1
	typeInt64     = 2
	typeInt96     = 3
	typeFloat     = 4
	typeDouble    = 5
	typeByteArray = 6
	typeGroup     = -1 // not in files: the node is a group
)

// The repetitions of columns and groups.
const (
	required = 0
	optional = 1
	repeated = 2
)

// node is a column or a group of the schema.
type node struct {
	name       string
	parent     *node // nil in the root
	typ        int32 // a physical type, or typeGroup
	repetition int32
	list       bool // the group is a list with a single child
	unsigned   bool
	decimal    bool
	maxDef     int // definition level of a value that is not null
	maxRep     int // repetition level of all but the first element of the innermost list
	children   []*node
	leaf       int // index of the column, or of the first column of the group, in File.leaves
	leaves     int // number of columns in the node
}

// path returns the name of the node after those of its groups. The path is not
// stored, because the long name of a group of many columns would be stored as
// many times.
func (n *node) path() string {
	if n.parent == nil || n.parent.parent == nil {
		return n.name
	}
	return n.parent.path() + "." + n.name
}

// schema reads the list of SchemaElements, which is the tree of nodes in
// depth-first order.
func (f *File) schema(t *thrift) {
	var all []*node
	var counts []int32
	t.list(func(kind byte) {
		if t.is(kind, thriftStruct) {
			n, children := t.element()
			all, counts = append(all, n), append(counts, children)
		}
	})
	if t.err != nil {
		return
	}
	if f.root != nil || len(all) == 0 {
		t.malformed("the file must have one schema, but this list has %d elements", len(all))
		return
	}
	all[0].repetition, all[0].name = required, ""
	b := &builder{f, t, all, counts}
	f.root = b.tree(nil, 0)
	if len(b.all) > 0 {
		t.malformed("%d schema elements are in no group", len(b.all))
	}
}

// element reads a SchemaElement.
func (t *thrift) element() (n *node, children int32) {
	n = &node{typ: typeGroup, leaf: -1}
	t.structure(
		t.int32(1, &n.typ),
		t.int32(3, &n.repetition),
		field{4, thriftBinary, func(byte) { n.name = string(t.binary()) }},
		t.int32(5, &children),
		field{6, thriftI32, func(byte) { n.converted(t.i32()) }},
		field{10, thriftStruct, func(byte) {
			t.fields(func(id int16, kind byte) {
				n.logical(id)
				t.skip(kind)
			})
		}},
	)
	if !utf8.ValidString(n.name) {
		t.malformed("the name of a column is not UTF-8")
	}
	return n, children
}

// converted applies a ConvertedType.
func (n *node) converted(c int32) {
	n.list = n.list || c == 3
	n.decimal = n.decimal || c == 5
	n.unsigned = n.unsigned || c >= 11 && c <= 14
}

// logical applies a member of the union LogicalType. Unsigned integers also have
// a ConvertedType.
func (n *node) logical(id int16) {
	n.list = n.list || id == 3
	n.decimal = n.decimal || id == 5
}

// builder makes a tree of the remaining elements.
type builder struct {
	f      *File
	t      *thrift
	all    []*node
	counts []int32
}

// tree returns the next element with all elements below it.
func (b *builder) tree(parent *node, depth int) *node {
	if len(b.all) == 0 || depth > maxDepth {
		b.t.malformed("the schema ends too early or is more than %d deep", maxDepth)
		return nil
	}
	n, children := b.all[0], b.counts[0]
	b.all, b.counts = b.all[1:], b.counts[1:]
	if n.repetition > repeated {
		b.t.malformed("column %q has the unknown repetition %d", n.name, n.repetition)
	}
	if parent != nil {
		n.inherit(parent)
	}
	n.leaf = len(b.f.leaves)
	if n.typ != typeGroup {
		if children > 0 || parent == nil {
			b.t.malformed("column %q has children or is not in a group", n.path())
		}
		b.f.leaves = append(b.f.leaves, n)
		n.leaves = 1
		return n
	}
	for ; children > 0 && b.t.err == nil; children-- {
		n.children = append(n.children, b.tree(n, depth+1))
	}
	n.leaves = len(b.f.leaves) - n.leaf
	b.group(n, parent)
	return n
}

// inherit computes the levels of a node from those of its parent.
func (n *node) inherit(parent *node) {
	n.parent, n.maxDef, n.maxRep = parent, parent.maxDef, parent.maxRep
	if n.repetition != required {
		n.maxDef++
	}
	if n.repetition == repeated {
		n.maxRep++
	}
}

// group checks a group.
func (b *builder) group(n, parent *node) {
	switch {
	case b.t.err != nil:
	case n.leaves == 0:
		b.t.malformed("group %q is empty", n.path())
	case n.list && (len(n.children) != 1 || n.children[0].repetition != repeated):
		b.t.malformed("list %q must have exactly one child, a repeated child", n.path())
	}
	seen := make(map[string]bool, len(n.children))
	for _, c := range n.children {
		if c != nil && seen[c.name] {
			b.t.malformed("two columns have the name %q", c.path())
		} else if c != nil {
			seen[c.name] = true
		}
	}
}

// element returns the node of a list's elements. This is the repeated child of
// the list, or the only child of the repeated child. Source: LogicalTypes.md,
// including its rules for older writers.
func (n *node) element() *node {
	r := n.children[0]
	if r.typ == typeGroup && len(r.children) == 1 && r.name != "array" && r.name != n.name+"_tuple" {
		return r.children[0]
	}
	return r
}

// supported returns an error if a column below a node cannot be read.
func (f *File) supported(n *node) error {
	for _, leaf := range f.leaves[n.leaf : n.leaf+n.leaves] {
		ok := !leaf.decimal
		switch leaf.typ {
		case typeBoolean, typeInt32, typeInt64, typeFloat, typeDouble, typeByteArray:
		default:
			ok = false
		}
		if !ok {
			return &Error{Column: leaf.path(), Err: refusal.Reason(refusal.ErrUnsupported, "the column is neither text nor a number nor a boolean")}
		}
	}
	return nil
}

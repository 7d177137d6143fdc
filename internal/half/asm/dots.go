package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The numbers of lanes of a sum and of rows of a panel, as in package half.
const (
	sumLanes  = 16
	panelRows = 64
)

// dots emits the exact and the fused kernels that multiply weights with
// vectors, and the functions that go with them.
func (m *machine) dots() {
	for _, t := range []string{f32, f16, bf16} {
		for _, fused := range []bool{false, true} {
			for _, s := range m.shapes() {
				m.dot(t, fused, s)
			}
		}
	}
	m.fold()
	m.addScaled()
	m.readOnly()
}

// shape is the numbers of rows and tokens of a kernel. vectors is the number of
// registers for a sum's lanes. They hold all lanes, or half of them in each of
// two passes over the columns.
type shape struct{ rows, tokens, vectors int }

// shapes returns the shapes of the kernels one, four and tile. The last uses
// all registers for its sums.
func (m *machine) shapes() []shape {
	switch {
	case m.single:
		return []shape{{1, 1, 4}, {4, 1, 4}}
	case m.wide:
		return []shape{{1, 1, 1}, {4, 1, 1}, {4, m.tileTokens(), 1}}
	}
	return []shape{{1, 1, 2}, {4, 1, 2}, {4, m.tileTokens(), 1}}
}

// tileTokens returns the number of tokens of the kernel tile.
func (m *machine) tileTokens() int {
	switch {
	case m.single:
		return 0
	case m.wide:
		return 6
	}
	return 3
}

func dotName(t string, fused bool, s shape) string {
	kind := "Exact"
	if fused {
		kind = "Fused"
	}
	return fmt.Sprintf("dot%s%s%dx%d", t, kind, s.rows, s.tokens)
}

// dot emits a kernel of the type dotKernel.
func (m *machine) dot(t string, fused bool, s shape) {
	name := dotName(t, fused, s) + m.name
	declare(name, "func(lanes *float32, w *byte, stride int, x *float32, xStride int, n int)", fmt.Sprintf("adds the products of n columns of %d rows of %s weights and %d tokens to their lanes. n is a positive multiple of 16.", s.rows, t, s.tokens))
	lanes := Load(Param("lanes"), GP64())
	w := rows(Load(Param("w"), GP64()), Load(Param("stride"), GP64()), s.rows)
	stride := GP64()
	Load(Param("xStride"), stride)
	SHLQ(U8(2), stride)
	x := rows(Load(Param("x"), GP64()), stride, s.tokens)
	n := Load(Param("n"), GP64())
	passes := sumLanes / m.lanes / s.vectors
	for pass := range passes {
		first := pass * s.vectors
		sums := m.sums(lanes, s, first, true, nil)
		if s.tokens == 1 && s.rows > 1 {
			m.stream(t, fused, s, sums, w, x, n)
		} else {
			m.pass(fmt.Sprintf("pass%d", pass), t, fused, s, first, sums, w, x, n)
		}
		m.sums(lanes, s, first, false, sums)
		if pass+1 < passes {
			w.rewind(n, size(t))
			x.rewind(n, 4)
		}
	}
	VZEROUPPER()
	RET()
}

// pass emits a loop over the columns.
func (m *machine) pass(label, t string, fused bool, s shape, first int, sums []VecVirtual, w, x rowSet, n Register) {
	left := GP64()
	MOVQ(n, left)
	Label(label)
	m.products(t, fused, s, first, 0, sums, w, x)
	ADDQ(U8(sumLanes*size(t)), w.base)
	ADDQ(U8(4*sumLanes), x.base)
	SUBQ(U8(sumLanes), left)
	JNZ(LabelRef(label))
}

// stream emits a loop over the columns of weights in memory. It processes two
// blocks at a time and prefetches later ones.
func (m *machine) stream(t string, fused bool, s shape, sums []VecVirtual, w, x rowSet, n Register) {
	const step = 2 * sumLanes
	SUBQ(U8(step), n)
	JL(LabelRef("last"))
	Label("loop")
	for r := range s.rows {
		for i := 0; i < step*size(t); i += 64 {
			PREFETCHT0(w.at(r).Offset(distance + i))
		}
	}
	for i := range 2 {
		m.products(t, fused, s, 0, i*sumLanes, sums, w, x)
	}
	ADDQ(U32(uint32(step*size(t))), w.base)
	ADDQ(U32(4*step), x.base)
	SUBQ(U8(step), n)
	JGE(LabelRef("loop"))
	Label("last")
	ADDQ(U8(step), n)
	JZ(LabelRef("done"))
	m.products(t, fused, s, 0, 0, sums, w, x)
	Label("done")
}

// rowSet addresses up to six rows at a constant distance.
type rowSet struct {
	base, stride, stride3, stride5 Register
}

func rows(base, stride Register, n int) rowSet {
	s := rowSet{base: base, stride: stride}
	if n > 3 {
		r := GP64()
		LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, r)
		s.stride3 = r
	}
	if n > 5 {
		r := GP64()
		LEAQ(Mem{Base: stride, Index: stride, Scale: 4}, r)
		s.stride5 = r
	}
	return s
}

func (s rowSet) at(i int) Mem {
	switch i {
	case 0:
		return Mem{Base: s.base}
	case 3:
		return Mem{Base: s.base, Index: s.stride3, Scale: 1}
	case 5:
		return Mem{Base: s.base, Index: s.stride5, Scale: 1}
	}
	return Mem{Base: s.base, Index: s.stride, Scale: uint8(i)}
}

// rewind emits the move back by n elements.
func (s rowSet) rewind(n Register, size int) {
	r := GP64()
	MOVQ(n, r)
	if size == 4 {
		SHLQ(U8(2), r)
	} else {
		SHLQ(U8(1), r)
	}
	SUBQ(r, s.base)
}

// sums emits the loads of the lanes of each row and token, or the stores.
func (m *machine) sums(lanes Register, s shape, first int, load bool, sums []VecVirtual) []VecVirtual {
	for i := range s.rows * s.tokens * s.vectors {
		v, r, t := first+i%s.vectors, i/s.vectors%s.rows, i/s.vectors/s.rows
		at := Mem{Base: lanes}.Offset(4 * ((t*panelRows+r)*sumLanes + v*m.lanes))
		if load {
			sums = append(sums, m.vec())
			VMOVUPS(at, sums[i])
		} else {
			VMOVUPS(sums[i], at)
		}
	}
	return sums
}

// products emits the products of sumLanes columns from column on, or of the
// columns of one pass.
func (m *machine) products(t string, fused bool, s shape, first, column int, sums []VecVirtual, w, x rowSet) {
	var vectors []Op // of x
	for i := range s.tokens * s.vectors {
		at := x.at(i / s.vectors).Offset(4 * (column + m.lanes*(first+i%s.vectors)))
		if !m.wide && s.tokens > 1 { // too few registers: use memory operands
			vectors = append(vectors, at)
			continue
		}
		v := m.vec()
		VMOVUPS(at, v)
		vectors = append(vectors, v)
	}
	for r := range s.rows {
		for v := range s.vectors {
			row := m.load(t, w.at(r).Offset(size(t)*(column+m.lanes*(first+v))))
			for token := range s.tokens {
				sum := sums[(token*s.rows+r)*s.vectors+v]
				if fused {
					VFMADD231PS(vectors[token*s.vectors+v], row, sum)
					continue
				}
				product := m.vec()
				VMULPS(vectors[token*s.vectors+v], row, product)
				VADDPS(product, sum, sum)
			}
		}
	}
}

// fold emits the sum of the lanes of each row of a panel. It halves pairs of
// registers until a register holds the sums of as many rows as it has lanes.
func (m *machine) fold() {
	declare("fold"+m.name, "func(sums, lanes *float32)", "writes the sums of the lanes of 64 rows.")
	sums := Load(Param("sums"), GP64())
	lanes := Load(Param("lanes"), GP64())
	nan := m.broadcast(0x7fc00000)
	m.nan = nan
	if m.wide {
		m.mask = K()
	}
	n := GP64()
	MOVQ(U32(panelRows), n)
	Label("loop")
	row := func(r int) VecVirtual {
		at := Mem{Base: lanes}.Offset(4 * sumLanes * r)
		v := m.vec()
		VMOVUPS(at, v)
		if !m.wide {
			VADDPS(at.Offset(32), v, v)
		}
		return v
	}
	var quads [4]VecVirtual // quads[k] holds four lanes of each of the rows k, k+4, …
	for k := range quads {
		quads[k] = m.quads(row, k)
	}
	sum := m.halve(m.halve(quads[0], quads[1], unpack), m.halve(quads[2], quads[3], unpack), shuffle)
	m.canonical(sum)
	VMOVUPS(sum, Mem{Base: sums})
	ADDQ(U32(uint32(4*sumLanes*m.lanes)), lanes)
	ADDQ(U32(uint32(4*m.lanes)), sums)
	SUBQ(U32(uint32(m.lanes)), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// quads emits the folding of the lanes of the rows k, k+4, … to four lanes
// each.
func (m *machine) quads(row func(int) VecVirtual, k int) VecVirtual {
	if !m.wide {
		return m.halve(row(k), row(k+4), lanes128)
	}
	left := m.halve(row(k), row(k+4), quarters(0x44, 0xee))
	return m.halve(left, m.halve(row(k+8), row(k+12), quarters(0x44, 0xee)), quarters(0x88, 0xdd))
}

// halve emits the addition of the upper to the lower parts of two registers.
// take selects the parts of both.
func (m *machine) halve(a, b VecVirtual, take func(a, b, to VecVirtual, upper bool)) VecVirtual {
	low, high := m.vec(), m.vec()
	take(a, b, low, false)
	take(a, b, high, true)
	VADDPS(high, low, low)
	return low
}

func quarters(low, high uint8) func(a, b, to VecVirtual, upper bool) {
	return func(a, b, to VecVirtual, upper bool) {
		order := low
		if upper {
			order = high
		}
		VSHUFF64X2(U8(order), b, a, to)
	}
}

func lanes128(a, b, to VecVirtual, upper bool) {
	order := uint8(0x20)
	if upper {
		order = 0x31
	}
	VPERM2F128(U8(order), b, a, to)
}

func unpack(a, b, to VecVirtual, upper bool) {
	if upper {
		VUNPCKHPD(b, a, to)
	} else {
		VUNPCKLPD(b, a, to)
	}
}

func shuffle(a, b, to VecVirtual, upper bool) {
	order := uint8(0x88)
	if upper {
		order = 0xdd
	}
	VSHUFPS(U8(order), b, a, to)
}

// addScaled emits dst += s·x with each product rounded.
func (m *machine) addScaled() {
	declare("addScaled"+m.name, "func(dst, x *float32, s float32, n int)", "adds s·x to n numbers. n is a positive multiple of 16.")
	dst := Load(Param("dst"), GP64())
	x := Load(Param("x"), GP64())
	scale, one := m.vec(), XMM()
	Load(Param("s"), one)
	VBROADCASTSS(one, scale)
	n := Load(Param("n"), GP64())
	m.nan = m.broadcast(0x7fc00000)
	if m.wide {
		m.mask = K()
	}
	Label("loop")
	for i := range sumLanes / m.lanes {
		v := m.vec()
		VMULPS(Mem{Base: x}.Offset(4*m.lanes*i), scale, v)
		VADDPS(Mem{Base: dst}.Offset(4*m.lanes*i), v, v)
		m.canonical(v)
		VMOVUPS(v, Mem{Base: dst}.Offset(4*m.lanes*i))
	}
	ADDQ(U8(4*sumLanes), x)
	ADDQ(U8(4*sumLanes), dst)
	SUBQ(U8(sumLanes), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// readOnly emits a loop that only reads. Only benchmarks call it.
func (m *machine) readOnly() {
	declare("rooflineRead"+m.name, "func(src *byte, n int) byte", "reads n bytes, a positive multiple of 256. It reads four streams at a time, like the kernels for four rows.")
	src := Load(Param("src"), GP64())
	n := Load(Param("n"), GP64())
	SHRQ(U8(2), n)
	streams := rows(src, n, 4)
	left := GP64()
	MOVQ(n, left)
	var v [4]VecVirtual
	for i := range v {
		v[i] = m.vec()
		VXORPS(v[i], v[i], v[i])
	}
	Label("loop")
	for i := range v {
		for k := 0; k < 64; k += 4 * m.lanes {
			VORPS(streams.at(i).Offset(k), v[i], v[i])
		}
	}
	ADDQ(U8(64), src)
	SUBQ(U8(64), left)
	JNZ(LabelRef("loop"))
	for _, o := range v[1:] {
		VORPS(o, v[0], v[0])
	}
	r := GP64()
	VMOVQ(v[0].AsX(), r)
	Store(r.As8(), ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// Command asm generates the kernels of package half, with avo for amd64 and as
// text for arm64. Run go generate in that package.
//
// Every kernel of a sum or conversion is a loop over blocks: load and widen to
// fp32, combine, replace NaNs by one, round and store. The steps are functions
// of machine, each for AVX2 with F16C and for AVX-512. main combines them for
// the pairs of types that matter.
package main

import (
	"flag"
	"fmt"
	"os"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The types of package half.
const (
	f32  = "F32"
	f16  = "F16"
	bf16 = "BF16"
)

func size(t string) int {
	if t == f32 {
		return 4
	}
	return 2
}

// machine is an instruction set. lanes is the number of fp32 lanes of a
// register. The other fields hold its constants.
type machine struct {
	name   string
	wide   bool // AVX-512
	single bool // NEON: no streaming kernels, no tiles, and nothing of what only amd64 has
	lanes  int

	nan, one, bias VecVirtual // 0x7fc00000, 1, 0x7fff in every lane
	last           VecVirtual // 0x10000, the lowest bit that bf16 keeps
	mask           OpmaskVirtual
	quarters       VecVirtual // the permutation that undoes the order of VPACKUSDW
}

func (m *machine) vec() VecVirtual {
	if m.wide {
		return ZMM()
	}
	return YMM()
}

// block returns the number of elements that an iteration of a loop processes.
func (m *machine) block() int { return 2 * m.lanes }

// The sums, differences and conversions that have a kernel of their own.
// Package half combines the others from conversions and fp32 operations.
var (
	sums = [][3]string{
		{f16, bf16, bf16}, {f16, f16, f16}, {bf16, bf16, bf16}, {f16, bf16, f16}, {f16, bf16, f32},
		{f32, bf16, bf16}, {f32, f32, f32},
	}
	differences = [][3]string{
		{f16, bf16, bf16}, {bf16, f16, bf16}, {f16, f16, f16}, {bf16, bf16, bf16}, {f32, f16, bf16}, {f32, f32, f32},
	}
	conversions = [][2]string{{f16, bf16}, {bf16, f16}, {f16, f32}, {bf16, f32}, {f32, f16}, {f32, bf16}}
)

func main() {
	table := flag.String("table", "", "Go file for the dispatch tables of amd64")
	neonFiles := flag.String("neon", "", "prefix of the files for arm64")
	ConstraintExpr("amd64,!purego")
	machines := []*machine{{name: "AVX512", wide: true, lanes: 16}, {name: "AVX2", lanes: 8}}
	doubles := newDoubles(expConstants())
	for _, m := range machines {
		for _, c := range sums {
			m.combine("add", c[0], c[1], c[2])
		}
		for _, c := range differences {
			m.combine("sub", c[0], c[1], c[2])
		}
		for _, c := range conversions {
			m.convert(c[0], c[1])
		}
		m.rooflines()
		m.firstNonFinite()
		m.dots()
		m.exp(doubles)
	}
	transpose()
	prefetch()
	fence()
	Generate()
	err := writeTables(*table, "amd64", machines)
	if err == nil {
		err = writeNEON(*neonFiles+"kernels_arm64.s", *neonFiles+"kernels_arm64.go", *neonFiles+"tables_arm64.go")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "asm:", err)
		os.Exit(1)
	}
}

// declare starts an assembly function and its Go declaration. The documentation
// is the name followed by doc.
func declare(name, signature, doc string) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + " " + doc)
}

// loop emits a function that loops over blocks of elements. Its arguments are
// dst, the sources and n, a multiple of block(). body emits an iteration. It
// receives the current addresses.
func (m *machine) loop(name string, out string, in []string, stream bool, doc string, body func(dst Mem, src []Mem)) {
	signature := "func(dst, a *byte, n int)"
	if len(in) == 2 {
		signature = "func(dst, a, b *byte, n int)"
	}
	if stream {
		name += "Stream"
		doc += " It bypasses the caches. dst must be aligned to 64 bytes, and fence must follow."
	}
	declare(name+m.name, signature, doc)
	dst := Load(Param("dst"), GP64())
	pointers := []Register{Load(Param("a"), GP64())}
	if len(in) == 2 {
		pointers = append(pointers, Load(Param("b"), GP64()))
	}
	n := Load(Param("n"), GP64())
	m.constants()
	TESTQ(n, n)
	JZ(LabelRef("done"))
	Label("loop")
	var src []Mem
	for _, p := range pointers {
		src = append(src, Mem{Base: p})
	}
	if stream {
		for i, p := range pointers {
			m.ahead(p, m.block()*size(in[i]))
		}
	}
	body(Mem{Base: dst}, src)
	for i, p := range pointers {
		ADDQ(U32(uint32(m.block()*size(in[i]))), p)
	}
	ADDQ(U32(uint32(m.block()*size(out))), dst)
	SUBQ(U32(uint32(m.block())), n)
	JNZ(LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}

// distance is how many bytes ahead of its reads a streaming loop prefetches.
const distance = 2048

// ahead emits prefetches of n bytes at distance from p.
func (m *machine) ahead(p Register, n int) {
	for i := 0; i < n; i += 64 {
		PREFETCHT0(Mem{Base: p}.Offset(distance + i))
	}
}

func (m *machine) constants() {
	m.nan, m.one, m.bias = m.broadcast(0x7fc00000), m.broadcast(1), m.broadcast(0x7fff)
	if m.wide {
		m.last = m.broadcast(0x10000)
		m.mask, m.quarters = K(), ZMM()
		order, x := GP64(), XMM()
		MOVQ(U64(0x0705030106040200), order)
		VMOVQ(order, x)
		VPMOVZXBQ(x, m.quarters)
	}
}

func (m *machine) broadcast(c uint32) VecVirtual {
	r, x, v := GP32(), XMM(), m.vec()
	MOVL(U32(c), r)
	VMOVD(r, x)
	VPBROADCASTD(x, v)
	return v
}

// load emits the conversion of lanes elements to fp32, which is exact.
func (m *machine) load(t string, at Mem) VecVirtual {
	v := m.vec()
	switch t {
	case f16:
		VCVTPH2PS(at, v)
	case bf16:
		VPMOVZXWD(at, v)
		VPSLLD(U8(16), v, v)
	case f32:
		VMOVUPS(at, v)
	}
	return v
}

// canonical emits the replacement of every NaN by the one of fp32, which rounds
// to the one NaN of each other type.
func (m *machine) canonical(v VecVirtual) {
	const unordered = 3
	if m.wide {
		VCMPPS(U8(unordered), v, v, m.mask)
		VMOVDQA32(m.nan, m.mask, v)
		return
	}
	isNaN := m.vec()
	VCMPPS(U8(unordered), v, v, isNaN)
	VBLENDVPS(isNaN, m.nan, v, v)
}

// roundBF16 emits rounding to bf16, with the bits in the low half of every
// lane. Adding 0x7fff, and one more if the result would be odd, rounds to
// nearest even.
func (m *machine) roundBF16(v VecVirtual) {
	if m.wide {
		VPTESTMD(m.last, v, m.mask)
		VPADDD(m.bias, v, v)
		VPADDD(m.one, v, m.mask, v)
	} else {
		odd := m.vec()
		VPSRLD(U8(16), v, odd)
		VPAND(m.one, odd, odd)
		VPADDD(m.bias, v, v)
		VPADDD(odd, v, v)
	}
	VPSRLD(U8(16), v, v)
}

// store emits the rounding of two registers and the stores of both.
func (m *machine) store(t string, lo, hi VecVirtual, at Mem, stream bool) {
	m.canonical(lo)
	m.canonical(hi)
	switch t {
	case f32:
		m.write(lo, at, stream)
		m.write(hi, at.Offset(4*m.lanes), stream)
	case f16:
		m.write(m.pair(m.halfF16(lo), m.halfF16(hi)), at, stream)
	case bf16:
		m.roundBF16(lo)
		m.roundBF16(hi)
		m.write(m.packBF16(lo, hi), at, stream)
	}
}

// halfF16 emits rounding to fp16, to nearest even regardless of MXCSR.
func (m *machine) halfF16(v VecVirtual) VecVirtual {
	const nearestEven = 0
	var h VecVirtual = XMM()
	if m.wide {
		h = YMM()
	}
	VCVTPS2PH(U8(nearestEven), v, h)
	return h
}

// pair emits the concatenation of two registers of half the width.
func (m *machine) pair(lo, hi VecVirtual) VecVirtual {
	v := m.vec()
	if m.wide {
		VINSERTI64X4(U8(1), hi, lo.AsZ(), v)
	} else {
		VINSERTI128(U8(1), hi, lo.AsY(), v)
	}
	return v
}

// packBF16 emits the concatenation of the low halves of the lanes of two
// registers.
func (m *machine) packBF16(lo, hi VecVirtual) VecVirtual {
	v := m.vec()
	VPACKUSDW(hi, lo, v) // the result has the quarters interleaved
	if m.wide {
		VPERMQ(v, m.quarters, v)
	} else {
		VPERMQ(U8(0xd8), v, v)
	}
	return v
}

func (m *machine) write(v VecVirtual, at Mem, stream bool) {
	switch {
	case stream:
		VMOVNTDQ(v, at)
	case m.wide:
		VMOVDQU64(v, at)
	default:
		VMOVDQU(v, at)
	}
}

// combine emits a sum or difference, once with plain and once with streaming
// stores.
func (m *machine) combine(op, a, b, out string) {
	for _, stream := range []bool{false, true} {
		doc := "writes a " + map[string]string{"add": "+", "sub": "-"}[op] + " b for " + a + " and " + b + ", rounded to " + out + ". n is a multiple of 32."
		m.loop(op+a+b+out, out, []string{a, b}, stream, doc, func(dst Mem, src []Mem) {
			var sum [2]VecVirtual
			for i := range sum {
				x := m.load(a, src[0].Offset(i*m.lanes*size(a)))
				y := m.load(b, src[1].Offset(i*m.lanes*size(b)))
				if op == "add" {
					VADDPS(y, x, x)
				} else {
					VSUBPS(y, x, x)
				}
				sum[i] = x
			}
			m.store(out, sum[0], sum[1], dst, stream)
		})
	}
}

// convert emits a conversion, once with plain and once with streaming stores.
func (m *machine) convert(from, to string) {
	for _, stream := range []bool{false, true} {
		m.loop("convert"+from+to, to, []string{from}, stream, "rounds "+from+" to "+to+". n is a multiple of 32.", func(dst Mem, src []Mem) {
			lo := m.load(from, src[0])
			hi := m.load(from, src[0].Offset(m.lanes*size(from)))
			m.store(to, lo, hi, dst, stream)
		})
	}
}

// rooflines emits loops that move as many bytes as the kernels, without the
// arithmetic. Only benchmarks call them.
func (m *machine) rooflines() {
	for _, stream := range []bool{false, true} {
		m.loop("rooflineAdd", f16, []string{f16, f16}, stream, "adds 16-bit integers. It measures the memory traffic of a sum of 16-bit numbers.", func(dst Mem, src []Mem) {
			v, w := m.vec(), m.vec()
			m.read(src[0], v)
			m.read(src[1], w)
			VPADDW(w, v, v)
			m.write(v, dst, stream)
		})
		m.loop("rooflineCopy", f16, []string{f16}, stream, "copies 16-bit integers. It measures the memory traffic of a conversion between 16-bit types.", func(dst Mem, src []Mem) {
			v := m.vec()
			m.read(src[0], v)
			m.write(v, dst, stream)
		})
		m.loop("rooflineWiden", f32, []string{f16}, stream, "extends 16-bit integers to 32 bits. It measures the memory traffic of a conversion to fp32.", func(dst Mem, src []Mem) {
			for i := range 2 {
				v := m.vec()
				VPMOVZXWD(src[0].Offset(2*i*m.lanes), v)
				m.write(v, dst.Offset(4*i*m.lanes), stream)
			}
		})
	}
}

func (m *machine) read(at Mem, v VecVirtual) {
	if m.wide {
		VMOVDQU64(at, v)
	} else {
		VMOVDQU(at, v)
	}
}

package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// firstNonFinite emits the search for an exponent of all ones.
func (m *machine) firstNonFinite() {
	declare("firstNonFinite"+m.name, "func(src *byte, n int, exponent uint32) int", "returns the index of the first block of 32 elements in which all exponent bits of an element are set, or n. exponent holds the 16-bit mask of the exponent twice. n is a multiple of 32.")
	src := Load(Param("src"), GP64())
	n := Load(Param("n"), GP64())
	exponent, x, mask := GP32(), XMM(), m.vec()
	Load(Param("exponent"), exponent)
	VMOVD(exponent, x)
	VPBROADCASTD(x, mask)
	i := GP64()
	XORQ(i, i)
	Label("loop")
	CMPQ(i, n)
	JGE(LabelRef("done"))
	m.testNonFinite(Mem{Base: src, Index: i, Scale: 2}, mask)
	JNZ(LabelRef("found"))
	ADDQ(U8(32), i)
	JMP(LabelRef("loop"))
	Label("done")
	MOVQ(n, i)
	Label("found")
	VZEROUPPER()
	Store(i, ReturnIndex(0))
	RET()
}

// testNonFinite emits a test that clears the zero flag if all exponent bits of
// one of 32 elements are set.
func (m *machine) testNonFinite(at Mem, mask VecVirtual) {
	if m.wide {
		v, k := ZMM(), K()
		VPANDD(at, mask, v)
		VPCMPEQW(mask, v, k)
		KTESTD(k, k)
		return
	}
	lo, hi := YMM(), YMM()
	VPAND(at, mask, lo)
	VPAND(at.Offset(32), mask, hi)
	VPCMPEQW(mask, lo, lo)
	VPCMPEQW(mask, hi, hi)
	VPOR(lo, hi, lo)
	VPTEST(lo, lo)
}

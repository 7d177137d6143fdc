package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// transpose emits the kernel that transposes 8 rows of 16-bit elements, 16
// columns at a time. The two halves of a register belong to two squares of 8 ×
// 8 elements.
func transpose() {
	declare("transpose8AVX2", "func(dst, src *byte, stride int, to *int, cols int)", "writes 8 rows of cols elements of 2 bytes as columns: element (r, c), at src + r·stride + 2c, goes to dst + to[c] + 2r. cols is a multiple of 16.")
	dst := Load(Param("dst"), GP64())
	src := Load(Param("src"), GP64())
	stride := Load(Param("stride"), GP64())
	to := Load(Param("to"), GP64())
	cols := Load(Param("cols"), GP64())
	stride3 := GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	lower := GP64() // address of the fifth row

	Label("loop")
	TESTQ(cols, cols)
	JLE(LabelRef("done"))
	LEAQ(Mem{Base: src, Index: stride, Scale: 4}, lower)
	var r [8]VecVirtual
	for i := range r {
		r[i] = YMM()
		base := src
		if i >= 4 {
			base = lower
		}
		switch i % 4 {
		case 0:
			VMOVDQU(Mem{Base: base}, r[i])
		case 3:
			VMOVDQU(Mem{Base: base, Index: stride3, Scale: 1}, r[i])
		default:
			VMOVDQU(Mem{Base: base, Index: stride, Scale: uint8(i % 4)}, r[i])
		}
	}
	ahead(src, stride, stride3)
	for c, v := range transposeSquares(r) {
		at := GP64()
		MOVQ(Mem{Base: to}.Offset(8*c), at)
		VMOVDQU(v.AsX(), Mem{Base: dst, Index: at, Scale: 1})
		MOVQ(Mem{Base: to}.Offset(8*(c+8)), at)
		VEXTRACTI128(U8(1), v, Mem{Base: dst, Index: at, Scale: 1})
	}
	ADDQ(U8(32), src)
	ADDQ(U32(128), to)
	SUBQ(U8(16), cols)
	JMP(LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}

// ahead emits prefetches of the same columns of the next 8 rows. They are on
// other memory pages, where the processor does not prefetch by itself.
func ahead(src, stride, stride3 Register) {
	p := GP64()
	LEAQ(Mem{Base: src, Index: stride, Scale: 8}, p)
	for range 2 {
		PREFETCHT0(Mem{Base: p})
		PREFETCHT0(Mem{Base: p, Index: stride, Scale: 1})
		PREFETCHT0(Mem{Base: p, Index: stride, Scale: 2})
		PREFETCHT0(Mem{Base: p, Index: stride3, Scale: 1})
		LEAQ(Mem{Base: p, Index: stride, Scale: 4}, p)
	}
}

// transposeSquares emits the transposition in three rounds of interleaving: of
// 16, 32 and 64 bits.
func transposeSquares(r [8]VecVirtual) [8]VecVirtual {
	var a, b, c [8]VecVirtual
	for i := range a {
		a[i], b[i], c[i] = YMM(), YMM(), YMM()
	}
	for i := range 4 {
		VPUNPCKLWD(r[2*i+1], r[2*i], a[2*i])
		VPUNPCKHWD(r[2*i+1], r[2*i], a[2*i+1])
	}
	for i := range 2 {
		VPUNPCKLDQ(a[4*i+2], a[4*i], b[4*i])
		VPUNPCKHDQ(a[4*i+2], a[4*i], b[4*i+1])
		VPUNPCKLDQ(a[4*i+3], a[4*i+1], b[4*i+2])
		VPUNPCKHDQ(a[4*i+3], a[4*i+1], b[4*i+3])
	}
	for i := range 4 {
		VPUNPCKLQDQ(b[4+i], b[i], c[2*i])
		VPUNPCKHQDQ(b[4+i], b[i], c[2*i+1])
	}
	return c
}

// prefetch emits a loop that prefetches n bytes.
func prefetch() {
	declare("prefetchAVX2", "func(p *byte, n int)", "prefetches n bytes from p on into the caches.")
	p := Load(Param("p"), GP64())
	n := Load(Param("n"), GP64())
	Label("loop")
	PREFETCHT0(Mem{Base: p})
	ADDQ(U8(64), p)
	SUBQ(U8(64), n)
	JG(LabelRef("loop"))
	RET()
}

// fence emits the fence between streaming stores and the stores that announce
// them to other goroutines.
func fence() {
	TEXT("fenceSSE2", NOSPLIT, "func()")
	Doc("fenceSSE2 makes stores that bypassed the caches visible before all later stores.")
	SFENCE()
	RET()
}

package half

import (
	"math"
	"unsafe"

	"github.com/koala-go/sdk/dtype"
)

// The sums with which models are recovered, in Go, four elements at a time.
func init() {
	generic.add[iF16][iBF16][iBF16].cached = func(dst, a, b *byte, n int) { combineMixed(dst, a, b, n, add, add) }
	generic.sub[iF16][iBF16][iBF16].cached = func(dst, a, b *byte, n int) { combineMixed(dst, a, b, n, add, sub) }
	generic.sub[iBF16][iF16][iBF16].cached = func(dst, a, b *byte, n int) { combineMixed(dst, b, a, n, sub, add) }
	generic.add[iF16][iF16][iF16].cached = func(dst, a, b *byte, n int) { combineF16(dst, a, b, n, add) }
	generic.sub[iF16][iF16][iF16].cached = func(dst, a, b *byte, n int) { combineF16(dst, a, b, n, sub) }
}

// combineMixed adds fp16 and bf16 numbers, negating the operands as signA and
// signB say, and rounds to bf16. Four normal fp16 numbers and four finite bf16
// numbers need no special cases, since no sum is NaN. Other numbers take the
// path of the reference.
func combineMixed(dst, a, b *byte, n int, signA, signB operation) {
	d, x, y := unsafe.Slice(dst, 2*n), unsafe.Slice(a, 2*n), unsafe.Slice(b, 2*n)
	for len(d) >= 8 && len(x) >= 8 && len(y) >= 8 {
		p, q := le.Uint64(x), le.Uint64(y)
		if normal16(p) && finiteBF16(q) {
			le.PutUint64(d, uint64(mixed1(uint32(p), uint32(q)<<16, signA, signB))|
				uint64(mixed1(uint32(p>>16), uint32(q)&0xffff0000, signA, signB))<<16|
				uint64(mixed1(uint32(p>>32), uint32(q>>16)&0xffff0000, signA, signB))<<32|
				uint64(mixed1(uint32(p>>48), uint32(q>>32)&0xffff0000, signA, signB))<<48)
		} else {
			for i := 0; i < 8; i += 2 {
				s := signA.flip(FromF16(le.Uint16(x[i:]))) + signB.flip(FromBF16(le.Uint16(y[i:])))
				le.PutUint16(d[i:], ToBF16(s))
			}
		}
		d, x, y = d[8:], x[8:], y[8:]
	}
}

func mixed1(h, wide uint32, signA, signB operation) uint32 {
	x := math.Float32frombits(normalF16(h) ^ uint32(signA))
	bits := math.Float32bits(x + math.Float32frombits(wide^uint32(signB)))
	return (bits + 0x7fff + bits>>16&1) >> 16
}

// combineF16 adds or subtracts fp16 numbers.
func combineF16(dst, a, b *byte, n int, op operation) {
	d, x, y := unsafe.Slice(dst, 2*n), unsafe.Slice(a, 2*n), unsafe.Slice(b, 2*n)
	for len(d) >= 8 && len(x) >= 8 && len(y) >= 8 {
		p, q := le.Uint64(x), le.Uint64(y)
		if normal16(p) && normal16(q) {
			le.PutUint64(d, uint64(fp16Sum(uint32(p), uint32(q), op))|
				uint64(fp16Sum(uint32(p>>16), uint32(q>>16), op))<<16|
				uint64(fp16Sum(uint32(p>>32), uint32(q>>32), op))<<32|
				uint64(fp16Sum(uint32(p>>48), uint32(q>>48), op))<<48)
		} else {
			combineReference(d[:8], dtype.F16, x, dtype.F16, y, dtype.F16, op)
		}
		d, x, y = d[8:], x[8:], y[8:]
	}
}

func fp16Sum(h, g uint32, op operation) uint16 {
	return ToF16(math.Float32frombits(normalF16(h)) + math.Float32frombits(normalF16(g)^uint32(op)))
}

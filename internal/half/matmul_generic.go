package half

import (
	"math"
	"unsafe"
)

// The sums of products in Go.
func init() {
	generic.fold = foldGeneric
	for t, one := range []dotKernel{iF32: dotF32, iF16: dotF16, iBF16: dotBF16} {
		generic.exact[t] = dots{one: one, four: oneByOne(one)}
	}
	generic.fast = generic.exact
}

// oneByOne does tileRows rows one after the other.
func oneByOne(one dotKernel) dotKernel {
	return func(lanes *float32, w *byte, stride int, x *float32, xStride, n int) {
		l := unsafe.Slice(lanes, tileRows*sumLanes)
		rows := unsafe.Slice(w, (tileRows-1)*stride+1)
		for r := range tileRows {
			one(&l[r*sumLanes], &rows[r*stride], stride, x, xStride, n)
		}
	}
}

// halfLanes lanes at a time stay in registers.
const halfLanes = sumLanes / 2

func dotF32(lanes *float32, w *byte, _ int, x *float32, _, n int) {
	l := (*[sumLanes]float32)(unsafe.Pointer(lanes))
	for h := 0; h < sumLanes; h += halfLanes {
		a := (*[halfLanes]float32)(l[h:])
		a0, a1, a2, a3, a4, a5, a6, a7 := a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]
		ws, xs := unsafe.Slice(w, 4*n)[4*h:], unsafe.Slice(x, n)[h:]
		for len(xs) >= halfLanes && len(ws) >= 4*halfLanes {
			w, x := (*[4 * halfLanes]byte)(ws), (*[halfLanes]float32)(xs)
			a0 += float32(math.Float32frombits(le.Uint32(w[0:])) * x[0])
			a1 += float32(math.Float32frombits(le.Uint32(w[4:])) * x[1])
			a2 += float32(math.Float32frombits(le.Uint32(w[8:])) * x[2])
			a3 += float32(math.Float32frombits(le.Uint32(w[12:])) * x[3])
			a4 += float32(math.Float32frombits(le.Uint32(w[16:])) * x[4])
			a5 += float32(math.Float32frombits(le.Uint32(w[20:])) * x[5])
			a6 += float32(math.Float32frombits(le.Uint32(w[24:])) * x[6])
			a7 += float32(math.Float32frombits(le.Uint32(w[28:])) * x[7])
			if len(xs) < sumLanes || len(ws) < 4*sumLanes {
				break
			}
			ws, xs = ws[4*sumLanes:], xs[sumLanes:]
		}
		*a = [halfLanes]float32{a0, a1, a2, a3, a4, a5, a6, a7}
	}
}

func dotBF16(lanes *float32, w *byte, _ int, x *float32, _, n int) {
	l := (*[sumLanes]float32)(unsafe.Pointer(lanes))
	for h := 0; h < sumLanes; h += halfLanes {
		a := (*[halfLanes]float32)(l[h:])
		a0, a1, a2, a3, a4, a5, a6, a7 := a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]
		ws, xs := unsafe.Slice(w, 2*n)[2*h:], unsafe.Slice(x, n)[h:]
		for len(xs) >= halfLanes && len(ws) >= 2*halfLanes {
			p, q, x := le.Uint64(ws), le.Uint64(ws[8:]), (*[halfLanes]float32)(xs)
			a0 += float32(lowBF16(p) * x[0])
			a1 += float32(highBF16(p) * x[1])
			a2 += float32(lowBF16(p>>32) * x[2])
			a3 += float32(highBF16(p>>32) * x[3])
			a4 += float32(lowBF16(q) * x[4])
			a5 += float32(highBF16(q) * x[5])
			a6 += float32(lowBF16(q>>32) * x[6])
			a7 += float32(highBF16(q>>32) * x[7])
			if len(xs) < sumLanes || len(ws) < 2*sumLanes {
				break
			}
			ws, xs = ws[2*sumLanes:], xs[sumLanes:]
		}
		*a = [halfLanes]float32{a0, a1, a2, a3, a4, a5, a6, a7}
	}
}

// lowBF16 and highBF16 are the numbers in the lowest 32 bits of p.
func lowBF16(p uint64) float32  { return math.Float32frombits(uint32(p) << 16) }
func highBF16(p uint64) float32 { return math.Float32frombits(uint32(p) & 0xffff0000) }

// dotF16 takes eight numbers at a time where all are normal.
func dotF16(lanes *float32, w *byte, _ int, x *float32, _, n int) {
	l := (*[sumLanes]float32)(unsafe.Pointer(lanes))
	for h := 0; h < sumLanes; h += halfLanes {
		a := (*[halfLanes]float32)(l[h:])
		a0, a1, a2, a3, a4, a5, a6, a7 := a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]
		ws, xs := unsafe.Slice(w, 2*n)[2*h:], unsafe.Slice(x, n)[h:]
		for len(xs) >= halfLanes && len(ws) >= 2*halfLanes {
			p, q, x := le.Uint64(ws), le.Uint64(ws[8:]), (*[halfLanes]float32)(xs)
			if normal16(p) && normal16(q) {
				a0 += float32(lowF16(p) * x[0])
				a1 += float32(highF16(p) * x[1])
				a2 += float32(lowF16(p>>32) * x[2])
				a3 += float32(highF16(p>>32) * x[3])
				a4 += float32(lowF16(q) * x[4])
				a5 += float32(highF16(q) * x[5])
				a6 += float32(lowF16(q>>32) * x[6])
				a7 += float32(highF16(q>>32) * x[7])
			} else {
				a0 += float32(FromF16(uint16(p)) * x[0])
				a1 += float32(FromF16(uint16(p>>16)) * x[1])
				a2 += float32(FromF16(uint16(p>>32)) * x[2])
				a3 += float32(FromF16(uint16(p>>48)) * x[3])
				a4 += float32(FromF16(uint16(q)) * x[4])
				a5 += float32(FromF16(uint16(q>>16)) * x[5])
				a6 += float32(FromF16(uint16(q>>32)) * x[6])
				a7 += float32(FromF16(uint16(q>>48)) * x[7])
			}
			if len(xs) < sumLanes || len(ws) < 2*sumLanes {
				break
			}
			ws, xs = ws[2*sumLanes:], xs[sumLanes:]
		}
		*a = [halfLanes]float32{a0, a1, a2, a3, a4, a5, a6, a7}
	}
}

// lowF16 and highF16 are the normal numbers in the lowest 32 bits of p. The
// shift has copies of the sign in the exponent's upper places, which the mask
// takes out.
func lowF16(p uint64) float32 { return highF16(p << 16) }

func highF16(p uint64) float32 {
	return math.Float32frombits(uint32(int32(p)>>3)&0x8fffe000 + (127-15)<<23)
}

// foldGeneric writes the sum of each sumLanes lanes.
func foldGeneric(dst, lanes *float32) {
	for i := range panelRows {
		l := (*[sumLanes]float32)(unsafe.Pointer(&unsafe.Slice(lanes, panelRows*sumLanes)[i*sumLanes]))
		var a [8]float32
		for j := range a {
			a[j] = l[j] + l[j+8]
		}
		sum := ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]))
		unsafe.Slice(dst, panelRows)[i] = canonicalFloat(sum)
	}
}

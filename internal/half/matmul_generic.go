package half

import (
	"math"
	"sync"
	"unsafe"
)

// The kernels of products in Go.
func init() {
	generic.fold = foldGeneric
	generic.exact = [3]dots{
		iF32:  {one: dotF32, four: oneByOne(dotF32)},
		iF16:  dots16(FromF16),
		iBF16: dots16(FromBF16),
	}
	generic.fast = generic.exact
}

// oneByOne returns a kernel for tileRows rows that processes them one after
// another.
func oneByOne(one dotKernel) dotKernel {
	return func(lanes *float32, w *byte, stride int, x *float32, xStride, n int) {
		l := unsafe.Slice(lanes, tileRows*sumLanes)
		rows := unsafe.Slice(w, (tileRows-1)*stride+1)
		for r := range tileRows {
			one(&l[r*sumLanes], &rows[r*stride], stride, x, xStride, n)
		}
	}
}

// halfLanes is the number of lanes whose sums fit in registers.
const halfLanes = sumLanes / 2

// dotF32 adds the products of one row.
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

// widened holds the values of all bit patterns of a 16-bit type. The weights of
// a model have few different exponents, so that the used part of the table
// stays in the L1 cache. A load from there is faster than widening a number and
// moving it to a floating-point register.
type widened [1 << 16]float32

// dots16 returns the kernels for a 16-bit type.
func dots16(value func(uint16) float32) dots {
	table := sync.OnceValue(func() *widened {
		t := new(widened)
		for i := range t {
			t[i] = value(uint16(i))
		}
		return t
	})
	return dots{
		one: func(lanes *float32, w *byte, _ int, x *float32, _, n int) { table().dot(lanes, w, x, n) },
		four: func(lanes *float32, w *byte, stride int, x *float32, _, n int) {
			table().dotRows(lanes, w, stride, x, n)
		},
	}
}

// dot adds the products of one row, lane by lane.
func (t *widened) dot(lanes *float32, w *byte, x *float32, n int) {
	l := (*[sumLanes]float32)(unsafe.Pointer(lanes))
	for h := range l {
		for i := h; i < n; i += sumLanes {
			l[h] += float32(t.at(unsafe.Pointer(w), i) * *(*float32)(unsafe.Add(unsafe.Pointer(x), 4*i)))
		}
	}
}

// rowsColumns is the number of columns of tileRows rows that stay in the L1
// cache together with the table, while one lane after another reads its columns.
const rowsColumns = 1024

// dotRows adds the products of tileRows rows, one lane of all rows at a time.
// The compiler emits scalar code, so that loads limit the speed, and here the
// rows share the loads of the vector.
func (t *widened) dotRows(lanes *float32, w *byte, stride int, x *float32, n int) {
	l := (*[tileRows * sumLanes]float32)(unsafe.Pointer(lanes))
	w0 := unsafe.Pointer(w)
	w1, w2, w3 := unsafe.Add(w0, stride), unsafe.Add(w0, 2*stride), unsafe.Add(w0, 3*stride)
	for from := 0; from < n; from += rowsColumns {
		to := min(from+rowsColumns, n)
		for h := range sumLanes {
			a, b, c, d := l[h], l[sumLanes+h], l[2*sumLanes+h], l[3*sumLanes+h]
			for i := from + h; i < to; i += sumLanes {
				x := *(*float32)(unsafe.Add(unsafe.Pointer(x), 4*i))
				a += float32(t.at(w0, i) * x)
				b += float32(t.at(w1, i) * x)
				c += float32(t.at(w2, i) * x)
				d += float32(t.at(w3, i) * x)
			}
			l[h], l[sumLanes+h], l[2*sumLanes+h], l[3*sumLanes+h] = a, b, c, d
		}
	}
}

// at returns the value of weight i of a row.
func (t *widened) at(row unsafe.Pointer, i int) float32 {
	return t[le.Uint16((*[2]byte)(unsafe.Add(row, 2*i))[:])]
}

// foldGeneric writes the sum of the lanes of each row.
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

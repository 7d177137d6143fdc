//go:build amd64 && !purego

package half

import (
	"testing"

	"github.com/koala-go/sdk/dtype"
)

// rooflines measures the speed of memory: the loops of the kernels without
// arithmetic, with both kinds of stores.
func rooflines(b *testing.B, n int, x, y, dst []byte) {
	dst = aligned(dst)
	run := func(name string, bytes int, f func()) {
		b.Run("roofline "+name, func(b *testing.B) {
			b.SetBytes(int64(bytes))
			for b.Loop() {
				f()
			}
		})
	}
	if len(all()) < 2 {
		b.Skip("no kernels on this machine")
	}
	n &^= kernelBlock - 1
	n -= kernelBlock // aligned may have dropped elements
	run("add", 2*n, func() { rooflineAddAVX2(&dst[0], &x[0], &y[0], n) })
	run("add past the caches", 2*n, func() { rooflineAddStreamAVX2(&dst[0], &x[0], &y[0], n) })
	run("copy", 2*n, func() { rooflineCopyAVX2(&dst[0], &x[0], n) })
	run("copy past the caches", 2*n, func() { rooflineCopyStreamAVX2(&dst[0], &x[0], n) })
	run("widen", 4*n, func() { rooflineWidenAVX2(&dst[0], &x[0], n) })
	run("widen past the caches", 4*n, func() { rooflineWidenStreamAVX2(&dst[0], &x[0], n) })
	if all()[0] == &kernelsAVX512 {
		run("add AVX512 past the caches", 2*n, func() { rooflineAddStreamAVX512(&dst[0], &x[0], &y[0], n) })
		run("copy AVX512 past the caches", 2*n, func() { rooflineCopyStreamAVX512(&dst[0], &x[0], n) })
		run("widen AVX512 past the caches", 4*n, func() { rooflineWidenStreamAVX512(&dst[0], &x[0], n) })
	}
}

// aligned drops bytes up to an aligned address.
func aligned(b []byte) []byte { return b[split(b, dtype.F16, true).head*2:] }

// readOnly reads and does nothing else.
func readOnly(w []byte) {
	if all()[0] == &kernelsAVX512 {
		rooflineReadAVX512(&w[0], len(w))
	} else {
		rooflineReadAVX2(&w[0], len(w))
	}
}

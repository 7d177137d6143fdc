package half

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/x448/float16"

	"github.com/koala-go/sdk/dtype"
)

// large is the size in bytes of the arrays that measure memory. It is far
// larger than all caches.
const large = 256 << 20

// arrays returns two sources and a destination with the same number of
// elements.
func arrays(n int) (a, b, dst []byte) {
	r := rand.New(rand.NewPCG(7, 8))
	few := smallHalves(r, 1<<16, dtype.F16)
	a, b, dst = make([]byte, 4*n), make([]byte, 4*n), make([]byte, 4*n)
	for i := 0; i < len(a); i += copy(a[i:], few) {
		copy(b[i:], few)
		copy(dst[i:], few) // touch every page, so that it exists
	}
	return a, b, dst
}

// eachKernel runs a benchmark with every table, and with each table both with
// and without streaming stores.
func eachKernel(b *testing.B, name string, bytes int, run func()) {
	defer func(k *kernels) { active = k }(active)
	for _, k := range all() {
		b.Run(name+"/"+k.name, func(b *testing.B) {
			active = k
			b.SetBytes(int64(bytes)) // of output
			for b.Loop() {
				run()
			}
		})
	}
}

// BenchmarkMemory measures arrays far larger than the caches next to the
// roofline of each: the same reads and writes without arithmetic.
//
//	go test ./internal/half -run xxx -bench Memory -cpu 1
func BenchmarkMemory(b *testing.B) {
	n := large / 2
	x, y, dst := arrays(n)
	rooflines(b, n, x, y, dst)
	for _, c := range []struct {
		out, a, b dtype.Type
		op        func([]byte, dtype.Type, []byte, dtype.Type, []byte, dtype.Type)
		name      string
	}{
		{dtype.BF16, dtype.F16, dtype.BF16, Add, "add"}, {dtype.F16, dtype.F16, dtype.F16, Add, "add"}, {dtype.BF16, dtype.BF16, dtype.F16, Sub, "sub"}, {dtype.F16, dtype.F16, dtype.F16, Sub, "sub"},
	} {
		eachKernel(b, fmt.Sprintf("%s %s %s to %s", c.name, c.a, c.b, c.out), 2*n, func() {
			c.op(dst[:2*n], c.out, x[:2*n], c.a, y[:2*n], c.b)
		})
	}
	for _, c := range [][2]dtype.Type{{dtype.F16, dtype.BF16}, {dtype.BF16, dtype.F16}, {dtype.F16, dtype.F32}, {dtype.BF16, dtype.F32}} {
		eachKernel(b, fmt.Sprintf("convert %s to %s", c[0], c[1]), n*int(c[1].Size()), func() {
			Convert(dst[:n*int(c[1].Size())], c[1], x[:2*n], c[0])
		})
	}
}

// BenchmarkCache measures arrays that stay in the L1 and the L2 cache.
func BenchmarkCache(b *testing.B) {
	x, y, dst := arrays(1 << 18)
	for _, n := range []int{4 << 10, 256 << 10} {
		eachKernel(b, fmt.Sprintf("add dtype.F16 dtype.BF16 to dtype.BF16/%d KiB", n>>9), 2*n, func() {
			Add(dst[:2*n], dtype.BF16, x[:2*n], dtype.F16, y[:2*n], dtype.BF16)
		})
	}
	b.Run("plain Go loop", func(b *testing.B) {
		const n = 4 << 10
		b.SetBytes(2 * n)
		for b.Loop() {
			combineReference(dst[:2*n], dtype.BF16, x[:2*n], dtype.F16, y[:2*n], dtype.BF16, add)
		}
	})
	b.Run("x448", func(b *testing.B) {
		const n = 4 << 10
		b.SetBytes(2 * n)
		for b.Loop() {
			for i := 0; i < 2*n; i += 2 {
				s := float16.Frombits(le.Uint16(x[i:])).Float32() + float16.Frombits(le.Uint16(y[i:])).Float32()
				le.PutUint16(dst[i:], float16.Fromfloat32(s).Bits())
			}
		}
	})
}

// BenchmarkThreads adds the same arrays on one goroutine and on two.
func BenchmarkThreads(b *testing.B) {
	const n = large
	x, y, dst := arrays(n / 2)
	for threads := 1; threads <= 2; threads++ {
		b.Run(fmt.Sprint(threads), func(b *testing.B) {
			b.SetBytes(n)
			for b.Loop() {
				var group sync.WaitGroup
				for from := 0; from < n; from += n / threads {
					group.Go(func() {
						to := from + n/threads
						Add(dst[from:to], dtype.BF16, x[from:to], dtype.F16, y[from:to], dtype.BF16)
					})
				}
				group.Wait()
			}
		})
	}
}

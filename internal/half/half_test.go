package half

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"github.com/x448/float16"

	"github.com/koala-go/sdk/dtype"
)

// isNaN16 reports whether the bits of a 16-bit type are a NaN.
func isNaN16(h uint16, t dtype.Type) bool {
	if t == dtype.F16 {
		return h&0x7fff > 0x7c00
	}
	return h&0x7fff > 0x7f80
}

func TestFromF16AgreesWithX448OnAll(t *testing.T) {
	for i := range 1 << 16 {
		got, want := FromF16(uint16(i)), float16.Frombits(uint16(i)).Float32()
		if want != want {
			require.Equalf(t, uint32(nan32), math.Float32bits(got), "%#04x", i)
			continue
		}
		require.Equalf(t, math.Float32bits(want), math.Float32bits(got), "%#04x", i)
	}
}

func TestToF16AgreesWithX448(t *testing.T) {
	check := func(bits uint32) {
		f := math.Float32frombits(bits)
		got, want := ToF16(f), float16.Fromfloat32(f).Bits()
		if f != f {
			want = nan16
		}
		if got != want {
			t.Fatalf("ToF16(%#08x) = %#04x, x448/float16 has %#04x", bits, got, want)
		}
	}
	for bits := uint64(0); bits < 1<<32; bits += 251 {
		check(uint32(bits))
	}
	for h := range uint16(0x7c00) { // around each midpoint of neighbouring fp16 numbers, where rounding changes direction
		low := math.Float32bits(FromF16(h))
		next := math.Float32bits(65536)
		if h < 0x7bff {
			next = math.Float32bits(FromF16(h + 1))
		}
		middle := math.Float32bits((math.Float32frombits(low) + math.Float32frombits(next)) / 2)
		for _, bits := range []uint32{low, middle - 1, middle, middle + 1, next} {
			check(bits)
			check(bits | 1<<31)
		}
	}
}

// TestToBF16IsNearestEven checks the definition: the nearer of the two
// neighbours, or the even one if both are equally near.
func TestToBF16IsNearestEven(t *testing.T) {
	for high := range uint32(1 << 16) {
		for _, low := range []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xffff} {
			bits := high<<16 | low
			want := uint16(high)
			if low > 0x8000 || low == 0x8000 && high&1 == 1 {
				want++
			}
			if bits&abs32 > inf32 {
				want = nanBF16
			}
			require.Equalf(t, want, ToBF16(math.Float32frombits(bits)), "%#08x", bits)
		}
	}
}

// oracle defines the operations on slices, one element at a time, with
// x448/float16 for fp16 and the text of the standard for bf16.
func oracle(out dtype.Type, a []byte, at dtype.Type, b []byte, bt dtype.Type, sign float32) []byte {
	var dst []byte
	for len(a) > 0 {
		s := value(a, at) + sign*value(b, bt)
		if Sum(at, bt) != dtype.F32 {
			s = value(pattern(nil, s, Sum(at, bt)), Sum(at, bt))
		}
		dst = pattern(dst, s, out)
		a, b = a[size(at):], b[size(bt):]
	}
	return dst
}

func value(b []byte, t dtype.Type) float32 {
	switch t {
	case dtype.F16:
		return float16.Frombits(le.Uint16(b)).Float32()
	case dtype.BF16:
		return math.Float32frombits(uint32(le.Uint16(b)) << 16)
	}
	return math.Float32frombits(le.Uint32(b))
}

func pattern(dst []byte, f float32, t dtype.Type) []byte {
	switch {
	case t == dtype.F16 && f != f:
		return le.AppendUint16(dst, nan16)
	case t == dtype.F16:
		return le.AppendUint16(dst, float16.Fromfloat32(f).Bits())
	case t == dtype.BF16:
		return le.AppendUint16(dst, ToBF16(f)) // checked by TestToBF16IsNearestEven
	case f != f:
		return le.AppendUint32(dst, nan32)
	}
	return le.AppendUint32(dst, math.Float32bits(f))
}

var types = []dtype.Type{dtype.F32, dtype.F16, dtype.BF16}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// forEachKernel runs a test with every table that this machine supports.
func forEachKernel(t *testing.T, test func(t *testing.T)) {
	for _, k := range all() {
		t.Run(k.name, func(t *testing.T) {
			defer func(k *kernels) { active = k }(active)
			active = k
			test(t)
		})
	}
}

// guarded is a slice at a given alignment between canaries.
type guarded struct {
	all, part []byte
}

const canary = 0xa5

func guard(n, alignment int) guarded {
	all := make([]byte, n+3*64)
	for i := range all {
		all[i] = canary
	}
	start := 64 + (alignment+int(-uintptr(unsafe.Pointer(&all[64]))%64))%64
	return guarded{all, all[start : start+n : start+n]}
}

// check fails if a byte outside the slice was written.
func (g guarded) check(t *testing.T) {
	t.Helper()
	start := int(uintptr(unsafe.Pointer(unsafe.SliceData(g.part))) - uintptr(unsafe.Pointer(&g.all[0])))
	for i, b := range g.all {
		if (i < start || i >= start+len(g.part)) && b != canary {
			t.Fatalf("byte %d outside a slice of %d bytes was written", i-start, len(g.part))
		}
	}
}

// TestSlices checks every operation on every combination of types, with lengths
// around multiples of a block.
func TestSlices(t *testing.T) {
	forEachKernel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, n := range []int{0, 1, 31, 32, 33, 63, 64, 95, 1023, 1024, 1025, 3000} {
			for _, at := range types {
				for _, bt := range types {
					for _, out := range types {
						a, b := randomBytes(r, n*size(at)+1)[1:], randomBytes(r, n*size(bt)+3)[3:]
						dst := guard(n*size(out), 2*(n%32))
						Add(dst.part, out, a, at, b, bt)
						require.True(t, bytes.Equal(oracle(out, a, at, b, bt, 1), dst.part), "%d: %s+%s→%s", n, at, bt, out)
						Sub(dst.part, out, a, at, b, bt)
						require.True(t, bytes.Equal(oracle(out, a, at, b, bt, -1), dst.part), "%d: %s-%s→%s", n, at, bt, out)
						dst.check(t)
					}
				}
			}
		}
	})
}

// TestLengthsAndAlignments checks every length up to 1,100 at every alignment
// of the destination, with other alignments of the sources, for every kernel of
// the machine and both kinds of stores.
func TestLengthsAndAlignments(t *testing.T) {
	defer func(n int) { streamFrom = n }(streamFrom)
	step := 1
	if testing.Short() {
		step = 13
	}
	const most = 1100
	forEachKernel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		a, b := randomBytes(r, 4*most+64), randomBytes(r, 4*most+64)
		for _, x := range types {
			for _, out := range types {
				if active.convert[index(x)][index(out)].cached != nil {
					eachLength(t, most, step, x, x, out, a, b, func(dst []byte, a, _ []byte) { Convert(dst, out, a, x) },
						func(dst []byte, a, _ []byte) { convertReference(dst, out, a, x) })
				}
				for _, y := range types {
					if active.find(add, x, y, out).cached != nil {
						eachLength(t, most, step, x, y, out, a, b, func(dst []byte, a, b []byte) { Add(dst, out, a, x, b, y) },
							func(dst []byte, a, b []byte) { combineReference(dst, out, a, x, b, y, add) })
					}
					if active.find(sub, x, y, out).cached != nil {
						eachLength(t, most, step, x, y, out, a, b, func(dst []byte, a, b []byte) { Sub(dst, out, a, x, b, y) },
							func(dst []byte, a, b []byte) { combineReference(dst, out, a, x, b, y, sub) })
					}
				}
			}
		}
	})
}

// eachLength compares an operation with its reference.
func eachLength(t *testing.T, most, step int, x, y, out dtype.Type, a, b []byte, run, reference func(dst, a, b []byte)) {
	t.Helper()
	for _, streamFrom = range []int{0, math.MaxInt} {
		for alignment := range 64 {
			a, b := a[63-alignment:], b[alignment/2:]
			want := make([]byte, most*size(out))
			reference(want, a[:most*size(x)], b[:most*size(y)])
			dst := guard(most*size(out), alignment)
			canaries := bytes.Repeat([]byte{canary}, len(dst.part))
			for n := alignment % step; n <= most; n += step {
				part := dst.part[: n*size(out) : n*size(out)]
				run(part, a[:n*size(x)], b[:n*size(y)])
				if !bytes.Equal(want[:len(part)], part) {
					t.Fatalf("%d elements of %s and %s to %s at alignment %d", n, x, y, out, alignment)
				}
				behind := dst.part[len(part):min(len(part)+64, len(dst.part))]
				if !bytes.Equal(canaries[:len(behind)], behind) {
					t.Fatalf("%d elements of %s and %s to %s at alignment %d: a byte behind was written", n, x, y, out, alignment)
				}
				copy(part, canaries)
			}
			dst.check(t)
		}
	}
}

// TestConversions checks every conversion on all 2^16 patterns, and on fp32
// numbers around every rounding boundary.
func TestConversions(t *testing.T) {
	var all16, edges []byte
	for i := range 1 << 16 {
		all16 = le.AppendUint16(all16, uint16(i))
		for _, low := range []uint32{0, 1, 0x0fff, 0x1000, 0x1001, 0x7fff, 0x8000, 0x8001, 0xefff, 0xf000, 0xf001, 0xffff} {
			edges = le.AppendUint32(edges, uint32(i)<<16|low)
		}
	}
	forEachKernel(t, func(t *testing.T) {
		for _, from := range types {
			src := all16
			if from == dtype.F32 {
				src = edges
			}
			n := len(src) / size(from)
			for _, to := range types {
				if to == from {
					continue
				}
				want := make([]byte, n*size(to))
				convertReference(want, to, src, from)
				got := make([]byte, n*size(to))
				Convert(got, to, src, from)
				require.True(t, bytes.Equal(want, got), "%s to %s", from, to)
			}
		}
	})
}

// TestExpectedKernelRuns fails if the machine supports an instruction set that
// is not in use.
func TestExpectedKernelRuns(t *testing.T) {
	if os.Getenv("KOALA_KERNEL") != "" {
		t.Skip("KOALA_KERNEL is set")
	}
	require.Equal(t, expectedKernel(), Kernel())
	require.Equal(t, "generic", choose("generic").name)
	require.Equal(t, Kernel(), choose("no such kernel").name)
}

func TestAddInPlace(t *testing.T) { forEachKernel(t, testAddInPlace) }

func testAddInPlace(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	a, b := randomBytes(r, 5000), randomBytes(r, 5000)
	want := oracle(dtype.BF16, a, dtype.F16, b, dtype.BF16, 1)
	inA, inB := bytes.Clone(a), bytes.Clone(b)
	Add(inA, dtype.BF16, inA, dtype.F16, b, dtype.BF16)
	require.Equal(t, want, inA)
	Add(inB, dtype.BF16, a, dtype.F16, inB, dtype.BF16)
	require.Equal(t, want, inB)
}

func TestLengthsMustAgree(t *testing.T) {
	require.Panics(t, func() { Add(make([]byte, 4), dtype.F16, make([]byte, 4), dtype.F16, make([]byte, 6), dtype.F16) })
	require.Panics(t, func() { Convert(make([]byte, 4), dtype.F16, make([]byte, 4), dtype.F32) })
}

func TestConvertToSameTypeCopies(t *testing.T) {
	src := []byte{0x01, 0xfc, 0xff, 0x7f} // two NaNs with payloads
	dst := make([]byte, 4)
	Convert(dst, dtype.F16, src, dtype.F16)
	require.Equal(t, src, dst)
}

func TestFirstNonFinite(t *testing.T) { forEachKernel(t, testFirstNonFinite) }

func testFirstNonFinite(t *testing.T) {
	for _, typ := range types {
		for _, n := range []int{0, 1, 31, 32, 33, 64, 100} {
			src := make([]byte, n*size(typ))
			for i := range n { // all elements are the largest finite number
				store(src[i*size(typ):], typ, map[dtype.Type]float32{dtype.F16: 65504, dtype.BF16: 0x1.fep127, dtype.F32: math.MaxFloat32}[typ])
			}
			require.Equal(t, -1, FirstNonFinite(src, typ))
			for i := range n {
				for _, bad := range []float64{math.Inf(1), math.Inf(-1), math.NaN()} {
					one := bytes.Clone(src)
					store(one[i*size(typ):], typ, float32(bad))
					require.Equal(t, i, FirstNonFinite(one, typ))
				}
			}
		}
	}
}

// smallHalves returns numbers of the size of weights, around ±0.02.
func smallHalves(r *rand.Rand, n int, t dtype.Type) []byte {
	var b []byte
	for range n {
		b = pattern(b, float32(r.NormFloat64()*0.02), t)
	}
	return b
}

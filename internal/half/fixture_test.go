package half

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/fixture"
)

// TestArithmeticGoldens compares with numpy and ml_dtypes on 69,632 pairs of
// numbers. NaN results are compared as NaN.
func TestArithmeticGoldens(t *testing.T) {
	pairs := fixture.Read(t, "fixtures", "arith", "pairs.u16")
	n := len(pairs) / 4
	require.Equal(t, 69632, n)
	a, b := make([]byte, 2*n), make([]byte, 2*n)
	for i := range n {
		copy(a[2*i:], pairs[4*i:4*i+2])
		copy(b[2*i:], pairs[4*i+2:4*i+4])
	}
	for _, g := range []struct {
		file   string
		x, y   dtype.Type
		out    dtype.Type
		second dtype.Type // the type of a second rounding
		op     func([]byte, dtype.Type, []byte, dtype.Type, []byte, dtype.Type)
	}{
		{file: "add.f16_bf16.bf16.u16", x: dtype.F16, y: dtype.BF16, out: dtype.BF16, op: Add},
		{file: "add.f16_bf16.f16.u16", x: dtype.F16, y: dtype.BF16, out: dtype.F16, op: Add},
		{file: "add.f16_f16.f16.u16", x: dtype.F16, y: dtype.F16, out: dtype.F16, op: Add},
		{file: "add.f16_f16.f16_then_bf16.u16", x: dtype.F16, y: dtype.F16, out: dtype.BF16, op: Add},
		{file: "add.bf16_bf16.bf16.u16", x: dtype.BF16, y: dtype.BF16, out: dtype.BF16, op: Add},
		{file: "add.bf16_bf16.bf16_then_f16.u16", x: dtype.BF16, y: dtype.BF16, out: dtype.F16, op: Add},
		{file: "sub.bf16_f16.bf16.u16", x: dtype.BF16, y: dtype.F16, out: dtype.BF16, op: Sub},
		{file: "sub.f16_f16.f16.u16", x: dtype.F16, y: dtype.F16, out: dtype.F16, op: Sub},
	} {
		t.Run(g.file, func(t *testing.T) {
			first, second := a, b
			if strings.HasPrefix(g.file, "sub.") {
				first, second = b, a
			}
			got := make([]byte, 2*n)
			g.op(got, g.out, first, g.x, second, g.y)
			requireSame16(t, fixture.Read(t, "fixtures", "arith", g.file), got, g.out)
		})
	}
	t.Run("f32 sum", func(t *testing.T) {
		got := make([]byte, 4*n)
		Add(got, dtype.F32, a, dtype.F16, b, dtype.BF16)
		requireDigest(t, got, "nan_as_7fc00000", "add.f16_bf16.f32.u32")
	})
}

func TestConversionGoldens(t *testing.T) {
	all := make([]byte, 1<<17)
	for i := range 1 << 16 {
		le.PutUint16(all[2*i:], uint16(i))
	}
	got := make([]byte, len(all))
	Convert(got, dtype.BF16, all, dtype.F16)
	requireSame16(t, fixture.Read(t, "fixtures", "arith", "conv.f16_bf16.u16"), got, dtype.BF16)
	Convert(got, dtype.F16, all, dtype.BF16)
	requireSame16(t, fixture.Read(t, "fixtures", "arith", "conv.bf16_f16.u16"), got, dtype.F16)

	wide := make([]byte, 1<<18)
	Convert(wide, dtype.F32, all, dtype.F16)
	requireDigest(t, wide, "nan_as_7fc00000", "conv.f16_f32.u32")
}

func TestRoundingEdges(t *testing.T) {
	var src []byte
	for u := range uint32(1 << 16) {
		for _, low := range []uint32{0, 0x7fff, 0x8000, 0x8001} {
			src = le.AppendUint32(src, u<<16|low)
		}
	}
	got := make([]byte, len(src)/2)
	Convert(got, dtype.BF16, src, dtype.F32)
	requireSame16(t, fixture.Read(t, "fixtures", "arith", "conv.f32_bf16.edges.u16"), got, dtype.BF16)

	src = src[:0]
	for _, sign := range []uint32{0, 1 << 31} {
		for h := range uint16(0x7c00) {
			next := float32(65536)
			if h < 0x7bff {
				next = FromF16(h + 1)
			}
			middle := math.Float32bits((FromF16(h) + next) / 2)
			for _, bits := range []uint32{middle - 1, middle, middle + 1} {
				src = le.AppendUint32(src, sign|bits)
			}
		}
	}
	got = make([]byte, len(src)/2)
	Convert(got, dtype.F16, src, dtype.F32)
	requireSame16(t, fixture.Read(t, "fixtures", "arith", "conv.f32_f16.edges.u16"), got, dtype.F16)
}

func requireSame16(t *testing.T, want, got []byte, typ dtype.Type) {
	t.Helper()
	require.Equal(t, len(want), len(got))
	for i := 0; i < len(want); i += 2 {
		w, g := le.Uint16(want[i:]), le.Uint16(got[i:])
		if w != g && !(isNaN16(w, typ) && isNaN16(g, typ)) {
			t.Fatalf("element %d is %#04x, the reference has %#04x", i/2, g, w)
		}
		if isNaN16(g, typ) && g != map[dtype.Type]uint16{dtype.F16: nan16, dtype.BF16: nanBF16}[typ] {
			t.Fatalf("element %d is the NaN %#04x, not the canonical one", i/2, g)
		}
	}
}

func requireDigest(t *testing.T, got []byte, keys ...string) {
	t.Helper()
	var all map[string]any
	require.NoError(t, json.Unmarshal(fixture.Read(t, "fixtures", "arith", "arith.json"), &all))
	want := all[keys[0]].(map[string]any)[keys[1]].(string)
	sum := sha256.Sum256(got)
	require.Equal(t, want, hex.EncodeToString(sum[:]), fmt.Sprint(keys))
}

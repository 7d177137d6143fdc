package half

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
)

// TestCodecs encodes and decodes ones in every type that can hold weights.
func TestCodecs(t *testing.T) {
	const count = 64
	var ones []byte
	for range count {
		ones = le.AppendUint32(ones, math.Float32bits(1))
	}
	for _, dt := range dtype.WeightTypes() {
		n, ok := dt.Bytes([]int64{count})
		require.True(t, ok, dt)
		stored, decoded := make([]byte, n), make([]byte, len(ones))
		Encode(stored, dt, ones, dtype.F32)
		Decode(decoded, stored, dt)
		want := float32(1)
		if !dt.IsFloat() { // the scale is rounded to fp16
			want = FromF16(ToF16(1./127)) * 127
		}
		for i := range count {
			require.Equal(t, want, math.Float32frombits(le.Uint32(decoded[4*i:])), dt)
		}
	}
}

package modeltest

import (
	"encoding/binary"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/weights"
)

// TestLayoutsAgree writes a model in each format and reads it in Meta's layout,
// in which every element must equal the model's value.
func TestLayoutsAgree(t *testing.T) {
	for _, format := range []weights.Format{weights.FormatSafetensors, weights.FormatEasyLM} {
		path := filepath.Join(t.TempDir(), "model")
		require.NoError(t, Tiny.Write(path, &Options{Format: format, DType: dtype.F16, Values: Tiny.Base, ShardSize: 60_000}))
		c, err := weights.Open(t.Context(), path, &weights.OpenOptions{Heads: Tiny.Heads})
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, c.Complete())
		for _, p := range c.Params() {
			v, err := c.View(p, weights.Meta)
			require.NoError(t, err)
			b := make([]byte, v.Rows()*v.RowBytes())
			require.NoError(t, v.ReadRows(b, 0, v.Rows(), nil))
			cols := int(v.Shape[len(v.Shape)-1])
			if p.Role.IsNorm() {
				cols = 1
			}
			for i := range len(b) / 2 {
				require.Equal(t, Tiny.Base(p, i/cols, i%cols), binary.LittleEndian.Uint16(b[2*i:]), "%v %v element %d", format, p, i)
			}
		}
	}
}

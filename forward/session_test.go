package forward

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSession adds tokens one by one, several at a time, and after Truncate, with
// weights in memory and in files. The logits are those of the whole text, bit for
// bit.
func TestSession(t *testing.T) {
	for _, f := range forms {
		c := openFixture(t, f.shape, f.path)
		ids := expectation(t, f.shape).Tokens
		streamed, err := Open(t.Context(), c, nil)
		require.NoError(t, err)
		whole, err := streamed.Logits(t.Context(), ids)
		require.NoError(t, err)
		loaded, err := Load(t.Context(), c, &Options{Workers: 3})
		require.NoError(t, err)
		again, err := loaded.Logits(t.Context(), ids)
		require.NoError(t, err)
		require.Equal(t, bitsOf(whole.Values), bitsOf(again.Values))
		for _, m := range []*Model{streamed, loaded} {
			s := m.NewSession()
			for i, id := range ids {
				got, err := s.Append(t.Context(), []int32{id})
				require.NoError(t, err)
				require.Equal(t, bitsOf(whole.At(i)), bitsOf(got))
				require.Equal(t, i+1, s.Len())
			}
			s.Truncate(2)
			_, err = s.Append(t.Context(), []int32{0, 1})
			require.NoError(t, err)
			s.Truncate(2)
			for _, end := range []int{5, 11, 12} {
				got, err := s.Append(t.Context(), ids[s.Len():end])
				require.NoError(t, err)
				require.Equal(t, bitsOf(whole.At(end-1)), bitsOf(got))
			}
		}
	}
}

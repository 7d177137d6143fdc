package torchfile_test

import (
	"archive/zip"
	"bytes"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/torchfile"
	"github.com/koala-go/sdk/internal/wire"
)

// write makes a whole file of tensors; those without data have bytes of
// their numbers.
func write(t testing.TB, root string, tensors []wire.Tensor) []byte {
	t.Helper()
	p, err := torchfile.NewPlan(root, tensors)
	require.NoError(t, err)
	b := make([]byte, p.Size)
	written := make([]byte, p.Size)
	put := func(off int64, data []byte) {
		copy(b[off:], data)
		require.False(t, bytes.Contains(written[off:][:len(data)], []byte{1}), "some of %d bytes at %d are written twice", len(data), off)
		copy(written[off:], bytes.Repeat([]byte{1}, len(data)))
	}
	for _, piece := range p.Pieces {
		put(piece.Offset, piece.Bytes)
	}
	sums := make([]uint32, len(tensors))
	for i := range tensors {
		data := bytes.Repeat([]byte{byte(i + 1)}, int(tensors[i].Bytes()))
		if tensors[i].Data != nil {
			data = dataOf(t, &tensors[i])
		}
		require.Zero(t, p.Offsets[i]%64)
		put(p.Offsets[i], data)
		sums[i] = crc32.ChecksumIEEE(data)
	}
	for _, piece := range p.Seal(sums) {
		put(piece.Offset, piece.Bytes)
	}
	require.Equal(t, -1, bytes.IndexByte(written, 0), "a byte is not written")
	return b
}

// pickleOf is data.pkl as archive/zip finds it.
func pickleOf(t testing.TB, whole []byte) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(whole), int64(len(whole)))
	require.NoError(t, err)
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/data.pkl") {
			r, err := f.Open()
			require.NoError(t, err)
			b, err := io.ReadAll(r)
			require.NoError(t, err)
			return b
		}
	}
	t.Fatal("no data.pkl")
	return nil
}

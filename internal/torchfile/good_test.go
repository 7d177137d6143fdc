package torchfile_test

import (
	"bytes"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/torchfile"
	"github.com/koala-go/sdk/internal/wire"
)

func read(b []byte) error {
	_, err := torchfile.Read(bytes.NewReader(b), int64(len(b)))
	return err
}

func mustRead(t testing.TB, b []byte) *torchfile.File {
	t.Helper()
	f, err := torchfile.Read(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	return f
}

func dataOf(t testing.TB, x *wire.Tensor) []byte {
	t.Helper()
	b := make([]byte, x.Bytes())
	require.NoError(t, wire.ReadFull(x.Data, b, 0))
	return b
}

// requireSums compares the checksum of every storage.
func requireSums(t testing.TB, b []byte, f *torchfile.File) {
	t.Helper()
	for _, s := range f.Storages {
		require.Equal(t, s.CRC32, crc32.ChecksumIEEE(b[s.Offset:][:s.Size]), s.Name)
	}
}

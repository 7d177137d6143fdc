package gguf_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/gguf"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
)

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
func u32(n uint32) []byte        { return binary.LittleEndian.AppendUint32(nil, n) }
func u64(n uint64) []byte        { return binary.LittleEndian.AppendUint64(nil, n) }
func str(s string) []byte        { return cat(u64(uint64(len(s))), []byte(s)) }

// file returns a file that consists of pairs.
func file(pairs ...[]byte) []byte {
	return cat([]byte("GGUF"), u32(3), u64(0), u64(uint64(len(pairs))), cat(pairs...))
}

func pair(key string, t gguf.Type, value ...[]byte) []byte {
	return cat(str(key), u32(uint32(t)), cat(value...))
}

func array(key string, t gguf.Type, n uint64, items ...[]byte) []byte {
	return pair(key, gguf.Array, u32(uint32(t)), u64(n), cat(items...))
}

func read(b []byte) error {
	_, err := gguf.ReadMetadata(bytes.NewReader(b), int64(len(b)))
	return err
}

var small8 = pair("a", gguf.Uint8, []byte{1})

func TestBad(t *testing.T) {
	malformed, unsupported, short := refusal.ErrMalformed, refusal.ErrUnsupported, io.ErrUnexpectedEOF
	refusaltest.Run(t, []refusaltest.Bad{
		{Name: "empty", Kind: short},
		{Name: "magic", Bytes: cat([]byte("GGML"), u32(3), u64(0), u64(0)), Kind: malformed},
		{Name: "version 0", Bytes: cat([]byte("GGUF"), u32(0), u64(0), u64(0)), Kind: unsupported, Offset: 4},
		{Name: "version 1", Bytes: cat([]byte("GGUF"), u32(1), u64(0), u64(0)), Kind: unsupported, Offset: 4},
		{Name: "version 4", Bytes: cat([]byte("GGUF"), u32(4), u64(0), u64(0)), Kind: unsupported, Offset: 4},
		{Name: "big-endian", Bytes: cat([]byte("GGUF"), []byte{0, 0, 0, 3}, u64(0), u64(0)), Kind: unsupported, Offset: 4},
		{Name: "negative tensors", Bytes: cat([]byte("GGUF"), u32(3), u64(1<<64-1), u64(0)), Kind: short, Offset: 8},
		{Name: "negative pairs", Bytes: cat([]byte("GGUF"), u32(3), u64(0), u64(1<<64-1)), Kind: short, Offset: 16},
		{Name: "many pairs", Bytes: cat([]byte("GGUF"), u32(3), u64(0), u64(3), small8, small8), Kind: short, Offset: 16},
		{Name: "cut in the header", Bytes: file()[:20], Kind: short, Offset: 16},
		{Name: "long key", Bytes: file(cat(u64(1<<60), make([]byte, 20))), Kind: short, Offset: 24},
		{Name: "empty key", Bytes: file(pair("", gguf.Uint8, []byte{1})), Kind: malformed, Offset: 24},
		{Name: "key of 65,536 bytes", Bytes: file(pair(strings.Repeat("a", 1<<16), gguf.Uint8, []byte{1})), Kind: malformed, Offset: 24},
		{Name: "key not UTF-8", Bytes: file(pair("\xff", gguf.Uint8, []byte{1})), Kind: malformed, Offset: 24},
		{Name: "duplicate key", Bytes: file(small8, small8), Kind: malformed, Offset: 24 + 14},
		{Name: "unknown type", Bytes: file(pair("a", 13, []byte{1})), Kind: malformed, Offset: 33},
		{Name: "long string", Bytes: file(pair("a", gguf.String, u64(9), make([]byte, 8))), Kind: short, Offset: 37},
		{Name: "long array", Bytes: file(array("a", gguf.Uint32, 1<<62, make([]byte, 8))), Kind: short, Offset: 41},
		{Name: "long array of strings", Bytes: file(array("a", gguf.String, 3, str(""), str("a"))), Kind: short, Offset: 41},
		{Name: "cut string in an array", Bytes: file(array("a", gguf.String, 2, str("aaaaaaaa"), u64(1))), Kind: short, Offset: 65},
		{Name: "nested array", Bytes: file(array("a", gguf.Array, 1, u32(0), u64(1), []byte{1})), Kind: unsupported, Offset: 37},
		{Name: "cut number", Bytes: file(pair("a", gguf.Uint64, []byte{1, 2, 3})), Kind: short, Offset: 37},
		{Name: "truth of 2", Bytes: file(pair("a", gguf.Bool, []byte{2})), Kind: malformed, Offset: 37},
		{Name: "alignment 0", Bytes: file(pair("general.alignment", gguf.Uint32, u32(0))), Kind: malformed, Offset: 53},
		{Name: "alignment 3", Bytes: file(pair("general.alignment", gguf.Uint32, u32(3))), Kind: malformed, Offset: 53},
	}, read)
}

func TestGood(t *testing.T) {
	b := file(small8, pair("s", gguf.String, str("text\xff")), array("n", gguf.Int32, 2, u32(7), u32(1<<32-1)),
		array("t", gguf.String, 2, str(""), str("b")), pair("f", gguf.Float32, u32(0xbfc00000)), array("none", gguf.Float64, 0),
		pair("general.alignment", gguf.Uint32, u32(64)))
	m, err := gguf.ReadMetadata(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "s", "n", "t", "f", "none", "general.alignment"}, m.Keys)
	require.Equal(t, int64(len(b)), m.End)
	require.Equal(t, int64(64), m.Alignment)
	require.Equal(t, "text\xff", m.Values["s"].Text(0))
	require.Equal(t, "", m.Values["s"].Text(1))
	n, ok := m.Values["n"].Int(1)
	require.Equal(t, []any{int64(-1), true}, []any{n, ok})
	f, ok := m.Values["f"].Float(0)
	require.Equal(t, []any{-1.5, true}, []any{f, ok})
	_, ok = m.Values["none"].Float(0)
	require.False(t, ok)
}

// FuzzReadMetadata checks that ReadMetadata obeys refusaltest.Lawful, and that
// every value can be read.
func FuzzReadMetadata(f *testing.F) {
	f.Add(file())
	f.Add(file(small8, array("t", gguf.String, 2, str(""), str("b")), pair("general.alignment", gguf.Uint32, u32(64))))
	f.Add([]byte(strings.Repeat("GGUF\x03", 20)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m *gguf.Metadata
		err := refusaltest.Lawful(t, len(b), func() (err error) {
			m, err = gguf.ReadMetadata(bytes.NewReader(b), int64(len(b)))
			return err
		})
		if err != nil {
			return
		}
		require.Len(t, m.Values, len(m.Keys))
		require.LessOrEqual(t, m.End, int64(len(b)))
		for _, v := range m.Values {
			for i := range min(v.Len, 100) {
				v.Int(i)
				v.Float(i)
				v.Text(i)
			}
		}
	})
}

// Package peer checks the reader of Parquet files against parquet-go, in a
// module of its own so that only this test needs it.
package peer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/stretchr/testify/require"

	ours "github.com/koala-go/sdk/internal/parquet"
)

// turn and row have every type and nesting that is read, in every encoding.
type turn struct {
	From  string  `parquet:"from,dict" json:"from"`
	Value *string `parquet:"value,optional" json:"value"`
}

type group struct {
	Title   []string `parquet:"title,list" json:"title"`
	Extract []string `parquet:"extract" json:"extract"`
}

type row struct {
	ID     string  `parquet:"id,delta" json:"id"`
	Plain  string  `parquet:"plain" json:"plain"`
	Dict   string  `parquet:"dict,dict" json:"dict"`
	Turns  []turn  `parquet:"turns,list" json:"turns"`
	Bare   []turn  `parquet:"bare" json:"bare"`
	Quotes group   `parquet:"quotes" json:"quotes"`
	Maybe  *group  `parquet:"maybe,optional" json:"maybe"`
	I32    int32   `parquet:"i32,delta" json:"i32"`
	I64    int64   `parquet:"i64,delta" json:"i64"`
	U32    uint32  `parquet:"u32" json:"u32"`
	U64    uint64  `parquet:"u64,dict" json:"u64"`
	F32    float32 `parquet:"f32" json:"f32"`
	F64    float64 `parquet:"f64,dict" json:"f64"`
	Yes    bool    `parquet:"yes" json:"yes"`
	No     *bool   `parquet:"no,optional" json:"no"`
	Number *int64  `parquet:"number,optional" json:"number"`
}

func some[T any](r *rand.Rand, f func() T) []T {
	list := make([]T, r.IntN(4))
	for i := range list {
		list[i] = f()
	}
	return list
}

func maybe[T any](r *rand.Rand, x T) *T {
	if r.IntN(3) == 0 {
		return nil
	}
	return &x
}

func random(r *rand.Rand) row {
	text := func() string { return strings.Repeat(string(rune('a'+r.IntN(3)))+"é\n\"", r.IntN(20)) }
	turns := func() turn { return turn{text(), maybe(r, text())} }
	quotes := func() group { return group{some(r, text), some(r, text)} }
	return row{
		text(), text(), text(), some(r, turns), some(r, turns), quotes(), maybe(r, quotes()), int32(r.Uint32()), int64(r.Uint64()), r.Uint32(), r.Uint64(),
		r.Float32(), r.NormFloat64(), r.IntN(2) == 0, maybe(r, r.IntN(2) == 0), maybe(r, int64(r.Uint64())),
	}
}

// TestPeer reads random rows that parquet-go wrote.
func TestPeer(t *testing.T) {
	codecs := map[string]compress.Codec{"none": &parquet.Uncompressed, "snappy": &parquet.Snappy, "gzip": &parquet.Gzip, "zstd": &parquet.Zstd}
	for name, codec := range codecs {
		for _, version := range []int{1, 2} {
			for seed := range uint64(6) {
				r := rand.New(rand.NewPCG(seed, uint64(version)))
				written := make([]row, r.IntN(400))
				for i := range written {
					written[i] = random(r)
				}
				var file bytes.Buffer
				w := parquet.NewGenericWriter[row](&file, parquet.Compression(codec), parquet.DataPageVersion(version),
					parquet.PageBufferSize(500+r.IntN(5000)), parquet.MaxRowsPerRowGroup(int64(1+r.IntN(200))))
				_, err := w.Write(written)
				require.NoError(t, err)
				require.NoError(t, w.Close())
				compare(t, fmt.Sprint(name, version, seed), file.Bytes(), written)
			}
		}
	}
}

func compare(t *testing.T, name string, file []byte, want []row) {
	t.Helper()
	f, err := ours.Open(bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err, name)
	rows, err := f.Rows(ours.RowOptions{})
	require.NoError(t, err, name)
	defer rows.Close()
	for i := range want {
		text, bad, err := rows.Next(nil)
		require.NoError(t, err, "%s, row %d", name, i)
		require.NoError(t, bad, name)
		var got row
		require.NoError(t, json.Unmarshal(text, &got), "%s", text)
		require.Equal(t, want[i], got, "%s, row %d", name, i)
	}
	_, _, err = rows.Next(nil)
	require.ErrorIs(t, err, io.EOF)
}

package parquet

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/refusal"
)

// files names the files of testdata that hold the rows of rows.jsonl.
var files = []string{"plain", "dictionary", "gzip2", "zstd", "deltas", "deltas1"}

func load(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return data
}

// rows reads all rows of a file, or those before an error. It requires that an
// error has a kind, and that the memory allocated is in proportion to the file
// and its rows.
func rows(t testing.TB, data []byte, o RowOptions, skip int64) (list []string, err error) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	out := 0
	defer func() {
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > fixed+uint64(32*len(data)+64*out) {
			t.Errorf("%d bytes allocated for a file of %d bytes and rows of %d bytes", used, len(data), out)
		}
		var e *Error
		if err != nil && (!errors.As(err, &e) || !errors.Is(err, refusal.ErrMalformed) && !errors.Is(err, refusal.ErrUnsupported) && !errors.Is(err, io.ErrUnexpectedEOF)) {
			t.Errorf("the error matches no kind of refusal: %v", err)
		}
	}()
	f, err := Open(reader(data))
	if err != nil {
		return nil, err
	}
	r, err := f.Rows(o)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := r.Skip(skip); err != nil {
		return nil, err
	}
	for n := 0; n < 1000; n++ {
		row, _, err := r.Next(nil)
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		if !json.Valid(row) {
			t.Errorf("the row is not JSON: %.200q", row)
		}
		out += len(row) + 16
		list = append(list, string(row))
	}
	return list, nil
}

// fixed is the memory of the decompressors, most of it zstd's window.
const fixed = 4*maxWindow + 8<<20

// sameJSON compares decoded values, since spaces and escapes may differ.
func sameJSON(t testing.TB, want, got string) {
	t.Helper()
	var a, b any
	require.NoError(t, json.Unmarshal([]byte(want), &a))
	require.NoError(t, json.Unmarshal([]byte(got), &b), got)
	require.Equal(t, a, b)
}

// TestPyArrow reads files that pyarrow wrote, in each encoding and version of
// pages, starting at each row.
func TestPyArrow(t *testing.T) {
	want := strings.Split(strings.TrimSpace(string(load(t, "rows.jsonl"))), "\n")
	for _, name := range files {
		data := load(t, name+".parquet")
		all, err := rows(t, data, RowOptions{}, 0)
		require.NoError(t, err, name)
		require.Len(t, all, len(want), name)
		for i := range want {
			sameJSON(t, want[i], all[i])
		}
		for skip := range want {
			got, err := rows(t, data, RowOptions{}, int64(skip))
			require.NoError(t, err, name)
			require.Equal(t, all[skip:], got, name)
		}
		got, err := rows(t, data, RowOptions{}, int64(len(want)))
		require.NoError(t, err)
		require.Empty(t, got)
		_, err = rows(t, data, RowOptions{}, int64(len(want)+1))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
}

// TestGroups checks the row group of each row.
func TestGroups(t *testing.T) {
	data := load(t, "plain.parquet")
	f, err := Open(reader(data))
	require.NoError(t, err)
	require.Len(t, f.Groups, 3)
	r, err := f.Rows(RowOptions{})
	require.NoError(t, err)
	for i := range 60 {
		_, bad, err := r.Next(nil)
		require.NoError(t, err)
		require.NoError(t, bad)
		require.Equal(t, i/25+1, r.Group())
	}
}

// TestColumns checks that unwanted columns are not read, and that nulls at the
// top level can be left out.
func TestColumns(t *testing.T) {
	data := load(t, "dictionary.parquet")
	list, err := rows(t, data, RowOptions{Columns: func(name string) bool { return name == "n" || name == "group" }, OmitNull: true}, 0)
	require.NoError(t, err)
	require.Equal(t, []string{`{}`, `{"n": -19, "group": {"a": {"b": null}}}`, `{"n": -18, "group": {"a": {"b": "deep"}}}`}, list[:3])
	_, err = rows(t, load(t, "decimal.parquet"), RowOptions{}, 0)
	require.ErrorIs(t, err, refusal.ErrUnsupported)
	list, err = rows(t, load(t, "decimal.parquet"), RowOptions{Columns: func(name string) bool { return name == "x" }}, 0)
	require.NoError(t, err)
	require.Equal(t, []string{`{"x": "a"}`}, list)
	_, err = rows(t, data, RowOptions{Max: 100}, 0)
	require.ErrorContains(t, err, "longer than 100 bytes")
	_, err = rows(t, load(t, "lz4.parquet"), RowOptions{}, 0)
	require.ErrorContains(t, err, "LZ4")
}

// places returns the offsets at which tests change a file: all near its end,
// where the structure is, and some others.
func places(data []byte) (list []int) {
	step := 8
	if testing.Short() {
		step = 101
	}
	for n := range data {
		if n%step == 0 || len(data)-n < 1500 && (!testing.Short() || n%20 == 0) {
			list = append(list, n)
		}
	}
	return list
}

// TestCut checks that prefixes of a file are refused.
func TestCut(t *testing.T) {
	for _, name := range files {
		data := load(t, name+".parquet")
		for _, n := range places(data) {
			_, err := rows(t, data[:n], RowOptions{}, 0)
			require.Error(t, err, "%s %d", name, n)
		}
	}
}

// TestFlipped changes bytes in two ways. A change in a page with a checksum must
// cause an error.
func TestFlipped(t *testing.T) {
	for _, name := range files {
		data := load(t, name+".parquet")
		want, err := rows(t, data, RowOptions{}, 0)
		require.NoError(t, err)
		footer := len(data) - tail - int(binary.LittleEndian.Uint32(data[len(data)-tail:]))
		for _, n := range places(data) {
			for _, mask := range []byte{0xff, 0x10} {
				data[n] ^= mask
				got, err := rows(t, data, RowOptions{}, 0)
				data[n] ^= mask
				if err == nil && n < footer && (name == "plain" || name == "zstd") {
					require.Equal(t, want, got, "%s %d", name, n)
				}
			}
		}
	}
}

// FuzzRows checks that any input gives rows that are JSON or an error with a
// kind, and that memory stays in proportion.
func FuzzRows(f *testing.F) {
	// Use small files: the fuzzer would spend its time on minimizing large ones.
	for _, name := range []string{"decimal", "../../../dataset/testdata/hh", "../../../dataset/testdata/oig", "../../../dataset/testdata/alpaca"} {
		f.Add(load(f, name+".parquet"), uint8(3))
	}
	for _, c := range badFiles {
		f.Add(good().with(c.change).file(), uint8(0))
	}
	f.Fuzz(func(t *testing.T, data []byte, skip uint8) {
		_, _ = rows(t, data, RowOptions{Max: 1 << 20, OmitNull: skip%2 == 0}, int64(skip))
	})
}

func reader(data []byte) (io.ReaderAt, int64) { return bytes.NewReader(data), int64(len(data)) }

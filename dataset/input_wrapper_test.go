package dataset

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/fixture"
)

const alpacaLine = `{"instruction":"a","input":"","output":"b"}` + "\n"

// TestWrappers reads files whose compression or beginning is unusual but right.
func TestWrappers(t *testing.T) {
	gz, zst := packed(t, alpacaLine, false), packed(t, alpacaLine, true)
	skippable := "\x5e\x2a\x4d\x18\x04\x00\x00\x00pzip"
	for name, text := range map[string]string{
		"gzip, zero padding":          gz + strings.Repeat("\x00", 100_000),
		"zstd, skippable frame first": skippable + zst,
		"zstd, skippable frames":      skippable + zst + skippable,
		"zstd, window of 128 MiB":     withWindow(t, 128<<20),
		"byte order mark":             "\xef\xbb\xbf" + alpacaLine,
		"byte order mark, array":      "\xef\xbb\xbf [" + alpacaLine + "]",
		"NaN in an unread member":     `{"instruction":"a","input":"","output":"b","score":NaN,"more":[{"x":-Infinity}]}`,
	} {
		records, err := readLines(t, text, ReadOptions{Source: Alpaca})
		require.NoError(t, err, name)
		require.Len(t, records, 1, name)
	}
	two, err := readLines(t, gz+gz+"\x00", ReadOptions{Source: Alpaca})
	require.NoError(t, err)
	require.Len(t, two, 2, "two members of a gzip file")
}

// withWindow returns a record in a zstd frame with a window of a size.
func withWindow(t *testing.T, size int) string {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(size), zstd.WithSingleSegment(false))
	require.NoError(t, err)
	_, err = io.WriteString(w, alpacaLine)
	require.NoError(t, err)
	require.NoError(t, w.Flush()) // without it the frame states its small size
	require.NoError(t, w.Close())
	return b.String()
}

// TestBadWrappers checks that the error names what is wrong with the compression.
func TestBadWrappers(t *testing.T) {
	gz := packed(t, alpacaLine, false)
	for text, says := range map[string]string{
		gz + "junk":            "bytes that are not gzip follow",
		gz + "\x00\x00junk":    "cut off what follows",
		withWindow(t, 256<<20): "needs more than 128 MiB of memory to read: input",
	} {
		_, err := readLines(t, text, ReadOptions{Source: Alpaca})
		require.ErrorContains(t, err, says)
	}
}

// TestFieldWrappers reads the shared files that once failed.
func TestFieldWrappers(t *testing.T) {
	for file, says := range map[string]string{
		"gzip-tail/zeros.gz": "", "gzip-tail/junk.gz": "not gzip follow", "nan-unread/nan.jsonl": "",
		"zstd-skippable/in.zst": "", "zstd-skippable/pzstd.zst": "", "zstd-window/in.zst": "", "zstd-window/zstd-long.zst": "", "zstd-window/zstd-ultra-22.zst": "",
	} {
		text, err := os.ReadFile(fixture.Path(t, append([]string{"cases", "text"}, strings.Split(file, "/")...)...))
		require.NoError(t, err)
		source := Source("")
		if strings.HasPrefix(file, "nan") {
			source = Alpaca
		}
		_, err = readLines(t, string(text), ReadOptions{Source: source})
		if says == "" {
			require.NoError(t, err, file)
		} else {
			require.ErrorContains(t, err, says, file)
		}
	}
}

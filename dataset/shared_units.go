package dataset

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/parquet"
	"github.com/koala-go/sdk/source"
)

// Unit is a piece of the inputs: a file, or some lines or rows of a large one.
// Units depend on the inputs alone, and never on the number of runs that share
// them.
type Unit struct {
	Number int   // from 0
	Input  Input // file of the unit
	Start  Start // first record, and End; for ReadOptions
}

// defaultUnitSize is the size of units if none is given.
const defaultUnitSize = 256 << 20

// Units divides inputs into units of about size bytes. Zero means 256 MiB. A
// plain file of lines is cut at the first line that begins at or after each
// multiple of size, and Parquet at row groups. An array or a compressed file is
// one unit. A stream cannot be divided.
func Units(ctx context.Context, inputs []Input, size int64) ([]Unit, error) {
	if size <= 0 {
		size = defaultUnitSize
	}
	var units []Unit
	for _, in := range inputs {
		cuts, err := unitCuts(ctx, &in, size)
		if err != nil {
			return nil, err
		}
		for i, start := range cuts {
			u := Unit{Number: len(units), Input: in, Start: Start{Offset: start}}
			if i+1 < len(cuts) {
				u.Start.End = cuts[i+1]
			}
			units = append(units, u)
		}
	}
	return units, nil
}

// unitCuts returns the offsets or rows at which the units of an input begin.
func unitCuts(ctx context.Context, in *Input, size int64) ([]int64, error) {
	f, closer, err := in.openSized(ctx)
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	head, err := readHead(f)
	switch {
	case err != nil:
		return nil, err
	case bytes.HasPrefix(head, []byte(parquet.Magic)):
		cuts, err := rowCuts(f, size)
		if err != nil {
			return nil, locate(err, &Position{File: in.Name})
		}
		return cuts, nil
	case !isPlainLines(head):
		return []int64{0}, nil
	}
	return lineCuts(f, size)
}

// lineCuts returns the offsets of the first lines that begin at or after each
// multiple of size.
func lineCuts(f source.ReaderAtSizer, size int64) ([]int64, error) {
	cuts := []int64{0}
	for target := size; target < f.Size(); target += size {
		// The byte before the target shows whether a line begins there.
		r := bufio.NewReader(io.NewSectionReader(f, target-1, f.Size()-target+1))
		cut := target - 1
		for {
			line, err := r.ReadSlice('\n')
			if cut += int64(len(line)); err == nil || err == io.EOF {
				break
			}
			if err != bufio.ErrBufferFull {
				return nil, err
			}
		}
		if cut > cuts[len(cuts)-1] && cut < f.Size() {
			cuts = append(cuts, cut)
		}
	}
	return cuts, nil
}

// readHead reads the first bytes of a file, from which its format is known.
func readHead(f source.ReaderAtSizer) ([]byte, error) {
	head := make([]byte, min(512, f.Size()))
	err := bounded.ReadFull(f, head, 0)
	return head, err
}

// isPlainLines reports whether the first bytes are those of a plain file of
// lines.
func isPlainLines(head []byte) bool {
	for _, magic := range []string{parquet.Magic, gzipMagic} {
		if strings.HasPrefix(string(head), magic) {
			return false
		}
	}
	return !isZstd(head) && !isArray(head)
}

// linesBefore counts the lines of a plain file before an offset.
func linesBefore(ctx context.Context, in *Input, offset int64) (int64, error) {
	f, err := in.Open(ctx)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := int64(0)
	buf := make([]byte, 64<<10)
	for r := io.LimitReader(f, offset); ; {
		n, err := r.Read(buf)
		if lines += int64(bytes.Count(buf[:n], []byte{'\n'})); err == io.EOF {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
	}
}

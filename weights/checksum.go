package weights

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
)

// checksum is what a file states of a part of itself.
type checksum struct {
	name         string // of the part
	offset, size int64
	crc32        uint32 // IEEE
}

// checkedPart is a part of an open file with its checksum.
type checkedPart struct {
	checksum
	file *openFile
}

// CheckSums reads every part of the files that has a checksum, and compares. A
// torch zip holds a CRC-32 of every storage, which torch itself never looks at;
// other formats have no checksums. A difference is a *FormatError.
func (c *Checkpoint) CheckSums(ctx context.Context) error {
	buffer := make([]byte, 1<<20)
	for _, part := range c.checked {
		if err := part.check(ctx, c.Format, buffer); err != nil {
			return err
		}
	}
	return nil
}

func (p *checkedPart) check(ctx context.Context, format Format, buffer []byte) error {
	sum := crc32.NewIEEE()
	section := io.NewSectionReader(p.file, p.offset, p.size)
	for off := int64(0); off < p.size; off += int64(len(buffer)) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		b := buffer[:min(int64(len(buffer)), p.size-off)]
		if err := bounded.ReadFull(section, b, off); err != nil {
			return fmt.Errorf("reading %s of %s: %w", p.name, p.file.path, err)
		}
		sum.Write(b)
	}
	if sum.Sum32() != p.crc32 {
		return &FormatError{Format: format, Path: p.file.path, Offset: p.offset,
			Err: refusal.Reason(ErrMalformed, "member %s has the CRC-32 %08x, want %08x as the zip states", p.name, sum.Sum32(), p.crc32)}
	}
	return nil
}

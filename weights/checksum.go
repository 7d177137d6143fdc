package weights

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/torchfile"
)

// checksum is what a file says of a part of itself.
type checksum struct {
	file    *openFile
	storage torchfile.Storage
}

// CheckSums reads all that the files have checksums of and compares: a torch
// zip holds a CRC-32 of every storage, which torch itself never looks at.
// Other formats have none. A difference is a *FormatError.
func (c *Checkpoint) CheckSums(ctx context.Context) error {
	buffer := make([]byte, 1<<20)
	for _, s := range c.sums {
		if err := s.check(ctx, buffer); err != nil {
			return err
		}
	}
	return nil
}

func (s *checksum) check(ctx context.Context, buffer []byte) error {
	sum := crc32.NewIEEE()
	section := io.NewSectionReader(s.file, s.storage.Offset, s.storage.Size)
	for off := int64(0); off < s.storage.Size; off += int64(len(buffer)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buffer[:min(int64(len(buffer)), s.storage.Size-off)]
		if err := bounded.ReadFull(section, b, off); err != nil {
			return fmt.Errorf("reading %s of %s: %w", s.storage.Name, s.file.path, err)
		}
		sum.Write(b)
	}
	if sum.Sum32() != s.storage.CRC32 {
		return &FormatError{Format: FormatTorch, Path: s.file.path, Offset: s.storage.Offset,
			Err: refusal.Reason(ErrMalformed, "member %s has the CRC-32 %08x, the zip says %08x", s.storage.Name, sum.Sum32(), s.storage.CRC32)}
	}
	return nil
}

package weights

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
)

// fileDigest computes the SHA-256 of a planned file from the bytes of the
// weights, which come in the order of the file, and the known pieces between
// them. All other bytes are zero.
type fileDigest struct {
	file   *PlannedFile
	pieces []Piece // not yet hashed
	next   int64   // the offset of the first byte that is not yet hashed
	sum    hash.Hash
}

func newFileDigest(f *PlannedFile) *fileDigest {
	return &fileDigest{file: f, pieces: f.Pieces, sum: sha256.New()}
}

// add hashes bytes of a weight, and the pieces and zeros before them.
func (d *fileDigest) add(b []byte, off int64) error {
	if err := d.advance(off); err != nil {
		return err
	}
	d.sum.Write(b)
	d.next += int64(len(b))
	return nil
}

// advance hashes pieces and zeros up to an offset.
func (d *fileDigest) advance(to int64) error {
	for len(d.pieces) > 0 && d.pieces[0].Offset < to {
		piece := d.pieces[0]
		d.zeros(piece.Offset - d.next)
		d.sum.Write(piece.Bytes)
		d.next = piece.Offset + int64(len(piece.Bytes))
		d.pieces = d.pieces[1:]
	}
	if d.next > to {
		return fmt.Errorf("bytes at offset %d of %q were given to Digest after those up to %d: call it in the order of Plan.Order", to, d.file.Name, d.next)
	}
	d.zeros(to - d.next)
	d.next = to
	return nil
}

var zeroBytes [4096]byte

func (d *fileDigest) zeros(n int64) {
	for ; n > 0; n -= int64(len(zeroBytes)) {
		d.sum.Write(zeroBytes[:min(n, int64(len(zeroBytes)))])
	}
}

func (d *fileDigest) finish() error { return d.advance(d.file.Size) }

// read hashes the whole file from its first byte on.
func (d *fileDigest) read(r io.ReaderAt) error {
	n, err := io.CopyBuffer(d.sum, io.NewSectionReader(r, 0, d.file.Size), make([]byte, 1<<20))
	if err == nil && n < d.file.Size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (d *fileDigest) hex() string { return hex.EncodeToString(d.sum.Sum(nil)) }

package weights

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
)

// fileDigest computes the sha256 of a planned file from the weights, which
// come in order, and the pieces between them. What is neither is zero.
type fileDigest struct {
	file   *PlannedFile
	pieces []Piece // not yet taken in
	next   int64   // offset up to which all is taken in
	sum    hash.Hash
}

func newFileDigest(f *PlannedFile) *fileDigest {
	return &fileDigest{file: f, pieces: f.Pieces, sum: sha256.New()}
}

// add takes in bytes of a weight, and all that stands before them.
func (d *fileDigest) add(b []byte, off int64) error {
	if err := d.advance(off); err != nil {
		return err
	}
	d.sum.Write(b)
	d.next += int64(len(b))
	return nil
}

// advance takes in pieces and zeros up to an offset.
func (d *fileDigest) advance(to int64) error {
	for len(d.pieces) > 0 && d.pieces[0].Offset < to {
		piece := d.pieces[0]
		d.zeros(piece.Offset - d.next)
		d.sum.Write(piece.Bytes)
		d.next = piece.Offset + int64(len(piece.Bytes))
		d.pieces = d.pieces[1:]
	}
	if d.next > to {
		return fmt.Errorf("bytes at %d of %q are taken in after those up to %d", to, d.file.Name, d.next)
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

// read takes in the whole file from its first byte on.
func (d *fileDigest) read(r io.ReaderAt) error {
	n, err := io.CopyBuffer(d.sum, io.NewSectionReader(r, 0, d.file.Size), make([]byte, 1<<20))
	if err == nil && n < d.file.Size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (d *fileDigest) hex() string { return hex.EncodeToString(d.sum.Sum(nil)) }

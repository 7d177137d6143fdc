package diff

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"path/filepath"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/source"
)

// inputHashing computes the digests of the inputs' files, beside the work.
type inputHashing struct {
	inputs []ManifestInput
	cancel context.CancelFunc
	result chan error // nil if no digests are asked for
}

// startHashing describes the inputs for the manifest and, with DigestAll, starts to
// read them for their digests.
func startHashing(ctx context.Context, p *Plan, release bool) *inputHashing {
	h := &inputHashing{}
	for i, c := range p.sources {
		in := ManifestInput{Name: p.inputs[i].name, Path: filepath.Base(c.Path)}
		for _, f := range c.Files() {
			in.Files = append(in.Files, ManifestFile{Name: filepath.Base(f.Path), Size: f.Size})
		}
		h.inputs = append(h.inputs, in)
	}
	if p.options.Digests == DigestAll {
		ctx, h.cancel = context.WithCancel(ctx)
		h.result = make(chan error, 1)
		go func() { h.result <- h.hash(ctx, p, release) }()
	}
	return h
}

// wait waits for the digests and returns the descriptions.
func (h *inputHashing) wait() ([]ManifestInput, error) {
	if h.result == nil {
		return h.inputs, nil
	}
	err := <-h.result
	h.cancel()
	return h.inputs, err
}

// stop ends the reading.
func (h *inputHashing) stop() {
	if h.result != nil {
		h.cancel()
		<-h.result // the files must not be closed while they are read
	}
}

func (h *inputHashing) hash(ctx context.Context, p *Plan, release bool) error {
	for i, c := range p.sources {
		for k, f := range c.Files() {
			digest, err := hashFile(ctx, sha256.New(), f.Data, f.Size, release)
			if err != nil {
				return fmt.Errorf("%s: reading %s: %w", p.inputs[i].name, f.Path, err)
			}
			h.inputs[i].Files[k].SHA256 = digest
		}
	}
	return nil
}

// releaseEvery is the number of bytes that hashFile releases at once. It is a
// multiple of the size of its reads.
const releaseEvery = 64 << 20

// hashFile returns the digest of a file of the given size, in hexadecimal digits.
// With release, the system is told that the file will not be read again soon.
func hashFile(ctx context.Context, sum hash.Hash, f io.ReaderAt, size int64, release bool) (string, error) {
	b := make([]byte, 1<<20)
	advised, ok := f.(source.Prefetcher)
	release = release && ok
	for off := int64(0); off < size; off += int64(len(b)) {
		if err := context.Cause(ctx); err != nil {
			return "", err
		}
		if release && off > 0 && off%releaseEvery == 0 {
			advised.Release(off-releaseEvery, releaseEvery)
		}
		b = b[:min(int64(len(b)), size-off)]
		if err := bounded.ReadFull(f, b, off); err != nil {
			return "", err
		}
		sum.Write(b)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

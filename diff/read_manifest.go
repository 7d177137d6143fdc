package diff

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/vfs"
)

// maxList bounds the size of manifests and of lists of checksums, because the whole
// file is read into memory.
const maxList = 64 << 20

// readSmall reads a file of at most maxList bytes.
func readSmall(ctx context.Context, path string) ([]byte, error) {
	f, err := vfs.FromContext(ctx).Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Size() > maxList {
		return nil, fmt.Errorf("a file of %d bytes is too large: %s: give the list itself", f.Size(), path)
	}
	text := make([]byte, f.Size())
	if err := bounded.ReadFull(f, text, 0); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return text, nil
}

// ReadManifest reads the manifest of an output. Fields that the format does not have
// are an error.
func ReadManifest(ctx context.Context, path string) (*Manifest, error) {
	text, err := readSmall(ctx, path)
	if err != nil {
		return nil, err
	}
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err = d.Decode(&m)
	if err == nil && m.Version != 1 {
		err = fmt.Errorf("its version is %d, not 1", m.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("the manifest cannot be read: %w: %s: make the output again, or verify it against its base and diff", err, path)
	}
	return &m, nil
}

package weights

import (
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/strictjson"
)

const (
	singleName = "model.safetensors"
	indexName  = "model.safetensors.index.json"

	// maxIndex bounds the size of an index, config.json and the tokenizer's
	// files, which are read whole. A 65B model's index is some 60 KB.
	maxIndex = 64 << 20
)

// directories are the forms of a Hugging Face directory, in transformers'
// order of preference.
var directories = []struct {
	format        Format
	single, index string
}{
	{FormatSafetensors, singleName, indexName},
	{FormatTorch, "pytorch_model.bin", "pytorch_model.bin.index.json"},
}

// openDir reads a Hugging Face directory, one file or the shards of an index,
// or one of Meta's.
func (c *Checkpoint) openDir() error {
	c.dir = c.Path
	for _, d := range directories {
		c.Format = d.format
		f, err := c.openBeside(d.single)
		if err == nil {
			return c.addFile(f)
		}
		if !notExist(err) {
			return err
		}
		text, err := c.File(d.index)
		if err == nil {
			return c.openShards(d.index, text)
		}
		if !notExist(err) {
			return err
		}
	}
	names, err := c.storage.list(c.dir)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(names, shardPattern.MatchString) {
		return c.openMeta(names)
	}
	return c.explainDir(names)
}

// explainDir says why a directory is none that can be read.
func (c *Checkpoint) explainDir(names []string) error {
	what := "it has no model.safetensors, no pytorch_model.bin, no index of shards, and no consolidated.00.pth"
	for _, name := range names {
		if strings.HasSuffix(name, ".gguf") {
			what += "; give " + c.storage.join(c.Path, name) + " itself"
			break
		}
	}
	return &fs.PathError{Op: "open", Path: c.Path, Err: fmt.Errorf("%s: %w", what, fs.ErrNotExist)}
}

// openShards reads the files that an index names, and checks that they hold
// what it says.
func (c *Checkpoint) openShards(index string, text []byte) error {
	path := c.storage.join(c.dir, index)
	shardOf, err := readIndex(text)
	if err != nil {
		return formatError(c.Format, path, err)
	}
	shards := slices.Compact(slices.Sorted(maps.Values(shardOf)))
	if err := checkShardNames(shards); err != nil {
		return formatError(c.Format, path, err)
	}
	for _, name := range shards {
		f, err := c.openBeside(name)
		if notExist(err) {
			return whole(c.Format, path, ErrMalformed, "shard %s is missing", name)
		}
		if err != nil {
			return err
		}
		if err := c.addFile(f); err != nil {
			return err
		}
	}
	return c.checkIndex(path, shardOf)
}

// openBeside opens a file in the checkpoint's directory.
func (c *Checkpoint) openBeside(name string) (*openFile, error) {
	f, err := c.storage.openIn(c.dir, name)
	if err != nil {
		return nil, err
	}
	return c.keep(f, c.storage.join(c.dir, name))
}

// readIndex reads the weight_map: tensor name → shard. metadata is passed
// over; its total_size is wrong too often to be a check.
func readIndex(text []byte) (map[string]string, error) {
	shardOf := make(map[string]string)
	j := strictjson.New(text, 0)
	err := j.Object(func(field string) error {
		if field != "weight_map" {
			return j.Skip()
		}
		return j.Object(func(tensor string) (err error) {
			shardOf[tensor], err = j.String()
			return err
		})
	})
	if err == nil {
		err = j.End()
	}
	if err == nil && len(shardOf) == 0 {
		err = refusal.Malformed(0, "", "index has no weight_map, or an empty one")
	}
	return shardOf, err
}

// checkIndex compares where the index says that tensors are with where they
// are.
func (c *Checkpoint) checkIndex(path string, shardOf map[string]string) error {
	found := make(map[string]bool, len(shardOf))
	for _, t := range c.Tensors {
		shard := filepath.Base(t.Path)
		want, listed := shardOf[t.Name]
		switch {
		case found[t.Name]:
			return whole(c.Format, path, ErrMalformed, "tensor %q is in two shards", t.Name)
		case !listed:
			return whole(c.Format, path, ErrMalformed, "tensor %q of shard %s is not in the index", t.Name, shard)
		case want != shard:
			return whole(c.Format, path, ErrMalformed, "tensor %q is in shard %s, not in %s", t.Name, shard, want)
		}
		found[t.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(shardOf)) {
		if !found[name] {
			return whole(c.Format, path, ErrMalformed, "tensor %q is in no shard", name)
		}
	}
	return nil
}

// File reads a small file that lies beside the tensors: "config.json",
// "tokenizer.model". It is fs.ErrNotExist where there is none, and for
// formats that are a file of their own.
func (c *Checkpoint) File(name string) ([]byte, error) {
	if c.dir == "" {
		return nil, fs.ErrNotExist
	}
	path := c.storage.join(c.dir, name)
	f, err := c.storage.openIn(c.dir, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	opened, err := newOpenFile(f, path)
	if err != nil {
		return nil, err
	}
	if opened.info.Size > maxIndex {
		return nil, whole("", path, ErrMalformed, "%d bytes are too many for this file", opened.info.Size)
	}
	text := make([]byte, opened.info.Size)
	if err := bounded.ReadFull(f, text, 0); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return text, nil
}

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

	// maxIndex bounds the size of an index, of config.json and of the
	// tokenizer's files, which are read whole. The index of a 65B model has
	// some 60 KB.
	maxIndex = 64 << 20
)

// openDir opens a directory: Hugging Face's, with one file or the shards of an
// index, or one whose shards are known by their names.
func (c *Checkpoint) openDir() error {
	c.dir = c.Path
	for _, row := range formats { // in the order that transformers prefers
		if row.single == "" {
			continue
		}
		c.Format = row.name
		f, err := c.openBeside(row.single)
		if err == nil {
			return c.addFile(f)
		}
		if !notExist(err) {
			return err
		}
		text, err := c.File(row.index)
		if err == nil {
			return c.openShards(row.index, text)
		}
		if !notExist(err) {
			return err
		}
	}
	names, err := c.storage.list(c.dir)
	if err != nil {
		return err
	}
	for _, row := range formats {
		if row.openShards == nil {
			continue
		}
		c.Format = row.name
		if found, err := row.openShards(c, names); found {
			return err
		}
	}
	return c.explainDir(names)
}

// explainDir returns the error for a directory that holds no checkpoint.
func (c *Checkpoint) explainDir(names []string) error {
	what := "it has no model.safetensors, no pytorch_model.bin, no index of shards, and no consolidated.00.pth"
	for _, name := range names {
		if isSingleFile(name) {
			what += "; give " + c.storage.join(c.Path, name) + " itself"
			break
		}
	}
	return &fs.PathError{Op: "open", Path: c.Path, Err: fmt.Errorf("%s: %w", what, fs.ErrNotExist)}
}

// isSingleFile reports whether a file name has the extension of a format whose
// checkpoints are one file.
func isSingleFile(name string) bool {
	return slices.ContainsFunc(formats, func(row formatRow) bool {
		return row.extension != "" && !row.hasSideFiles && strings.HasSuffix(name, row.extension)
	})
}

// openShards opens the files that an index names and checks that they hold the
// tensors that it lists.
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

// openBeside opens a file in the directory of the checkpoint.
func (c *Checkpoint) openBeside(name string) (*openFile, error) {
	f, err := c.storage.openIn(c.dir, name)
	if err != nil {
		return nil, err
	}
	return c.keep(f, c.storage.join(c.dir, name))
}

// readIndex reads the weight_map: the shard of each tensor. It ignores the
// metadata; the total_size there is wrong too often to be a check.
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

// checkIndex compares the shards that the index lists with those that hold the
// tensors.
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

// File reads a small file beside the tensors, such as "config.json" or
// "tokenizer.model". The error matches fs.ErrNotExist if there is no such file,
// and for formats that have no files beside them.
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
		return nil, whole("", path, ErrMalformed, "the file has %d bytes, more than the %d that are read", opened.info.Size, maxIndex)
	}
	text := make([]byte, opened.info.Size)
	if err := bounded.ReadFull(f, text, 0); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return text, nil
}

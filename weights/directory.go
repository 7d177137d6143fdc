package weights

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/strictjson"
	"github.com/koala-go/sdk/internal/vfs"
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
			return c.addFile(f, filepath.Join(c.dir, d.single))
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
	entries, err := c.fs.ReadDir(c.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if shardPattern.MatchString(e.Name()) {
			return c.openMeta(entries)
		}
	}
	return c.explainDir(entries)
}

// explainDir says why a directory is none that can be read.
func (c *Checkpoint) explainDir(entries []fs.DirEntry) error {
	what := "it has no model.safetensors, no pytorch_model.bin, no index of shards, and no consolidated.00.pth"
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".gguf") {
			what += "; give " + filepath.Join(c.Path, e.Name()) + " itself"
			break
		}
	}
	return &fs.PathError{Op: "open", Path: c.Path, Err: fmt.Errorf("%s: %w", what, fs.ErrNotExist)}
}

// openShards reads the files that an index names, and checks that they hold
// what it says.
func (c *Checkpoint) openShards(index string, text []byte) error {
	path := filepath.Join(c.dir, index)
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
		if err := c.addFile(f, filepath.Join(c.dir, name)); err != nil {
			return err
		}
	}
	return c.checkIndex(path, shardOf)
}

// openBeside opens a file in the checkpoint's directory.
func (c *Checkpoint) openBeside(name string) (vfs.File, error) {
	f, err := c.fs.OpenIn(c.dir, name, c.options.FollowLinks)
	if errors.Is(err, ErrLink) {
		return nil, &linkError{err}
	}
	return f, err
}

// linkError adds what to do to the refusal of a link.
type linkError struct{ err error }

func (e *linkError) Error() string {
	return e.err.Error() + ": put the file itself there, or allow links, as FollowLinks in the options or --follow-links on the command line"
}
func (e *linkError) Unwrap() error { return e.err }

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

// checkShardNames refuses names that are more than names, and names that some
// file systems hold for one.
func checkShardNames(names []string) error {
	folded := make(map[string]string)
	for _, name := range names {
		if err := vfs.CheckName(name); err != nil {
			return refusal.Malformed(0, "", "shard %v", err)
		}
		twin, dup := folded[strings.ToLower(name)]
		if dup {
			return refusal.Malformed(0, "", "shards %q and %q differ in letter case only", twin, name)
		}
		folded[strings.ToLower(name)] = name
	}
	return nil
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
	f, err := c.openBeside(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Size() > maxIndex {
		return nil, whole("", filepath.Join(c.dir, name), ErrMalformed, "%d bytes are too many for this file", f.Size())
	}
	text := make([]byte, f.Size())
	if err := bounded.ReadFull(f, text, 0); err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(c.dir, name), err)
	}
	return text, nil
}

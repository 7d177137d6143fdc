package dataset

import (
	"context"
	"crypto/sha256"
	"iter"
	"strings"

	"github.com/koala-go/sdk/internal/vfs"
)

// DedupOptions are the options of Dedup. Nil means the zero value.
type DedupOptions struct {
	// Memory is the number of queries kept in memory, at about 40 bytes each.
	// Older ones go to a temporary file. Default: 2,000,000.
	Memory int
	Dir    string  // directory of the temporary file (default: the system's)
	Report *Report // counts duplicates; may be nil
}

// Dedup leaves out records whose query is equal, byte for byte, to that of an
// earlier record: see Record.Query. A record with helpful replies and one with
// unhelpful replies are not duplicates. Queries are compared by the first 16
// bytes of their SHA-256.
func Dedup(ctx context.Context, records iter.Seq2[Record, error], opts *DedupOptions) iter.Seq2[Record, error] {
	if opts == nil {
		opts = &DedupOptions{}
	}
	return func(yield func(Record, error) bool) {
		s := newHashSet(vfs.FromContext(ctx), opts.Memory, opts.Dir)
		defer s.close()
		for r, err := range records {
			duplicate := false
			if err == nil {
				duplicate, err = s.add(queryHash(&r))
			}
			if duplicate {
				opts.Report.addDropped("duplicate")
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// hash128 is the hash of a query.
type hash128 [16]byte

// queryHash hashes the query of a record, and whether its replies are unhelpful.
func queryHash(r *Record) hash128 {
	h := sha256.New()
	h.Write([]byte(r.Query()))
	for i := range r.Fields {
		if strings.HasPrefix(r.Fields[i].Key, "gpt_bad") {
			h.Write([]byte{0, 1})
			break
		}
	}
	return hash128(h.Sum(nil)[:16])
}

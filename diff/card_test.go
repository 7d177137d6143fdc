package diff

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/modeldir"
)

// TestForceKeepsWrittenCards replaces the model card of an earlier run, and
// refuses to replace a card that somebody wrote or changed.
func TestForceKeepsWrittenCards(t *testing.T) {
	for _, digests := range []Digests{DigestOutput, DigestNone} {
		x := newTrial(t)
		x.opts.Force, x.opts.Digests = true, digests
		require.NoError(t, x.do(t, x))
		require.NoError(t, x.do(t, x), "the card of a run of ours")
		put(t, filepath.Join(x.out, modeldir.CardName), "my own words")
		requireCheck(t, x, CheckOutput, "holds README.md")
	}
}

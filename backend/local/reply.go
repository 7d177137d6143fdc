package local

import (
	"context"
	"slices"

	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/tokenizer"
)

// reply is a reply that is being made.
type reply struct {
	*state
	request *koala.Request
	report  *koala.Report
	sampler *sampler
	decoder *tokenizer.Decoder
	out     stopWriter
	pieces  int // the size of the vocabulary; a model may have more rows
	buffer  []byte
}

// run makes the reply. contextLen is the number of tokens of the context.
func (r *reply) run(ctx context.Context, contextLen int) error {
	logits, err := r.prompt(ctx)
	if err != nil {
		return err
	}
	for {
		id := r.sampler.next(logits[:r.pieces])
		r.report.ReplyTokens++
		if slices.Contains(r.request.StopIDs, id) {
			return r.finish(koala.EndToken)
		}
		ended, err := r.emit(id)
		if ended || err != nil {
			return err
		}
		if r.report.ReplyTokens == r.request.Sampling.MaxTokens || len(r.ids) == contextLen {
			return r.finish(koala.Limit)
		}
		if logits, err = r.append(ctx, id); err != nil {
			return err
		}
	}
}

// promptStep is the number of tokens of a prompt that pass through the model at
// once: enough to use each weight many times after it was read, and few enough for
// the memory that they take.
const promptStep = 256

// prompt returns the logits after the prompt. It keeps the state of the tokens that
// the prompt has in common with the last one. The last token of the prompt passes
// through the model in any case, because its logits are needed.
func (r *reply) prompt(ctx context.Context) (logits []float32, err error) {
	ids := r.request.IDs
	common := 0
	for common < min(len(r.ids), len(ids)-1) && r.ids[common] == ids[common] {
		common++
	}
	r.session.Truncate(common)
	r.ids = r.ids[:common]
	// The text of a token depends on whether another token comes before it, so the
	// decoder must see the prompt.
	if r.buffer, err = r.decoder.Append(nil, ids); err != nil {
		return nil, optionError("Request.IDs", "%w", err)
	}
	for part := range slices.Chunk(ids[common:], promptStep) {
		if logits, err = r.append(ctx, part...); err != nil {
			return nil, err
		}
	}
	return logits, nil
}

// append passes tokens through the model and returns the logits after the last one.
func (r *reply) append(ctx context.Context, ids ...tokenizer.Token) ([]float32, error) {
	logits, err := r.session.Append(ctx, ids)
	if err == nil {
		r.ids = append(r.ids, ids...)
	}
	return logits, err
}

// emit writes the text that a token adds to the reply. It reports whether a stop
// sequence has ended the reply.
func (r *reply) emit(id tokenizer.Token) (ended bool, err error) {
	if r.buffer, err = r.decoder.Append(r.buffer[:0], []tokenizer.Token{id}); err != nil {
		return false, err
	}
	return r.write(r.buffer)
}

func (r *reply) write(text []byte) (ended bool, err error) {
	stop, err := r.out.write(text)
	if err == nil && stop != "" {
		r.report.Finish, r.report.Stop = koala.StopText, stop
	}
	return stop != "", err
}

// finish writes the text that the decoder and the writer hold back.
func (r *reply) finish(f koala.Finish) error {
	r.report.Finish = f
	ended, err := r.write(r.decoder.Flush(r.buffer[:0]))
	if ended || err != nil {
		return err
	}
	return r.out.flush(len(r.out.pending))
}

package local

import (
	"context"
	"slices"

	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/tokenizer"
)

// reply is one in the making.
type reply struct {
	*text
	request *koala.Request
	report  *koala.Report
	sampler *sampler
	decoder *tokenizer.Decoder
	out     stream
	pieces  int // of the vocabulary; a model may have more rows
	buffer  []byte
}

// run makes the reply in a context of some tokens.
func (r *reply) run(ctx context.Context, size int) error {
	logits, err := r.prompt(ctx)
	if err != nil {
		return err
	}
	for {
		id := r.sampler.next(logits[:r.pieces])
		r.report.ReplyTokens++
		if slices.Contains(r.request.StopIDs, id) {
			return r.end(koala.EndToken)
		}
		ended, err := r.say(id)
		if ended || err != nil {
			return err
		}
		if r.report.ReplyTokens == r.request.Sampling.MaxTokens || len(r.ids) == size {
			return r.end(koala.Limit)
		}
		if logits, err = r.append(ctx, id); err != nil {
			return err
		}
	}
}

// promptStep is how many tokens of a prompt pass the model at once: enough to
// use each weight well, and few enough for the memory that they take.
const promptStep = 256

// prompt gives the logits behind the prompt. Of tokens that the text begins
// with already, all but the last are kept.
func (r *reply) prompt(ctx context.Context) (logits []float32, err error) {
	ids := r.request.IDs
	same := 0
	for same < min(len(r.ids), len(ids)-1) && r.ids[same] == ids[same] {
		same++
	}
	r.session.Truncate(same)
	r.ids = r.ids[:same]
	// What the decoder makes of a token depends on whether others stood before.
	if r.buffer, err = r.decoder.Append(nil, ids); err != nil {
		return nil, optionError("Request.IDs", "%w", err)
	}
	for part := range slices.Chunk(ids[same:], promptStep) {
		if logits, err = r.append(ctx, part...); err != nil {
			return nil, err
		}
	}
	return logits, nil
}

// append adds tokens to the text.
func (r *reply) append(ctx context.Context, ids ...tokenizer.Token) ([]float32, error) {
	logits, err := r.session.Append(ctx, ids)
	if err == nil {
		r.ids = append(r.ids, ids...)
	}
	return logits, err
}

// say writes what a token adds to the reply, and tells whether that ended it.
func (r *reply) say(id tokenizer.Token) (ended bool, err error) {
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

// end writes what waits.
func (r *reply) end(f koala.Finish) error {
	r.report.Finish = f
	ended, err := r.write(r.decoder.Flush(r.buffer[:0]))
	if ended || err != nil {
		return err
	}
	return r.out.give(len(r.out.pending))
}

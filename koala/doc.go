// Package koala holds conversations with Koala. It is the package that a bot
// imports.
//
// Begin with [New] and [Chat.Ask]:
//
//	chat, err := koala.New(nil)
//	ending, err := chat.Ask(ctx, server, "Hello!", os.Stdout)
//
// The server is a [Completer]: a client of llama.cpp, vLLM, Ollama or EasyLM
// from package backend, a model in this process from package backend/local, or
// a type of your own. To do the steps of Ask yourself, call [Chat.User] with the
// query, send the [Request] of [Chat.Request] to the model, and write its output
// to the [Reply] of [Chat.Reply]. [Reply.Close] adds the reply to the chat.
//
// # Tokens
//
// A server that takes tokens gets the tokens of Koala's training. [AppendIDs]
// encodes each query with its markers, each reply and each end of a reply on
// its own, and concatenates the ids. A text of the FastChat dialect gives the
// same ids if the server splits the text at </s> and puts its prefix before each
// piece, except for empty replies. It gives other ids if the server does not.
//
// The beginning-of-sequence token (BOS) is an option, and the default is off.
// Koala's training code (EasyLM at 0e8e52d, April 2023) did not put a BOS before
// an example, but began each row of packed examples with one. EasyLM's server put
// one before each prompt from 4 May 2023 on. llama.cpp, vLLM, Ollama and Hugging
// Face's tokenizers put one before a text, but not before ids: turn the option on
// to match them when you send ids. A prompt never begins with two, because no
// text encodes to a control token.
//
// # Budgets
//
// A chat with a budget sends as many of its last exchanges as fit, always with
// the header and never a part of an exchange, and reports what it left out. The
// history keeps all turns. Each turn is encoded once.
//
// # Moderation
//
// A chat with a [Moderator] asks it about each query and each reply. If the
// moderator flags a text, [Chat.Ask] withholds it and returns a [FlaggedError];
// the history does not change.
//
// # Errors
//
// Errors about a turn are *prompt.TurnError values, errors about an option are
// of the kind [ErrOptions], and the errors of the Completer are passed through.
package koala

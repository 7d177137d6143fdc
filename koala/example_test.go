package koala_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

// server stands for a client of a real server.
var server = koala.CompleterFunc(func(_ context.Context, r *koala.Request, w io.Writer) error {
	for _, piece := range []string{" Hi! How can", " I help you?", "</s>"} {
		if _, err := io.WriteString(w, piece); err != nil {
			return err
		}
	}
	return nil
})

func Example() {
	chat, err := koala.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ending, err := chat.Ask(context.Background(), server, "Hello!", os.Stdout)
	fmt.Println()
	fmt.Println(ending.Reason, len(chat.Conversation()), err)
	// Output:
	// Hi! How can I help you?
	// end 2 <nil>
}

// The steps of Ask, for a server of your own.
func ExampleChat_Request() {
	chat, _ := koala.New(&koala.Options{BOS: true, Budget: 1024})
	_ = chat.User("Hello!")
	r, err := chat.Request()
	fmt.Println(r.IDs, r.Stops, r.StopIDs, err)
	fmt.Println(r.Sampling.Temperature, r.Sampling.TopK, r.Sampling.MaxTokens)
	fmt.Println(r.Text())

	reply := chat.Reply(os.Stdout)
	for _, piece := range []string{" Hi", "!", "</s>"} {
		if _, err := reply.Write([]byte(piece)); errors.Is(err, koala.ErrEnded) {
			break // the server can stop
		}
	}
	fmt.Println()
	fmt.Println(reply.Close(), len(chat.Conversation()))
	// Output:
	// [1 22815 29940 4214 8079 8707 5348 29903 8098 29901 3148 1001 29901 15043 29991 402 7982 29901] [USER:] [2] <nil>
	// 1 50 1024
	// BEGINNING OF CONVERSATION: USER: Hello! GPT: <nil>
	// Hi!
	// <nil> 2
}

var talk = prompt.Conversation{
	{Content: "Hello!"},
	{Role: prompt.Assistant, Content: "Hi!"},
	{Content: "What is the largest animal?"},
}

func ExampleAppendIDs() {
	ids, err := koala.AppendIDs(nil, talk, nil)
	fmt.Println(ids, err)
	// Output: [22815 29940 4214 8079 8707 5348 29903 8098 29901 3148 1001 29901 15043 29991 402 7982 29901 6324 29991 2 3148 1001 29901 1724 338 278 10150 13019 29973 402 7982 29901] <nil>
}

// Fine-tuning needs the loss mask in addition to the ids.
func ExampleAppendMasked() {
	ids, mask, err := koala.AppendMasked(nil, nil, talk[:2], nil)
	for i, id := range ids {
		if mask[i] {
			fmt.Print(id, " ")
		}
	}
	fmt.Println(err)
	// Output: 6324 29991 2 <nil>
}

func ExampleExplain() {
	parts, err := koala.Explain(talk, nil)
	for _, p := range parts {
		fmt.Printf("%-5s %2d ids, loss %-5t %q\n", p.Kind, len(p.IDs), p.Loss, p.Text)
	}
	fmt.Println(err)
	// Output:
	// query 17 ids, loss false "BEGINNING OF CONVERSATION: USER: Hello! GPT:"
	// reply  2 ids, loss true  "Hi!"
	// end    1 ids, loss true  ""
	// query 12 ids, loss false "USER: What is the largest animal? GPT:"
	// <nil>
}

// A budget leaves out whole oldest exchanges and keeps the header.
func ExampleFit() {
	kept, w, err := koala.Fit(talk, &koala.Options{Budget: 25})
	fmt.Printf("%d turns, %+v, %v\n", len(kept), w, err)
	_, _, err = koala.Fit(talk, &koala.Options{Budget: 15})
	fmt.Println(err)
	kept, w, err = koala.Fit(talk, &koala.Options{Budget: 18, Overflow: koala.KeepStart})
	fmt.Printf("%q, %d bytes cut, %v\n", kept[0].Content, w.CutBytes, err)
	// Output:
	// 1 turns, {Dropped:2 DroppedTokens:11 Tokens:21 CutBytes:0}, <nil>
	// the last exchange alone has 21 tokens, over the budget of 15: shorten it, raise the budget or let Overflow cut it: turn 2
	// "What is the", 16 bytes cut, <nil>
}

// Save a chat as JSON and continue it later.
func ExampleChat() {
	chat, _ := koala.New(&koala.Options{Dialect: &prompt.EasyLM, Budget: 1024})
	_ = chat.User("Hello!")
	data, err := json.Marshal(chat)
	fmt.Println(len(data) > 0, err)

	later, err := koala.Load(data, nil)
	text, _, _ := later.AppendText(nil)
	fmt.Printf("%s %v\n", text, err)
	// Output:
	// true <nil>
	// BEGINNING OF CONVERSATION: USER: Hello! GPT: <nil>
}

func ExampleParseConversation() {
	c, err := koala.ParseConversation([]byte(`[{"role":"human","content":"Hello!"},{"role":"gpt","content":"Hi!","quality":"unhelpful"}]`))
	fmt.Println(len(c), c[1].Quality, err)
	_, err = koala.ParseConversation([]byte(`[{"role":"user","content":"Hello!","name":"Ann"}]`))
	fmt.Println(err)
	// Output:
	// 2 unhelpful <nil>
	// unknown field "name": turn 0, byte 42
}

func ExampleAppendConversation() {
	data, err := koala.AppendConversation(nil, talk[:2])
	fmt.Println(string(data), err)
	// Output: [{"role":"user","content":"Hello!"},{"role":"assistant","content":"Hi!"}] <nil>
}

func ExampleImportConversation() {
	c, notes, err := koala.ImportConversation(
		[]byte(`{"id":"x","conversations":[{"from":"system","value":"Be brief."},{"from":"human","value":"Hello!"}]}`),
		&prompt.Import{System: prompt.Drop})
	fmt.Println(len(c), notes, err)
	// Output: 1 [{0 system drop}] <nil>
}

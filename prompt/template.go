package prompt

import "strings"

// ChatTemplate is the FastChat dialect in Jinja: the chat_template of a Hugging
// Face tokenizer_config.json, tokenizer.chat_template in a GGUF file, and a
// file for llama.cpp's --jinja --chat-template-file.
//
// It puts no BOS in front, as Koala's training did; engines that add one to
// every text add it here too. Its policies are those of FromMessages with
// System: Fold. Turns that do not alternate, messages of tools and system
// messages without a user's turn behind them raise an exception. A message may
// say "quality": "unhelpful". Without add_generation_prompt, or after a reply,
// no marker stands at the end.
const ChatTemplate = `{%- set ns = namespace(system='', due='user') -%}
{{- 'BEGINNING OF CONVERSATION: ' -}}
{%- for message in messages -%}
    {%- if message['role'] == 'system' or message['role'] == 'developer' -%}
        {%- set ns.system = ns.system + message['content'] + '\n' -%}
    {%- elif message['role'] != ns.due -%}
        {{- raise_exception('Koala takes user and assistant turns in alternation, the user first, and no tools') -}}
    {%- elif message['role'] == 'user' -%}
        {{- 'USER: ' + ns.system + message['content'] -}}
        {%- set ns.system = '' -%}
        {%- set ns.due = 'assistant' -%}
    {%- else -%}
        {{- ' An Unhelpful Answer: ' if message['quality'] == 'unhelpful' else ' GPT: ' -}}
        {{- message['content'] + '</s>' -}}
        {%- set ns.due = 'user' -%}
    {%- endif -%}
{%- endfor -%}
{%- if ns.system -%}
    {{- raise_exception('Koala has no system turn: a user turn must follow a system message') -}}
{%- endif -%}
{%- if add_generation_prompt and ns.due == 'assistant' -%}
    {{- ' GPT:' -}}
{%- endif -%}`

// OllamaTemplate is the FastChat dialect for the TEMPLATE of an Ollama
// Modelfile, over .Messages: one over .Prompt and .Response would write the
// header on every turn. Its policies are those of ChatTemplate; Ollama itself
// joins messages of the same role. Where ChatTemplate raises an exception, it
// asks for a field that does not exist, whose name says what is wrong.
const OllamaTemplate = `{{- $system := "" }}{{ $due := "user" }}{{ "BEGINNING OF CONVERSATION: " }}
{{- range .Messages }}
{{- if eq .Role "system" }}{{ $system = print $system .Content "\n" }}
{{- else if ne .Role $due }}{{ $.Messages.KoalaTakesUserAndAssistantInAlternation }}
{{- else if eq .Role "user" }}{{ print "USER: " $system .Content " GPT:" }}{{ $system = "" }}{{ $due = "assistant" }}
{{- else }}{{ print " " .Content "</s>" }}{{ $due = "user" }}
{{- end }}
{{- end }}
{{- if $system }}{{ $.Messages.KoalaNeedsAUserTurnAfterASystemMessage }}{{ end }}`

// OllamaModelfile is a Modelfile for Koala's weights: from is what its FROM
// line names, a GGUF file or a model of Ollama's. Its parameters are those with
// which Koala was served: top_k 50 and temperature 1, no nucleus, no repeat
// penalty, 1,024 tokens of reply.
func OllamaModelfile(from string) string {
	return strings.Join([]string{
		"FROM " + from,
		`TEMPLATE """` + OllamaTemplate + `"""`,
		`PARAMETER stop "` + EndText + `"`,
		`PARAMETER stop "` + KoalaMarkers.User + `"`,
		"PARAMETER temperature 1",
		"PARAMETER top_k 50",
		"PARAMETER top_p 1",
		"PARAMETER repeat_penalty 1",
		"PARAMETER num_predict 1024",
		"PARAMETER num_ctx 2048",
		"",
	}, "\n")
}

// Package tools has the scripts of the Makefile, and a test that reads the documents.
package tools

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var block = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```")

// Every fenced block is parsed as what it says it is. Those in Python are run, by python/tests/test_docs.py.
func TestDocumentBlocks(t *testing.T) {
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "RATIONALE.md", "PROTOCOL.md", "CHANGELOG.md"} {
		files = append(files, "../"+name)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, b := range block.FindAllSubmatch(text, -1) {
			t.Run(fmt.Sprintf("%s/%d", filepath.Base(file), i+1), func(t *testing.T) { check(t, string(b[1]), string(b[2])) })
		}
	}
}

func check(t *testing.T, language, text string) {
	switch language {
	case "", "text", "python":
	case "go":
		if _, err := parser.ParseFile(token.NewFileSet(), "block.go", text, 0); err != nil {
			t.Error(err)
		}
	case "sh":
		accepts(t, text, "bash", "-n")
	case "erlang":
		// Forms of a module, or expressions as one types them into the shell.
		const read = `[File] = init:get_plain_arguments(),
			{ok, Text} = file:read_file(File),
			{ok, Tokens = [_ | _], _} = erl_scan:string(unicode:characters_to_list(Text)),
			Split = fun Split([], []) -> []; Split([T = {dot, _} | Rest], Form) -> [lists:reverse([T | Form]) | Split(Rest, [])];
				Split([T | Rest], Form) -> Split(Rest, [T | Form]) end,
			[{ok, _} = case erl_parse:parse_form(F) of {ok, P} -> {ok, P}; _ -> erl_parse:parse_exprs(F) end || F <- Split(Tokens, [])],
			halt(0).`
		file := filepath.Join(t.TempDir(), "block.erl")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		accepts(t, text, "erl", "-noshell", "-boot", "no_dot_erlang", "-eval", read, "-extra", file)
	default:
		t.Errorf("a block in %q: nothing checks such blocks", language)
	}
}

// accepts runs a program that reads text and fails when it is not right.
func accepts(t *testing.T, text, program string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(text)
	cmd.Env = append(os.Environ(), "ERL_CRASH_DUMP_SECONDS=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, out, text)
	}
}

// Package tools has the scripts of the Makefile, and tests that read and run the documents.
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

var fence = regexp.MustCompile("(?ms)^```(\\w*) *([^\n]*)\n(.*?)^```$")

// block is a fenced block. What stands behind the language is the name of a file that later sh blocks need, or, for Python,
// the one peer that it runs with.
type block struct {
	language, info, text string
	line                 int
}

func (b block) isFile() bool { return strings.Contains(b.info, ".") }

func blocks(t *testing.T, file string) []block {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var found []block
	for _, at := range fence.FindAllSubmatchIndex(text, -1) {
		part := func(n int) string { return string(text[at[2*n]:at[2*n+1]]) }
		found = append(found, block{part(1), part(2), part(3), 1 + strings.Count(string(text[:at[0]]), "\n")})
	}
	if want := strings.Count("\n"+string(text), "\n```"); 2*len(found) != want {
		t.Fatalf("%s: %d blocks out of %d fences", file, len(found), want)
	}
	return found
}

func documents(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	return files
}

// Every fenced block is parsed as what it says it is.
func TestDocumentBlocks(t *testing.T) {
	files := documents(t)
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "RATIONALE.md", "PROTOCOL.md", "CHANGELOG.md", "SECURITY.md"} {
		files = append(files, "../"+name)
	}
	for _, file := range files {
		for _, b := range blocks(t, file) {
			t.Run(fmt.Sprintf("%s/%d", filepath.Base(file), b.line), func(t *testing.T) {
				t.Parallel()
				check(t, b)
			})
		}
	}
}

func check(t *testing.T, b block) {
	switch b.language {
	case "", "text":
	case "python":
		if b.info != "" && b.info != "beam" && b.info != "go" && !b.isFile() {
			t.Errorf("python with %q: python/tests/test_docs.py does not know it", b.info)
		}
	case "go":
		if _, err := parser.ParseFile(token.NewFileSet(), "block.go", b.text, 0); err != nil {
			t.Error(err)
		}
	case "sh":
		accepts(t, b.text, "bash", "-n")
	case "elixir":
		accepts(t, b.text, "elixir", "-e", "Code.string_to_quoted!(IO.read(:eof))")
	case "erlang":
		// Forms of a module, or expressions as one types them into the shell.
		const read = `[File] = init:get_plain_arguments(),
			{ok, Text} = file:read_file(File),
			{ok, Tokens = [_ | _], _} = erl_scan:string(unicode:characters_to_list(Text)),
			Split = fun Split([], []) -> []; Split([T = {dot, _} | Rest], Form) -> [lists:reverse([T | Form]) | Split(Rest, [])];
				Split([T | Rest], Form) -> Split(Rest, [T | Form]) end,
			[{ok, _} = case erl_parse:parse_form(F) of {ok, P} -> {ok, P}; _ -> erl_parse:parse_exprs(F) end || F <- Split(Tokens, [])],
			halt(0).`
		accepts(t, "", "erl", "-noshell", "-boot", "no_dot_erlang", "-eval", read, "-extra", file(t, "block.erl", b.text))
	default:
		t.Errorf("a block in %q: nothing checks such blocks", b.language)
	}
}

// accepts runs a program that reads text and fails when it is not right.
func accepts(t *testing.T, text, program string, args ...string) {
	t.Helper()
	need(t, program)
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = strings.NewReader(text)
	cmd.Env = append(os.Environ(), "ERL_CRASH_DUMP_SECONDS=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, out, text)
	}
}

// need skips a test for want of a program, but not in CI.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	} else if os.Getenv("CI") != "" {
		t.Fatal(err)
	} else {
		t.Skip(err)
	}
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

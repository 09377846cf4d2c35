package tools

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The blocks of the pages in docs/ do what they say. Erlang ones are expressions for a node on which the application runs;
// those of one page follow each other, with their variables. Go ones are whole programs. Shell ones run in a directory with the
// files that the page has shown so far, and print what the text block behind them says. Python ones that are no file are run
// by python/tests/test_docs.py.
func TestDocumentsRun(t *testing.T) {
	for _, name := range documents(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			page := blocks(t, name)
			runErlang(t, page)
			runElixir(t, page)
			runShell(t, page)
			for _, b := range page {
				if b.language == "go" {
					t.Run(fmt.Sprintf("go/%d", b.line), func(t *testing.T) {
						succeeds(t, ".", "go", "run", file(t, "main.go", b.text))
					})
				}
			}
		})
	}
}

// The README's Erlang, Go and shell blocks are run by the tests of cmd/erlpy.
func TestReadmeElixir(t *testing.T) {
	if !runElixir(t, blocks(t, "../README.md")) {
		t.Error("the README has no Elixir")
	}
}

func runErlang(t *testing.T, page []block) {
	// Each argument is a file of expressions, each of which ends with a full stop.
	const evaluate = `{ok, _} = application:ensure_all_started(erlang_python),
		Run = fun Run([], Bindings) -> Bindings;
			Run(Tokens, Bindings) ->
				{First, [Dot | Rest]} = lists:splitwith(fun(T) -> element(1, T) =/= dot end, Tokens),
				{ok, Expressions} = erl_parse:parse_exprs(First ++ [Dot]),
				{value, _, New} = erl_eval:exprs(Expressions, Bindings),
				Run(Rest, New)
			end,
		lists:foldl(fun(File, Bindings) ->
				io:format("the block of line ~ts~n", [filename:basename(File, ".erl")]),
				{ok, Text} = file:read_file(File),
				{ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Text)),
				try Run(Tokens, Bindings)
				catch _:Reason:Stack ->
					io:format("~tp~n~tP~n", [Reason, Stack, 20]), halt(1)
				end
			end, [], init:get_plain_arguments()),
		halt(0).`
	args := []string{"-noshell", "-boot", "no_dot_erlang", "-eval", evaluate, "-extra"}
	dir := t.TempDir()
	for _, b := range page {
		if b.language == "erlang" && !b.isFile() {
			path := filepath.Join(dir, fmt.Sprintf("%d.erl", b.line))
			if err := os.WriteFile(path, []byte(b.text), 0o644); err != nil {
				t.Fatal(err)
			}
			args = append(args, path)
		}
	}
	if args[len(args)-1] == "-extra" {
		return
	}
	t.Run("erlang", func(t *testing.T) { succeeds(t, dir, "erl", args...) })
}

func runElixir(t *testing.T, page []block) (found bool) {
	args := []string{"-e", "{:ok, _} = Application.ensure_all_started(:erlang_python)"}
	for _, b := range page {
		if b.language == "elixir" {
			args = append(args, "-e", b.text)
		}
	}
	if len(args) == 2 {
		return false
	}
	t.Run("elixir", func(t *testing.T) { succeeds(t, t.TempDir(), "elixir", args...) })
	return true
}

func runShell(t *testing.T, page []block) {
	dir := t.TempDir()
	unused := map[string]bool{}
	for i, b := range page {
		switch {
		case b.isFile():
			if err := os.WriteFile(filepath.Join(dir, b.info), []byte(b.text), 0o644); err != nil {
				t.Fatal(err)
			}
			unused[b.info] = true
		case b.language == "sh":
			for name := range unused {
				if strings.Contains(b.text, name) {
					delete(unused, name)
				}
			}
			t.Run(fmt.Sprintf("sh/%d", b.line), func(t *testing.T) {
				got := succeeds(t, dir, "bash", "-e", file(t, "block.sh", b.text))
				if i+1 == len(page) || page[i+1].language != "text" {
					t.Fatal("no text block says what the command prints")
				}
				if want := page[i+1].text; got != want {
					t.Errorf("it prints\n%s, want\n%s", got, want)
				}
			})
		}
	}
	for name := range unused {
		t.Errorf("no command runs %s", name)
	}
}

// succeeds runs a program that finds the command and the application of this tree, and returns what it prints.
func succeeds(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	need(t, program)
	build, err := filepath.Abs("../build")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(build, "lib/erlang_python/ebin/py.beam")); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("run `make build`:", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	cmd.Env = append(os.Environ(), "PATH="+build+":"+os.Getenv("PATH"), "ERL_LIBS="+filepath.Join(build, "lib"), "ERL_CRASH_DUMP_SECONDS=0")
	if err := cmd.Run(); err != nil {
		t.Errorf("%v\n%s%s", err, &stdout, &stderr)
	}
	return stdout.String()
}

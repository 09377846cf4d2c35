package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var block = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```")

// readme returns the first block of each language in a section of the README.
func readme(t *testing.T, section string) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n## "+section+"\n")
	if !found {
		t.Fatalf("no section %q", section)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	blocks := make(map[string]string)
	for _, b := range block.FindAllStringSubmatch(rest, -1) {
		if blocks[b[1]] == "" {
			blocks[b[1]] = b[2]
		}
	}
	return blocks
}

// The quickstart, the same bytes: its functions, its script, its command, its output.
func TestReadmeQuickstart(t *testing.T) {
	needApplication(t)
	blocks := readme(t, "For a Python script")
	dir := t.TempDir()
	for name, kind := range map[string]string{"functions.erl": "erlang", "script.py": "python"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(blocks[kind]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := "build/erlpy run --erl functions.erl script.py\n"; blocks["sh"] != want {
		t.Fatalf("the command is %q, not %q", blocks["sh"], want)
	}
	cmd := command(t, "run", "--erl", "functions.erl", "script.py")
	cmd.Dir = dir
	if got := finish(t, cmd); got.status != 0 || got.stdout != blocks["text"] || blocks["text"] == "" {
		t.Errorf("%+v, want %q", got, blocks["text"])
	}
}

func TestReadmeNode(t *testing.T) {
	needApplication(t)
	code := strings.TrimSuffix(strings.TrimSpace(readme(t, "For an Erlang node")["erlang"]), ".")
	cmd := exec.CommandContext(t.Context(), "erl", "-noinput", "-boot", "no_dot_erlang", "-eval", code+", halt(0).")
	cmd.Env = append(os.Environ(), "ERL_LIBS="+os.Getenv("ERLPY_LIB"), "ERL_CRASH_DUMP_SECONDS=0")
	if out, err := cmd.CombinedOutput(); err != nil || code == "" {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestReadmeProgram(t *testing.T) {
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(readme(t, "For a Go program")["go"]), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "run", file).CombinedOutput()
	if err != nil || string(out) != "42 <nil>\n" {
		t.Errorf("%v, %q", err, out)
	}
}

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var block = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```")

// The quickstart of the README, the same bytes: its functions, its script, its command, its output.
func TestReadmeQuickstart(t *testing.T) {
	needApplication(t)
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	start := regexp.MustCompile("(?m)^## For a Python script$").FindIndex(readme)
	if start == nil {
		t.Fatal("no quickstart")
	}
	blocks := make(map[string]string)
	for _, b := range block.FindAllSubmatch(readme[start[1]:], -1) {
		if kind := string(b[1]); blocks[kind] == "" {
			blocks[kind] = string(b[2])
		}
	}
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

package python_test

import (
	"strings"
	"testing"

	"github.com/erlpy/erlpy/python"
)

func TestSourcesAreNamedAsModules(t *testing.T) {
	sources := python.Sources()
	for _, name := range []string{"erlang", "erlang._types", "erlang._errors", "erlang._serve", "erlang._main"} {
		if sources[name] == "" {
			t.Errorf("no text for the module %s", name)
		}
	}
	for name := range sources {
		if strings.ContainsAny(name, "/") || strings.Contains(name, "__init__") {
			t.Errorf("%q is no module name", name)
		}
	}
}

func TestBootDefinesItsEntry(t *testing.T) {
	if !strings.Contains(python.Boot(), "\ndef boot(sources: dict[str, str]) -> None:\n") {
		t.Error("boot.py does not define boot(sources)")
	}
}

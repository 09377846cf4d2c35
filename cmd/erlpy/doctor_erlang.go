package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/erlpy/erlpy/internal/beam"
)

// probeTimeout is enough for all that doctor starts: a Python and an Erlang that only say who they are.
const probeTimeout = 30 * time.Second

// oldestOTP is the first release whose `socket` module the application can use.
const oldestOTP = 25

const installErlang = "apt install erlang-base  (Debian/Ubuntu; `brew install erlang` on macOS)"

func checkErlang(ctx context.Context) []check {
	release := check{name: "Erlang/OTP"}
	erl, err := beam.FindErl("")
	if err != nil {
		return []check{{"Erlang/OTP", "no erl on the PATH", installErlang}}
	}
	release.found, release.fix = otpRelease(ctx, erl)
	dir, err := beam.FindApp(ctx, erl)
	if err != nil {
		return []check{release, {"application", err.Error(), "make build"}}
	}
	host := check{name: "host binary", found: filepath.Join(dir, "priv", "erlpy")}
	if info, err := os.Stat(host.found); err != nil || info.Mode()&0o111 == 0 {
		host.found, host.fix = "not at "+host.found, "make build"
	}
	return []check{release, {"application", dir, ""}, host}
}

func otpRelease(ctx context.Context, erl string) (found, fix string) {
	const ask = "io:put_chars(erlang:system_info(otp_release)), halt()."
	out, err := exec.CommandContext(ctx, erl, "-noinput", "-boot", "no_dot_erlang", "-eval", ask).Output()
	text := strings.TrimSpace(string(out))
	release, parseErr := strconv.Atoi(text)
	switch {
	case err != nil || parseErr != nil:
		return erl + " does not start", installErlang
	case release < oldestOTP:
		return text + "  " + erl + ": 25 or later is needed", installErlang
	}
	return text + "  " + erl, ""
}

// inCheckout reports whether the current directory is the project's own source, where things can be built.
func inCheckout() bool {
	mod, err := os.ReadFile("go.mod")
	return err == nil && strings.HasPrefix(string(mod), "module github.com/erlpy/erlpy\n")
}

// checkBuild looks for what building and testing take.
func checkBuild() []check {
	tools := []struct{ name, fix string }{
		{"go", "see https://go.dev/doc/install; go.mod names the version"},
		{"cc", "apt install gcc libc6-dev"},
		{"make", "apt install make"},
		{"erlc", "apt install erlang-base"},
		{"rebar3", "apt install rebar3"},
	}
	checks := make([]check, 0, len(tools))
	for _, tool := range tools {
		path, err := exec.LookPath(tool.name)
		if err != nil {
			checks = append(checks, check{tool.name, "not on the PATH", tool.fix})
			continue
		}
		checks = append(checks, check{tool.name, path, ""})
	}
	return checks
}

#!/usr/bin/env bash
# Compiles the OTP application into DIR/ebin: tools/application.sh DIR
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${1:?a directory}

mkdir -p "$dir"
fresh=$(mktemp -d "$dir/ebin.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
erlc +debug_info +warn_missing_spec +warn_export_vars -o "$fresh" erlang/src/*.erl
# The file that tells OTP about the application names its modules.
erl -noinput -boot no_dot_erlang -eval '
    [Source, Ebin] = init:get_plain_arguments(),
    {ok, [{application, Name, Properties}]} = file:consult(Source),
    Modules = [list_to_atom(filename:basename(F, ".beam")) || F <- filelib:wildcard(filename:join(Ebin, "*.beam"))],
    App = {application, Name, lists:keystore(modules, 1, Properties, {modules, Modules})},
    ok = file:write_file(filename:join(Ebin, atom_to_list(Name) ++ ".app"), io_lib:format("~tp.~n", [App])),
    halt().' -extra erlang/src/erlang_python.app.src "$fresh"
chmod 755 "$fresh"
# In one step, so that a module that is no longer there leaves no .beam behind.
rm -rf "$dir/ebin"
mv "$fresh" "$dir/ebin"

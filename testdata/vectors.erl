#!/usr/bin/env escript
%%! -noshell +pc unicode
%% Writes vectors.json beside this script: terms, and what term_to_binary/2 makes of them. The tests of all three languages
%% read it. Run it again after a change here: escript testdata/vectors.erl
%%
%% Each vector: name; term (as ~0tp shows it, or the expression that makes it when that is long); hex (minor_version 2); hex1
%% (minor_version 1) and hex0 (minor_version 0) where they differ from the version before.
%% A fixed name, since the local fun carries it.
-module(vectors).
-mode(compile).
-export([main/1]).

-spec main([string()]) -> ok.
main(_) ->
    Lines = [line(V) || V <- vectors()],
    Path = filename:join(filename:dirname(filename:absname(escript:script_name())), "vectors.json"),
    ok = file:write_file(Path, ["[\n", lists:join(",\n", Lines), "\n]\n"]),
    io:format("~b vectors~n", [length(Lines)]).

line({Name, Term}) ->
    line({Name, unicode:characters_to_binary(io_lib:format("~0tp", [Term])), Term});
line({Name, Text, Term}) ->
    Two = term_to_binary(Term, [{minor_version, 2}]),
    One = term_to_binary(Term, [{minor_version, 1}]),
    Zero = term_to_binary(Term, [{minor_version, 0}]),
    Term = binary_to_term(Two),
    ["{", lists:join(", ", [[quote(K), ": ", quote(V)]
                            || {K, V} <- [{"name", Name}, {"term", Text}, {"hex", hex(Two)}]
                                   ++ [{"hex1", hex(One)} || One =/= Two]
                                   ++ [{"hex0", hex(Zero)} || Zero =/= One]]), "}"].

vectors() ->
    integers() ++ floats() ++ atoms() ++ binaries() ++ lists() ++ tuples() ++ maps() ++ opaque() ++ nested().

integers() ->
    [{"int " ++ integer_to_list(N), N}
     || N <- [0, 1, -1, 42, 127, 128, 255, 256, -127, -128, -129, -255, -256, 65535, 65536, 16#7fffff, 16#800000,
              1 bsl 27 - 1, 1 bsl 27, -(1 bsl 27), -(1 bsl 27) - 1,
              1 bsl 31 - 1, 1 bsl 31, -(1 bsl 31), -(1 bsl 31) - 1, 1 bsl 32 - 1, 1 bsl 32,
              1 bsl 53, 1 bsl 53 + 1, 1 bsl 59 - 1, 1 bsl 59, -(1 bsl 59), -(1 bsl 59) - 1,
              1 bsl 63 - 1, 1 bsl 63, -(1 bsl 63), -(1 bsl 63) - 1,
              1 bsl 64 - 1, 1 bsl 64, -(1 bsl 64), 1 bsl 64 + 1, 123456789012345678901234567890]]
    ++ [{Sign ++ "bignum of " ++ integer_to_list(Bytes) ++ " bytes",
         unicode:characters_to_binary(io_lib:format("~s(1 bsl ~b - 1)", [Sign, Bytes * 8])),
         case Sign of "-" -> -(1 bsl (Bytes * 8) - 1); "" -> 1 bsl (Bytes * 8) - 1 end}
        || Bytes <- [254, 255, 256, 4153], Sign <- ["", "-"]]
    ++ [{"bignum of 10000 digits", <<"binary_to_integer(binary:copy(<<\"1234567890\">>, 1000))">>,
         binary_to_integer(binary:copy(<<"1234567890">>, 1000))}].

floats() ->
    [{"float " ++ Text, list_to_float(Text)}
     || Text <- ["0.0", "-0.0", "1.0", "-1.0", "0.1", "3.141592653589793", "1.0e300", "-1.0e-300", "5.0e-324",
                 "2.2250738585072014e-308", "1.7976931348623157e308", "9007199254740993.0"]].

atoms() ->
    [{"atom " ++ unicode:characters_to_list(atom_to_binary(A)), A}
     || A <- [true, false, none, nil, undefined, ok, nan, infinity, neg_infinity, '', 'hello world', bytes,
              'café', 'žluť', '日本語']]
    ++ [{"atom of 255 a", <<"255 times a">>, list_to_atom(lists:duplicate(255, $a))},
        {"atom of 255 e acute", <<"255 times U+00E9">>, list_to_atom(lists:duplicate(255, 16#e9))},
        {"atom of 255 CJK", <<"255 times U+65E5">>, list_to_atom(lists:duplicate(255, 16#65e5))}].

binaries() ->
    [{"empty binary", <<>>},
     {"binary ascii", <<"hello">>},
     {"binary with zero", <<"a", 0, "b">>},
     {"binary utf8", <<"žluťoučký ✓ 😀"/utf8>>},
     {"binary not utf8", <<255, 254, 0, 1>>},
     {"binary surrogate", <<16#ed, 16#a0, 16#80>>},
     {"binary overlong", <<16#c0, 16#80>>},
     {"binary truncated utf8", <<"a", 16#e2, 16#82>>},
     {"wrapped bytes", {bytes, <<"abc">>}},
     {"wrapped empty bytes", {bytes, <<>>}},
     {"wrapped no bytes", {bytes, 1}},
     {"bytes triple", {bytes, <<"abc">>, 1}},
     {"all bytes", <<"list_to_binary(lists:seq(0, 255))">>, list_to_binary(lists:seq(0, 255))},
     {"binary 65536", <<"binary:copy(<<\"x\">>, 65536)">>, binary:copy(<<"x">>, 65536)}].

lists() ->
    [{"empty list", []},
     {"list of one", [1]},
     {"string", "hello"},
     {"string of zero", [0]},
     {"list not a string", [256]},
     {"list mixed", [1, 2.5, <<"x">>, ok, [], {}]},
     {"list with negative", [1, -1]},
     {"list of strings", ["a", "bc", ""]},
     {"list of floats", [1.0, 2.0, 3.0]},
     {"string 65535", <<"lists:duplicate(65535, $a)">>, lists:duplicate(65535, $a)},
     {"list 65536", <<"lists:duplicate(65536, $a)">>, lists:duplicate(65536, $a)},
     {"list 1000", <<"lists:seq(1, 1000)">>, lists:seq(1, 1000)},
     {"property list", [{a, 1}, {b, <<"two">>}]}].

tuples() ->
    [{"empty tuple", {}},
     {"tuple of one", {1}},
     {"pair", {ok, <<"value">>}},
     {"tuple 255", <<"list_to_tuple(lists:seq(1, 255))">>, list_to_tuple(lists:seq(1, 255))},
     {"tuple 256", <<"list_to_tuple(lists:seq(1, 256))">>, list_to_tuple(lists:seq(1, 256))}].

maps() ->
    [{"empty map", #{}},
     {"map text keys", #{<<"a">> => 1, <<"b">> => [2, 3]}},
     {"map atom keys", #{a => 1, b => 2}},
     {"map mixed keys", #{<<"a">> => 1, 2 => two, c => 3, 1.5 => x}},
     {"map none keys", #{none => 1, nil => 2}},
     {"map int and float key", #{1 => a, 1.0 => b}},
     {"map true key", #{true => 1, 1 => 2}},
     {"map tuple key", #{{1, 2} => 3}},
     {"map list key", #{[1, 2] => 3, <<"a">> => 1}},
     {"map map key", #{#{} => 1}},
     {"map bignum key", #{1 bsl 70 => 1}},
     {"map bytes key", #{<<255>> => 1}},
     {"map 32", <<"maps:from_list([{N, N * N} || N <- lists:seq(1, 32)])">>,
      maps:from_list([{N, N * N} || N <- lists:seq(1, 32)])},
     {"map 33", <<"maps:from_list([{N, N * N} || N <- lists:seq(1, 33)])">>,
      maps:from_list([{N, N * N} || N <- lists:seq(1, 33)])},
     {"map 1000", <<"maps:from_list([{integer_to_binary(N), N} || N <- lists:seq(1, 1000)])">>,
      maps:from_list([{integer_to_binary(N), N} || N <- lists:seq(1, 1000)])},
     {"map of maps", #{<<"a">> => #{<<"b">> => #{<<"c">> => none}}}}].

opaque() ->
    Base = persistent_term:get(base, 5), % not known to the compiler, so that the fun has a free variable
    [{"pid", list_to_pid("<0.100.0>")},
     {"pid high", list_to_pid("<0.32767.8191>")},
     {"ref", list_to_ref("#Ref<0.1.2.3>")},
     {"port", list_to_port("#Port<0.5>")},
     {"port high", list_to_port("#Port<0.268435455>")},
     {"foreign pid", binary_to_term(<<131, 88, 119, 9, "node@host", 7:32, 8:32, 9:32>>)},
     {"foreign ref", binary_to_term(<<131, 90, 3:16, 119, 9, "node@host", 9:32, 1:32, 2:32, 3:32>>)},
     {"foreign ref of 5 words", binary_to_term(<<131, 90, 5:16, 119, 9, "node@host", 9:32, 1:32, 2:32, 3:32, 4:32, 5:32>>)},
     {"foreign port", binary_to_term(<<131, 120, 119, 9, "node@host", 1:32, 7:32, 9:32>>)},
     {"external fun", fun erlang:abs/1},
     {"local fun", fun(X) -> X + Base end},
     {"bitstring 1", <<1:1>>},
     {"bitstring 11", <<1:11>>},
     {"improper list", [1 | 2]},
     {"improper list of binaries", [<<"a">>, <<"b">> | <<"c">>]},
     {"improper string", [$a, $b | ok]},
     {"improper with list inside", [[1], [2, 3] | {x, []}]}].

nested() ->
    [{"list 10 deep", <<"10 times [...]">>, deep(10, fun(T) -> [T] end)},
     {"list 999 deep", <<"999 times [...]">>, deep(999, fun(T) -> [T] end)},
     {"tuple 999 deep", <<"999 times {...}">>, deep(999, fun(T) -> {T} end)},
     {"map 999 deep", <<"999 times #{1 => ...}">>, deep(999, fun(T) -> #{1 => T} end)},
     {"call", {<<"double_it">>, [21]}},
     {"hello", {erlpy, 1, thread, #{os_pid => 1234, thread => 1235}}},
     {"raised", {raised, error, badarith, <<"error: badarith">>, [<<"peer:double_it/1 (peer.erl, line 3)">>]}},
     {"all in one", [1, -1, 1 bsl 80, 1.5, true, none, ok, <<"x">>, <<255>>, "abc", {1, {2}}, #{<<"k">> => [#{}]}]}].

deep(0, _) -> 0;
deep(N, Wrap) -> Wrap(deep(N - 1, Wrap)).

hex(Binary) -> string:lowercase(binary:encode_hex(Binary)).

quote(Text) when is_list(Text) -> quote(unicode:characters_to_binary(Text));
quote(Text) -> [$", [escape(C) || <<C/utf8>> <= Text], $"].

escape($") -> "\\\"";
escape($\\) -> "\\\\";
escape(C) when C < 32 -> io_lib:format("\\u~4.16.0b", [C]);
escape(C) -> <<C/utf8>>.

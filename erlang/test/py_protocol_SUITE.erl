%% The node's side of PROTOCOL.md, spoken to over a real socket. No Python.
-module(py_protocol_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 30}}].

all() ->
    [
        handshake, refused_version, not_a_hello, call_before_hello, unknown_token, silent_client,
        call, registered_and_functions, unregister, module_function, names, byte_by_byte, two_frames_in_one, large_frames,
        not_registered, error_shapes, unicode_reason, wrong_arguments, stack, huge_reason,
        garbage_length, garbage_kind, stray_reply, over_limit_frame, over_limit_result,
        compressed_term, unknown_atom, unknown_atom_allowed, equal_keys, trailing_bytes, not_a_call,
        killed_in_mid_call, end_of_file, end_of_file_in_frame, bye, cast, stray_message, get_status, suspend_resume, shutdown_in_call,
        trap_exit_shutdown,
        nested_call, nested_error, nested_timeout, nested_keeps_mailbox, thread_is_no_context,
        load_file, load_errors
    ].

init_per_testcase(Case, Config) ->
    ok = py_client:start_app(settings(Case)),
    ok = py_peer:register(),
    Config.

end_per_testcase(_Case, _Config) ->
    py_client:stop_app().

settings(over_limit_frame) -> [{max_frame, 65536}];
settings(over_limit_result) -> [{max_frame, 65536}];
settings(huge_reason) -> [{max_frame, 65536}];
settings(unknown_atom_allowed) -> [{create_atoms, true}];
settings(_) -> [].

%% Handshake

handshake(_) ->
    Socket = py_client:connect(),
    {1, {erlpy, 1, Handler, Info}} = py_client:hello(Socket),
    ?assert(is_pid(Handler)),
    ?assertMatch(#{max_frame := 67108864}, Info).

refused_version(_) ->
    Socket = py_client:connect(),
    {4, {refused, Text}} = py_client:hello(Socket, {erlpy, 7, thread, #{}}),
    ?assertEqual(<<"version 7 of the protocol is not spoken here, only version 1">>, Text),
    ?assert(py_client:eof(Socket)).

not_a_hello(_) ->
    Socket = py_client:connect(),
    {4, {refused, <<"not a hello: ", _/binary>>}} = py_client:hello(Socket, [hello]),
    ?assert(py_client:eof(Socket)).

call_before_hello(_) ->
    Socket = py_client:connect(),
    ?assertMatch({4, 0, {refused, _}}, py_client:call(Socket, <<"double_it">>, [1])),
    ?assert(py_client:eof(Socket)).

unknown_token(_) ->
    [begin
        Socket = py_client:connect(),
        ?assertEqual({4, {refused, <<"unknown token">>}}, py_client:hello(Socket, {erlpy, 1, {Role, <<"guess">>}, #{}})),
        ?assert(py_client:eof(Socket))
     end || Role <- [context, host]].

%% One that says nothing is sent away, and holds nobody up meanwhile.
silent_client(_) ->
    Silent = py_client:connect(),
    {Socket, _} = py_client:thread(),
    {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21]),
    ?assertEqual(closed, py_client:recv(Silent, 7000)).

%% Calls

call(_) ->
    {Socket, Handler} = py_client:thread(),
    {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21]),
    {3, 1, Handler} = py_client:call(Socket, <<"whoami">>, []),
    {3, 1, [1, <<"two">>, 3.0]} = py_client:call(Socket, <<"args">>, [1, <<"two">>, 3.0]).

registered_and_functions(_) ->
    {Socket, _} = py_client:thread(),
    {3, 1, true} = py_client:call(Socket, registered, [<<"double_it">>]),
    {3, 1, false} = py_client:call(Socket, registered, [<<"nope">>]),
    {3, 1, Names} = py_client:call(Socket, functions, []),
    ?assertEqual(lists:sort(Names), Names),
    ?assert(lists:member(<<"double_it">>, Names)),
    ?assert(lists:all(fun is_binary/1, Names)).

unregister(_) ->
    {Socket, _} = py_client:thread(),
    ok = py:unregister_function(double_it),
    {4, 1, {not_registered, <<"double_it">>}} = py_client:call(Socket, <<"double_it">>, [1]),
    ok = py:unregister_function(never_there).

module_function(_) ->
    {Socket, _} = py_client:thread(),
    ok = py:register_function(doubled, py_peer, double_it),
    {3, 1, 4} = py_client:call(Socket, <<"doubled">>, [2]).

names(_) ->
    {Socket, _} = py_client:thread(),
    [begin
        ok = py:register_function(Name, fun([]) -> Name end),
        {3, 1, Name} = py_client:call(Socket, Binary, [])
     end || {Name, Binary} <- [{an_atom, <<"an_atom">>}, {<<"binary">>, <<"binary">>}, {"žlutý", <<"žlutý"/utf8>>}]],
    ?assertError(badarg, py:register_function(f, fun() -> ok end)),
    ?assertError(badarg, py:register_function(1, fun([]) -> ok end)).

byte_by_byte(_) ->
    {Socket, _} = py_client:thread(),
    Payload = term_to_binary({<<"double_it">>, [21]}),
    [py_client:send(Socket, [Byte]) || <<Byte>> <= py_client:frame(5 + byte_size(Payload), 2, 9, Payload)],
    {3, 9, 42} = py_client:recv(Socket).

two_frames_in_one(_) ->
    {Socket, _} = py_client:thread(),
    Frame = fun(Id) -> P = term_to_binary({<<"double_it">>, [Id]}), py_client:frame(5 + byte_size(P), 2, Id, P) end,
    <<First:20/binary, Rest/binary>> = <<(Frame(1))/binary, (Frame(2))/binary, (Frame(3))/binary>>,
    py_client:send(Socket, First),
    py_client:send(Socket, Rest),
    [{3, N, Twice} = py_client:recv(Socket) || N <- [1, 2, 3], Twice <- [2 * N]].

large_frames(_) ->
    {Socket, _} = py_client:thread(),
    [begin
        Blob = crypto_free_noise(Size),
        Me = self(),
        %% A peer that sends from one process and reads from another, since neither side holds so much back.
        spawn_link(fun() ->
            [py_client:send_frame(Socket, 2, Id, term_to_binary({<<"echo">>, [Term]})) || {Id, Term} <- [{1, Blob}, {2, [1, {Blob}, <<"x">>, Blob]}]],
            Me ! sent
        end),
        {3, 1, Answer} = py_client:recv(Socket),
        ?assert(Answer =:= Blob),
        {3, 2, Answers} = py_client:recv(Socket),
        ?assert(Answers =:= [1, {Blob}, <<"x">>, Blob]),
        receive sent -> ok end
     end || Size <- [8170, 8192, 8193, 16383, 16384, 70000, 300000, 5000000]].

crypto_free_noise(Size) -> << <<(N rem 251)>> || N <- lists:seq(1, Size) >>.

%% Failures

not_registered(_) ->
    {Socket, _} = py_client:thread(),
    {4, 1, {not_registered, <<"nope">>}} = py_client:call(Socket, <<"nope">>, [1]),
    {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21]).

error_shapes(_) ->
    {Socket, _} = py_client:thread(),
    [begin
        {4, 1, {raised, Class, Reason, Text, Stack}} = py_client:call(Socket, Name, Args),
        ?assert(lists:all(fun is_binary/1, Stack)),
        {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21])
     end || {Name, Args, Class, Reason, Text} <- [
        {<<"fail_error">>, [], error, badarith, <<"error: badarith">>},
        {<<"fail_exit">>, [], exit, bye, <<"exit: bye">>},
        {<<"fail_throw">>, [], throw, ball, <<"throw: ball">>},
        {<<"bad_match">>, [7], error, {badmatch, 7}, <<"error: {badmatch,7}">>},
        {<<"double_it">>, [<<"x">>], error, badarith, <<"error: badarith">>}
    ]].

unicode_reason(_) ->
    {Socket, _} = py_client:thread(),
    {4, 1, {raised, error, {reason, <<"žluťoučký ✓"/utf8>>}, Text, _}} = py_client:call(Socket, <<"fail_unicode">>, []),
    ?assertEqual(<<"error: {reason,<<\"žluťoučký ✓\"/utf8>>}"/utf8>>, Text).

wrong_arguments(_) ->
    {Socket, _} = py_client:thread(),
    {4, 1, {raised, error, function_clause, <<"error: function_clause">>, [Top | _]}} =
        py_client:call(Socket, <<"double_it">>, [1, 2]),
    ?assertMatch(<<"py_peer:double_it/1 (", _/binary>>, Top).

stack(_) ->
    {Socket, _} = py_client:thread(),
    ok = py:register_function(undefined_one, no_such_module, f),
    {4, 1, {raised, error, undef, _, [<<"no_such_module:f/1">>]}} = py_client:call(Socket, <<"undefined_one">>, [1]).

%% The reason does not fit, its text does.
huge_reason(_) ->
    {Socket, _} = py_client:thread(),
    ok = py:register_function(huge, fun([]) -> error({huge, lists:duplicate(100000, 7)}) end),
    {4, 1, {raised, error, Text, Text, _}} = py_client:call(Socket, <<"huge">>, []),
    ?assertMatch(<<"error: {huge,[7,7,", _/binary>>, Text),
    ?assert(byte_size(Text) < 5000).

%% Protocol errors end the conversation, and nothing else.

garbage_length(_) -> ends(<<0:32, 2, 1:32>>).
garbage_kind(_) -> ends(py_client:frame(5, 99, 1, <<>>)).
stray_reply(_) -> ends(py_client:frame(8, 3, 1, term_to_binary(1))).

ends(Bytes) ->
    {Other, _} = py_client:thread(),
    {Socket, Handler} = py_client:thread(),
    Monitor = monitor(process, Handler),
    py_client:send(Socket, Bytes),
    ?assert(py_client:eof(Socket)),
    receive {'DOWN', Monitor, _, _, {shutdown, _}} -> ok after 1000 -> error(handler_lives) end,
    {3, 1, 42} = py_client:call(Other, <<"double_it">>, [21]).

over_limit_frame(_) ->
    ends(<<65537:32, 2, 1:32>>),
    {Socket, _} = py_client:thread(),
    Largest = 65536 - 5 - byte_size(term_to_binary({<<"size">>, [<<>>]})),
    {3, 1, Largest} = py_client:call(Socket, <<"size">>, [binary:copy(<<$x>>, Largest)]).

over_limit_result(_) ->
    {Socket, _} = py_client:thread(),
    {4, 1, {limit, Text}} = py_client:call(Socket, <<"blob">>, [65536]),
    ?assertEqual(<<"a frame of 65547 bytes is over the limit of 65536 (setting max_frame)">>, Text),
    {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21]).

compressed_term(_) ->
    Compressed = term_to_binary({<<"size">>, [binary:copy(<<0>>, 10000)]}, [compressed]),
    <<131, 80, _/binary>> = Compressed,
    bad_term(Compressed, <<"compressed">>).

unknown_atom(_) ->
    bad_term(unknown_atom_payload(), <<"create_atoms">>).

unknown_atom_allowed(_) ->
    {Socket, _} = py_client:thread(),
    {3, 1, Atom} = py_client:call_raw(Socket, unknown_atom_payload()),
    ?assert(is_atom(Atom)).

%% {<<"echo">>, ['made up on the spot']}
unknown_atom_payload() ->
    Name = iolist_to_binary(["made_up_", integer_to_list(erlang:unique_integer([positive])), "_", integer_to_list(rand:uniform(1 bsl 60))]),
    <<131, 104, 2, 109, 4:32, "echo", 108, 1:32, 119, (byte_size(Name)), Name/binary, 106>>.

equal_keys(_) ->
    bad_term(<<131, 104, 2, 109, 4:32, "echo", 108, 1:32, 116, 2:32, 97, 1, 97, 1, 97, 1, 97, 2, 106>>, <<"equal keys">>).

trailing_bytes(_) ->
    bad_term(<<(term_to_binary({<<"echo">>, [1]}))/binary, 0>>, <<"1 bytes too many">>).

not_a_call(_) ->
    bad_term(term_to_binary(hello), <<"pair">>),
    bad_term(term_to_binary({<<"echo">>, no_list}), <<"not a call">>),
    bad_term(term_to_binary({<<"echo">>, [1 | 2]}), <<"not a call">>),
    bad_term(term_to_binary({functions, [1]}), <<"not a call">>),
    bad_term(<<131, 104, 2>>, <<"malformed">>).

bad_term(Payload, Word) ->
    {Socket, _} = py_client:thread(),
    {4, 1, {bad_term, Text}} = py_client:call_raw(Socket, Payload),
    ?assertNotEqual(nomatch, binary:match(Text, Word)),
    {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21]).

%% Ends

killed_in_mid_call(_) ->
    {Socket, Handler} = py_client:thread(),
    py_client:send_frame(Socket, 2, 1, term_to_binary({<<"sleep">>, [60000]})),
    busy(Handler),
    exit(Handler, kill),
    ?assertEqual(closed, py_client:recv(Socket, 100)),
    {Again, _} = py_client:thread(),
    {3, 1, closed} = py_client:call(Again, <<"echo">>, [closed]).

%% Waits for a handler to be inside timer:sleep.
busy(Handler) ->
    case process_info(Handler, current_function) of
        {current_function, {timer, sleep, 1}} -> ok;
        _ -> erlang:yield(), busy(Handler)
    end.

end_of_file(_) -> leaves(fun(Socket) -> py_client:close(Socket) end, normal).

end_of_file_in_frame(_) ->
    leaves(fun(Socket) -> py_client:send(Socket, <<100:32, 2>>), py_client:close(Socket) end, normal).

bye(_) ->
    leaves(fun(Socket) -> py_client:send_frame(Socket, 7, 0, <<>>), ?assert(py_client:eof(Socket)) end, normal).

leaves(Leave, Reason) ->
    {Socket, Handler} = py_client:thread(),
    Monitor = monitor(process, Handler),
    Leave(Socket),
    receive {'DOWN', Monitor, _, _, R} -> ?assertEqual(Reason, R) after 1000 -> error(handler_lives) end,
    ?assertMatch({ok, #{handlers := []}}, py:stats()).

cast(_) ->
    {Socket, _} = py_client:thread(),
    Me = self(),
    ok = py:register_function(tell, fun([X]) -> Me ! {told, X} end),
    py_client:send_frame(Socket, 5, 1, term_to_binary({<<"tell">>, [1]})),
    py_client:send_frame(Socket, 5, 2, term_to_binary({<<"fail_error">>, []})),
    {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21]),
    receive {told, 1} -> ok after 0 -> error(not_told) end.

%% Messages

stray_message(_) ->
    {Socket, Handler} = py_client:thread(),
    Me = self(),
    ok = logger:add_handler(?FUNCTION_NAME, ?MODULE, #{config => #{to => Me}}),
    Handler ! {hello, there},
    Logged = receive {logged, #{what := py_stray_message} = Report} -> Report after 1000 -> error(not_logged) end,
    ok = logger:remove_handler(?FUNCTION_NAME),
    ?assertMatch(#{message := {hello, there}, handler := Handler}, Logged),
    {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21]).

log(#{msg := {report, Report}}, #{config := #{to := Pid}}) -> Pid ! {logged, Report};
log(_, _) -> ok.

get_status(_) ->
    {Socket, Handler} = py_client:thread(),
    {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21]),
    {status, Handler, {module, py_handler}, [_, running, Parent, _, Status]} = sys:get_status(Handler),
    ?assertEqual(whereis(py_handler_sup), Parent),
    {data, Data} = lists:keyfind(data, 1, Status),
    ?assertEqual({"Calls served", 1}, lists:keyfind("Calls served", 1, Data)),
    ok = sys:trace(Handler, true),
    {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21]),
    ok = sys:trace(Handler, false),
    {py_handler, _} = proc_lib:initial_call(Handler) =:= undefined orelse {py_handler, init}.

suspend_resume(_) ->
    {Socket, Handler} = py_client:thread(),
    ok = sys:suspend(Handler),
    py_client:send_frame(Socket, 2, 1, term_to_binary({<<"double_it">>, [21]})),
    ?assertEqual({error, timeout}, socket:recv(Socket, 0, 50)),
    ok = sys:resume(Handler),
    {3, 1, 42} = py_client:recv(Socket).

shutdown_in_call(_) ->
    {Socket, Handler} = py_client:thread(),
    py_client:send_frame(Socket, 2, 1, term_to_binary({<<"sleep">>, [60000]})),
    busy(Handler),
    {Time, ok} = timer:tc(fun() -> application:stop(erlang_python) end),
    ?assert(Time < 500000),
    ?assert(py_client:eof(Socket)).

%% A function may make the handler trap exits; the parent's word counts all the same.
trap_exit_shutdown(_) ->
    {Socket, Handler} = py_client:thread(),
    ok = py:register_function(trap, fun([]) -> process_flag(trap_exit, true) end),
    {3, 1, false} = py_client:call(Socket, <<"trap">>, []),
    Monitor = monitor(process, Handler),
    {Time, ok} = timer:tc(fun() -> application:stop(erlang_python) end),
    receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual({shutdown, shutdown}, Reason) after 0 -> error(lives) end,
    ?assert(Time < 500000).

%% Nested calls

nested_call(_) ->
    {Socket, _} = py_client:thread(),
    ok = py:register_function(ask, fun([X]) -> {ok, Y} = py:call(math, sqrt, [X]), Y + 1 end),
    py_client:send_frame(Socket, 2, 1, term_to_binary({<<"ask">>, [16]})),
    {2, Id, {call, [none, <<"math">>, <<"sqrt">>, [16], #{}]}} = py_client:recv(Socket),
    %% The thread calls once more before it answers.
    py_client:send_frame(Socket, 2, 2, term_to_binary({<<"double_it">>, [4]})),
    {3, 2, 8} = py_client:recv(Socket),
    py_client:send_frame(Socket, 3, Id, term_to_binary(8)),
    {3, 1, 9} = py_client:recv(Socket),
    {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21]).

nested_error(_) ->
    {Socket, _} = py_client:thread(),
    ok = py:register_function(ask, fun([]) -> py:eval("1/0") end),
    py_client:send_frame(Socket, 2, 1, term_to_binary({<<"ask">>, []})),
    {2, Id, {eval, [none, <<"1/0">>, #{}]}} = py_client:recv(Socket),
    py_client:send_frame(Socket, 4, Id, term_to_binary({python, <<"ZeroDivisionError">>, <<"division by zero">>, []})),
    ?assertEqual({3, 1, {error, {'ZeroDivisionError', <<"division by zero">>}}}, py_client:recv(Socket)).

nested_timeout(_) ->
    {Socket, Handler} = py_client:thread(),
    Me = self(),
    Monitor = monitor(process, Handler),
    ok = py:register_function(ask, fun([]) ->
        Me ! {first, py:eval("forever()", #{}, 20)},
        Me ! {second, py:eval("1")}
    end),
    py_client:send_frame(Socket, 2, 1, term_to_binary({<<"ask">>, []})),
    receive {first, First} -> ?assertEqual({error, timeout}, First) end,
    receive {second, Second} -> ?assertEqual({error, {host_down, timeout}}, Second) end,
    receive {'DOWN', Monitor, _, _, _} -> ok after 1000 -> error(lives) end.

nested_keeps_mailbox(_) ->
    {Socket, _} = py_client:thread(),
    ok = py:register_function(ask, fun([]) ->
        self() ! mine,
        {ok, 1} = py:eval("1"),
        receive mine -> got after 0 -> lost end
    end),
    py_client:send_frame(Socket, 2, 1, term_to_binary({<<"ask">>, []})),
    {2, Id, _} = py_client:recv(Socket),
    py_client:send_frame(Socket, 3, Id, term_to_binary(1)),
    ?assertEqual({3, 1, got}, py_client:recv(Socket)).

thread_is_no_context(_) ->
    {_, Handler} = py_client:thread(),
    ?assertMatch({error, {host_down, _}}, py:eval(Handler, "1")),
    ?assertMatch({error, {host_down, <<"no Python host is configured", _/binary>>}}, py:eval("1")).

%% Files, for `erlpy run --erl'

load_file(Config) ->
    File = source(Config, "py_loaded", "-export([one/1, two/2]).\none([X]) -> {X, two(1, 2)}.\ntwo(A, B) -> A + B.\n"),
    {ok, [one]} = py_run:load(File),
    {Socket, _} = py_client:thread(),
    {3, 1, {7, 3}} = py_client:call(Socket, <<"one">>, [7]),
    {3, 1, false} = py_client:call(Socket, registered, [<<"two">>]).

load_errors(Config) ->
    Wrong = source(Config, "py_wrong", "-export([f/1]).\nf([X]) -> Y.\n"),
    {error, Text} = py_run:load(Wrong),
    ?assertMatch({match, _}, re:run(Text, "py_wrong\\.erl:3:11: variable 'Y' is unbound")),
    {error, Absent} = py_run:load("/nowhere/absent.erl"),
    ?assertMatch({match, _}, re:run(Absent, "/nowhere/absent\\.erl: no such file or directory")),
    {error, Taken} = py_run:load(source(Config, "lists", "-export([f/1]).\nf(_) -> ok.\n")),
    ?assertMatch({match, _}, re:run(Taken, "OTP has a module of the name lists")),
    {error, Own} = py_run:load(source(Config, "py_handler", "-export([f/1]).\nf(_) -> ok.\n")),
    ?assertMatch({match, _}, re:run(Own, "erlang_python has a module of the name py_handler")),
    ?assertNot(erlang:function_exported(py_handler, f, 1)).

source(Config, Module, Text) ->
    File = filename:join(proplists:get_value(priv_dir, Config), Module ++ ".erl"),
    ok = file:write_file(File, ["-module(", Module, ").\n", Text]),
    File.

%% What Python asks of the node besides functions: messages, names, state, streams, logging, the end of a handler. No Python.
-module(py_messages_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 30}}].

all() ->
    [
        send_pid, send_name, send_order, send_nobody, send_dead, send_remote, send_port_name, pid_round_trip, whereis_name,
        cancel_function, cancel_trapping, cancel_stranger, cancel_is_silent,
        state, state_counts, state_counts_at_once, state_survives,
        stream, stream_closed, stream_owner_dead,
        log_levels, log_default_handler, log_malformed, cast_function, wrong_operations
    ].

init_per_testcase(_Case, Config) ->
    ok = py_client:start_app([]),
    ok = py_peer:register(),
    Config.

end_per_testcase(_Case, _Config) ->
    _ = logger:remove_handler(?MODULE),
    ok = logger:set_primary_config(level, notice),
    py_client:stop_app().

%% Messages

send_pid(_) ->
    {Socket, _} = py_client:thread(),
    {3, 1, ok} = py_client:call(Socket, send, [self(), {hello, [1, 2.5]}]),
    receive {hello, [1, 2.5]} -> ok after 0 -> error(not_sent) end.

send_name(_) ->
    {Socket, _} = py_client:thread(),
    register(?MODULE, self()),
    [begin
        {3, 1, ok} = py_client:call(Socket, send, [Name, N]),
        receive N -> ok after 0 -> error({not_sent, N}) end
     end || {N, Name} <- [{1, ?MODULE}, {2, atom_to_binary(?MODULE)}]].

%% Also when the thread does not wait for one to be sent before it sends the next.
send_order(_) ->
    {Socket, _} = py_client:thread(),
    %% Few enough to fit into the socket with all their answers: neither side reads before it has written.
    Numbers = lists:seq(1, 100),
    [py_client:send_frame(Socket, 2, N, term_to_binary({send, [self(), {n, N}]})) || N <- Numbers],
    [{3, N, ok} = py_client:recv(Socket) || N <- Numbers],
    ?assertEqual(Numbers, [receive {n, N} -> N end || _ <- Numbers]).

send_nobody(_) ->
    {Socket, _} = py_client:thread(),
    {4, 1, {process, Text}} = py_client:call(Socket, send, [<<"nobody_of_that_name">>, 1]),
    ?assertEqual(<<"no process is registered as 'nobody_of_that_name'">>, Text),
    {4, 1, {process, _}} = py_client:call(Socket, send, [nobody, 1]),
    {4, 1, {process, _}} = py_client:call(Socket, send, [binary:copy(<<"x">>, 300), 1]),
    {4, 1, {process, _}} = py_client:call(Socket, send, [<<255>>, 1]).

send_dead(_) ->
    {Socket, _} = py_client:thread(),
    {Pid, Monitor} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    {4, 1, {process, Text}} = py_client:call(Socket, send, [Pid, 1]),
    ?assertEqual(iolist_to_binary(["process ", pid_to_list(Pid), " is not alive"]), Text),
    {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21]).

%% Whether it lives is not known here.
send_remote(_) ->
    {Socket, _} = py_client:thread(),
    {3, 1, ok} = py_client:call(Socket, send, [remote(), 1]).

remote() ->
    binary_to_term(<<131, 88, 119, 14, "nobody@nowhere", 77:32, 0:32, 5:32>>).

send_port_name(_) ->
    {Socket, _} = py_client:thread(),
    Port = open_port({spawn, "cat"}, []),
    register(py_test_port, Port),
    {4, 1, {process, _}} = py_client:call(Socket, send, [py_test_port, {self(), close}]),
    {3, 1, none} = py_client:call(Socket, 'whereis', [py_test_port]),
    ?assertEqual(Port, whereis(py_test_port)),
    port_close(Port).

pid_round_trip(_) ->
    {Socket, _} = py_client:thread(),
    [{3, 1, Pid} = py_client:call(Socket, <<"echo">>, [Pid]) || Pid <- [self(), remote(), whereis(py_sup)]].

whereis_name(_) ->
    {Socket, Handler} = py_client:thread(),
    Sup = whereis(py_sup),
    {3, 1, Sup} = py_client:call(Socket, 'whereis', [py_sup]),
    {3, 1, Sup} = py_client:call(Socket, 'whereis', [<<"py_sup">>]),
    {3, 1, none} = py_client:call(Socket, 'whereis', [<<"never_heard_of">>]),
    {3, 1, none} = py_client:call(Socket, 'whereis', [undefined]),
    {3, 1, Handler} = py_client:call(Socket, <<"whoami">>, []).

%% The end of a handler

cancel_function(_) ->
    {Socket, Handler} = hold(fun(Me) -> Me ! {held, self()}, receive never -> ok end end),
    {Other, _} = py_client:thread(),
    Monitor = py_client:watch(Handler),
    {3, 1, true} = py_client:call(Other, cancel, [Handler]),
    receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual({shutdown, cancelled}, Reason) after 90 -> error(lives) end,
    ?assert(py_client:eof(Socket)),
    {3, 1, false} = py_client:call(Other, cancel, [Handler]).

%% It dies a moment later, and whoever asked does not wait for that.
cancel_trapping(_) ->
    {_, Handler} = hold(fun(Me) -> process_flag(trap_exit, true), Me ! {held, self()}, receive never -> ok end end),
    {Other, _} = py_client:thread(),
    Monitor = py_client:watch(Handler),
    {3, 1, true} = py_client:call(Other, cancel, [Handler]),
    receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual(killed, Reason) after 1000 -> error(lives) end.

cancel_stranger(_) ->
    {Socket, _} = py_client:thread(),
    Stranger = spawn_link(fun() -> receive never -> ok end end),
    {_, Channel} = py_client:async(),
    [{3, 1, false} = py_client:call(Socket, cancel, [Pid]) || Pid <- [Stranger, whereis(py_coordinator), Channel, remote()]],
    ?assert(is_process_alive(Stranger)).

cancel_is_silent(_) ->
    ok = listen(),
    {_, Handler} = hold(fun(Me) -> Me ! {held, self()}, receive never -> ok end end),
    {Other, _} = py_client:thread(),
    Monitor = py_client:watch(Handler),
    {3, 1, true} = py_client:call(Other, cancel, [Handler]),
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    %% The supervisor has dealt with it by the time it answers.
    _ = py_handler_sup:handlers(),
    receive {logged, Event} -> error(Event) after 0 -> ok end.

%% A thread inside a function.
hold(Body) ->
    Me = self(),
    {Socket, Handler} = py_client:thread(),
    ok = py:register_function(hold, fun([]) -> Body(Me) end),
    py_client:send_frame(Socket, 2, 1, term_to_binary({<<"hold">>, []})),
    receive {held, Handler} -> {Socket, Handler} end.

%% State

state(_) ->
    {A, _} = py_client:thread(),
    {B, _} = py_client:thread(),
    {3, 1, none} = py_client:call(A, state_get, [<<"k">>]),
    {3, 1, ok} = py_client:call(A, state_set, [<<"k">>, #{<<"v">> => [1, 2.0]}]),
    {3, 1, #{<<"v">> := [1, 2.0]}} = py_client:call(B, state_get, [<<"k">>]),
    {ok, #{<<"v">> := [1, 2.0]}} = py_state:fetch(<<"k">>),
    ok = py_state:store({1, a}, here),
    {3, 1, here} = py_client:call(A, state_get, [{1, a}]),
    {3, 1, Keys} = py_client:call(A, state_keys, []),
    ?assertEqual(lists:sort([<<"k">>, {1, a}]), lists:sort(Keys)),
    {3, 1, ok} = py_client:call(A, state_delete, [<<"k">>]),
    {3, 1, ok} = py_client:call(A, state_delete, [<<"k">>]),
    {error, not_found} = py_state:fetch(<<"k">>),
    {3, 1, ok} = py_client:call(A, state_clear, []),
    {3, 1, []} = py_client:call(A, state_keys, []).

state_counts(_) ->
    {Socket, _} = py_client:thread(),
    {3, 1, 1} = py_client:call(Socket, state_incr, [<<"n">>, 1]),
    {3, 1, -4} = py_client:call(Socket, state_decr, [<<"n">>, 5]),
    {3, 1, -2} = py_client:call(Socket, state_decr, [<<"absent">>, 2]),
    Big = 1 bsl 100,
    {3, 1, Big} = py_client:call(Socket, state_incr, [<<"big">>, Big]),
    {3, 1, 0} = py_client:call(Socket, state_decr, [<<"big">>, Big]),
    ?assertEqual([-3, -1, -2, -7], [py_state:incr(<<"n">>), py_state:incr(<<"n">>, 2), py_state:decr(<<"n">>), py_state:decr(<<"n">>, 5)]),
    ok = py_state:store(<<"text">>, <<"x">>),
    ?assertEqual({4, 1, {bad_term, <<"the value of <<\"text\">> is not an integer">>}},
                 py_client:call(Socket, state_incr, [<<"text">>, 1])),
    {3, 1, <<"x">>} = py_client:call(Socket, state_get, [<<"text">>]),
    ?assertError(badarg, py_state:incr(<<"text">>)),
    ?assertError(badarg, py_state:decr(<<"n">>, x)).

state_counts_at_once(_) ->
    Counters = [spawn_monitor(fun() ->
        {Socket, _} = py_client:thread(),
        [{3, 1, _} = py_client:call(Socket, state_incr, [n, 2]) || _ <- lists:seq(1, 100)]
    end) || _ <- lists:seq(1, 16)],
    [receive {'DOWN', Monitor, _, _, normal} -> ok end || {_, Monitor} <- Counters],
    ?assertEqual({ok, 3200}, py_state:fetch(n)).

state_survives(_) ->
    ok = py_state:store(k, v),
    Old = whereis(py_handler_sup),
    Monitor = py_client:watch(Old),
    exit(Old, kill),
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    _ = supervisor:which_children(py_sup),
    ?assertEqual({ok, v}, py_state:fetch(k)).

%% Streams

stream(_) ->
    {Socket, _} = py_client:thread(),
    Ref = py_stream:open(self()),
    [{3, 1, ok} = py_client:call(Socket, stream_item, [Ref, N]) || N <- [1, 2, 3]],
    [receive {py_stream, Ref, {data, M}} -> ?assertEqual(N, M) after 0 -> error({missing, N}) end || N <- [1, 2, 3]],
    ?assert(py_stream:close(Ref)).

stream_closed(_) ->
    {Socket, _} = py_client:thread(),
    Ref = py_stream:open(self()),
    ?assert(py_stream:close(Ref)),
    ?assertNot(py_stream:close(Ref)),
    {3, 1, cancel} = py_client:call(Socket, stream_item, [Ref, 1]),
    receive {py_stream, _, _} = Message -> error(Message) after 0 -> ok end.

stream_owner_dead(_) ->
    {Socket, _} = py_client:thread(),
    {Pid, Monitor} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    Ref = py_stream:open(Pid),
    {3, 1, cancel} = py_client:call(Socket, stream_item, [Ref, 1]),
    ?assertNot(py_stream:close(Ref)).

%% Logging

log_levels(_) ->
    ok = listen(),
    {Socket, Handler} = py_client:thread(),
    Levels = [{10, debug}, {5, debug}, {20, info}, {25, info}, {30, warning}, {40, error}, {50, critical}, {99, critical}],
    [begin
        py_client:send_frame(Socket, 5, 1, term_to_binary({log, [Number, <<"my.app">>, <<"Thread-1">>, <<"häh ~p"/utf8>>]})),
        receive
            {logged, #{level := L, msg := Message, meta := Meta}} ->
                ?assertEqual({Number, Level, {string, <<"häh ~p"/utf8>>}}, {Number, L, Message}),
                ?assertMatch(#{python_logger := <<"my.app">>, python_thread := <<"Thread-1">>, pid := Handler}, Meta)
        after 1000 -> error({not_logged, Number})
        end
     end || {Number, Level} <- Levels].

%% The handler that every node starts with lets it through.
log_default_handler(_) ->
    {Socket, _} = py_client:thread(),
    ok = listen(#{filter_default => stop, filters => [
        {no_domain, {fun logger_filters:domain/2, {log, undefined, []}}}
    ]}),
    py_client:send_frame(Socket, 5, 1, term_to_binary({log, [30, <<"root">>, <<"MainThread">>, <<"seen">>]})),
    receive {logged, #{msg := {string, <<"seen">>}}} -> ok after 1000 -> error(not_logged) end.

log_malformed(_) ->
    ok = listen(),
    {Socket, _} = py_client:thread(),
    py_client:send_frame(Socket, 5, 1, term_to_binary({log, [high, 1]})),
    receive {logged, #{msg := {report, #{what := py_cast_failed}}}} -> ok after 1000 -> error(not_logged) end,
    {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21]).

%% Its failure is for the log alone.
cast_function(_) ->
    ok = listen(),
    {Socket, _} = py_client:thread(),
    [py_client:send_frame(Socket, 5, N, term_to_binary({Name, []})) || {N, Name} <- [{1, <<"fail_error">>}, {2, <<"nope">>}]],
    [receive {logged, #{level := warning, msg := {report, Report}}} ->
        ?assertEqual({py_cast_failed, Kind}, {maps:get(what, Report), element(1, maps:get(failure, Report))})
     after 1000 -> error(not_logged) end || Kind <- [raised, not_registered]],
    {3, 3, 42} = begin py_client:send_frame(Socket, 2, 3, term_to_binary({<<"double_it">>, [21]})), py_client:recv(Socket) end.

wrong_operations(_) ->
    {Socket, _} = py_client:thread(),
    [?assertMatch({{4, 1, {bad_term, <<"not a call: ", _/binary>>}}, _}, {py_client:call(Socket, Target, Args), Target}) ||
        {Target, Args} <- [
            {send, [self()]}, {send, [{1}, 2]}, {'whereis', [1]}, {cancel, [x]}, {state_get, []}, {state_incr, [k, 1.0]},
            {state_set, [k]}, {stream_item, [x, 1]}, {log, []}, {no_such_operation, []}, {state_keys, none}
        ]].

listen() -> listen(#{}).

listen(Config) ->
    ok = logger:set_primary_config(level, debug),
    logger:add_handler(?MODULE, ?MODULE, Config#{config => #{to => self()}, level => all}).

log(Event, #{config := #{to := Pid}}) -> Pid ! {logged, Event}, ok.
